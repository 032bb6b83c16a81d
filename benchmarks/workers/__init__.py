"""Generators of flaws in processes of their own; each is a module that is run, and answers jobs line by line."""
