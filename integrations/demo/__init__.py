"""``run_demo``: the whole loop on a made-up production line."""

from integrations.demo.runner import run_demo
from integrations.demo.settings import DemoSettings

__all__ = ["DemoSettings", "run_demo"]
