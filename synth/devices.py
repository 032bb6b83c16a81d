"""How numbers get to a device, how pixels are picked there, and how much is worked on at once."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Places = tuple[Tensor, Tensor, Tensor, Tensor]


_MEMORY = 2**33
"""Bytes that an accelerator has at least, where it does not say."""


@lru_cache
def together(device: torch.device) -> int:
    """Numbers painted at once (pixels times channels)."""
    if device.type == "cpu":
        return 2**19  # more do not stay in its cache
    cuda = device.type == "cuda"
    memory = torch.cuda.get_device_properties(device).total_memory if cuda else _MEMORY
    # Painting takes some twenty tensors of single precision at a time: a sixth of the memory.
    return memory // 512


def widening(device: torch.device, count: int) -> int:
    """Pixels by which each of ``count`` flaws may grow to be painted with larger ones, as every call has a cost.

    On a CPU a call costs about as much as so many pixels. An accelerator does thousands of times as many meanwhile.
    """
    return 2**14 if device.type == "cpu" else 2**26 // count


def onto(values: NDArray[Any], device: torch.device) -> Tensor:
    """Numbers as a tensor on a device; what is queued there goes on meanwhile."""
    return torch.from_numpy(values).to(device, non_blocking=True)


def places(images: Tensor, rows: NDArray[Any], down: NDArray[Any], across: NDArray[Any]) -> Places:
    """Index of some lines and columns of some images.

    Args:
        images: ``[B, C, H, W]``.
        rows: ``[N]`` int64, which of them.
        down: ``[N, h]`` int64, lines of each.
        across: ``[N, w]`` int64, columns of each.

    Returns:
        What picks ``[N, C, h, w]`` out of the images, or writes to there.
    """
    device = images.device
    channels = torch.arange(images.shape[1], device=device)[:, None, None]
    return (
        onto(rows, device)[:, None, None, None],
        channels,
        onto(down, device)[:, None, :, None],
        onto(across, device)[:, None, None, :],
    )


def boxed(images: Tensor, rows: NDArray[Any], boxes: NDArray[Any]) -> Places | tuple[slice | Tensor]:
    """As ``places``, index of boxes of one size ``[N, 4]``; pictures that are taken whole are picked by far faster."""
    if boxes[0, 2] < images.shape[3] or boxes[0, 3] < images.shape[2]:
        return places(images, rows, *lines(boxes))
    first = int(rows[0])
    together = np.array_equal(rows, np.arange(first, first + len(rows)))
    return (slice(first, first + len(rows)) if together else onto(rows, images.device),)


def lines(boxes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Lines ``[N, h]`` and columns ``[N, w]`` of boxes of one size ``[N, 4]``: left, top, width, height."""
    width, height = boxes[0, 2:].tolist()
    return boxes[:, 1, None] + np.arange(height), boxes[:, 0, None] + np.arange(width)
