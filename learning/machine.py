"""What the machine offers."""

import os
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of those packages that are installed; a package that is run from its folder has none."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
