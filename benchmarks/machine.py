"""What a benchmark ran on: a figure without it says little."""

import os
import platform
from typing import Any

from learning.machine import available_cores, cpu_name, installed_versions


def describe_machine() -> dict[str, Any]:
    """Describe the machine and the versions that decide about speed and results.

    Returns:
        ``cpu``, ``cores`` (that this process may use), ``threads`` (that torch uses), ``memory_gb``, ``gpu``,
        ``system``, ``python`` and ``packages`` (their versions, of those installed).
    """
    import torch

    return {
        "cpu": cpu_name(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": installed_versions(("flawsmith", "torch", "numpy", "timm", "kornia")),
    }
