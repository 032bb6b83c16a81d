"""When loops that Numba compiles do the work of pixels, and how they are loaded.

Torch starts to work on a tensor in about the time that a thousand pixels take, and passes over memory once for each
operation; one compiled loop does all of them at once. It runs on the CPU in single precision. Other devices and types
take the torch operations beside it, whose pixels are the same within 1/255.
"""

from functools import lru_cache
from types import ModuleType

import torch
from torch import Tensor


def usable(images: Tensor) -> bool:
    """Whether compiled loops can work on a tensor: in single precision, on the CPU, and no gradient is wanted."""
    return images.device.type == "cpu" and images.dtype == torch.float32 and not images.requires_grad


@lru_cache(maxsize=1)
def kernels() -> ModuleType:
    """The loops; Numba is imported only here, as that takes a second and 90 MB, and most commands paint nothing."""
    from synth import kernels

    return kernels


@lru_cache(maxsize=1)
def multigrid() -> ModuleType:
    """The loops that membranes are solved with; imported here, as ``kernels``."""
    from synth.kernels import multigrid

    return multigrid
