"""What the machine offers."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name, as the kernel gives it, else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123
            names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of those packages that are installed; a package that is run from its folder has none."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
