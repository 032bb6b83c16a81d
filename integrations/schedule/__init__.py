"""Challengers by schedule: a Prefect flow, its scheduler in a process of ours, nothing beyond this computer."""
