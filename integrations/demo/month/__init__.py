"""``run_month``: weeks of production, once with the loop and once without, from the same stream."""

from integrations.demo.month.runner import run_month
from integrations.demo.month.settings import MonthSettings

__all__ = ["MonthSettings", "run_month"]
