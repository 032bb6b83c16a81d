"""What the network sees of an image: it as a whole, and what differs from its surroundings."""

import torch
from torch import Tensor
from torch.nn import functional

_SHRINK = 4
"""Local statistics are smooth: they are taken at a quarter of the resolution, at a sixteenth of the cost."""

_FINEST = 96
"""The surroundings of a place reach a 96th of the shorter side to each side."""

_LEAST_ENERGY = 0.01
"""Of a gradient, in deviations of the picture for a pixel, squared: what is smoother is smooth."""


def box_mean(images: Tensor, radius: int) -> Tensor:
    """Mean over a square window of ``2 * radius + 1``, edges replicated; two one-dimensional passes."""
    window = 2 * radius + 1
    padded = functional.pad(images, (radius, radius, radius, radius), mode="replicate")
    if torch.compiler.is_exporting():
        return sums_by_doubling(sums_by_doubling(padded, window, -2), window, -1) / window**2
    return functional.avg_pool2d(functional.avg_pool2d(padded, (1, window), 1), (window, 1), 1)


def sums_by_doubling(planes: Tensor, window: int, dim: int) -> Tensor:
    """Sums over windows along a dimension, which gets shorter by ``window - 1``.

    From sums over two come those over four, and so on: OpenVINO takes half the time of its pooling.
    """
    length = planes.shape[dim] - window + 1
    found, begun, width = None, 0, 1
    while True:
        if window & width:
            piece = planes.narrow(dim, begun, length)
            found, begun = piece if found is None else found + piece, begun + width
        if begun == window:
            assert found is not None
            return found
        fewer = planes.shape[dim] - width
        planes, width = planes.narrow(dim, 0, fewer) + planes.narrow(dim, width, fewer), 2 * width


def logarithm(values: Tensor) -> Tensor:
    """Of values from 1e-4 to 1e4.

    OpenVINO takes logarithms one by one: a graph has the series of ``2 artanh((v - 1) / (v + 1))`` of the 16th root,
    which differs by at most 1e-4 at these ends, and 1e-5 from 1e-3 to 1e3.
    """
    if not torch.compiler.is_exporting():
        return values.log()
    for _ in range(4):
        values = values.sqrt()
    part = (values - 1) / (values + 1)
    square = part.square()
    return 32 * part * (1 + square * (1 / 3 + square * (1 / 5 + square / 7)))


def surroundings(planes: Tensor) -> Tensor:
    """Mean over the surroundings of each place: ``[B, C, h, w]``."""
    return box_mean(planes, max(1, round(min(planes.shape[-2:]) / _FINEST)))


def standardise(images: Tensor, window: float = 1 / 6) -> Tensor:
    """Take out what light and exposure do to a picture.

    Args:
        images: ``[B, C, h, w]``, 0..1; h and w multiples of 4.
        window: Side of the local window, as a fraction of the shorter side.

    Returns:
        ``[B, 2C, h, w]``: every image by its own mean and deviation, and every pixel by the mean and deviation of
        its surroundings; both clamped to -5..5. A flat image gives zeros.
    """
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    deviation = images.std(dim=(1, 2, 3), keepdim=True)
    whole = (images - mean) / (deviation + 0.02)

    return torch.cat([whole, _by_surroundings(images, min(images.shape[-2:]) * window)], dim=1).clamp(-5, 5)


def standardise_windows(images: Tensor, side: int, window: float = 1 / 6) -> Tensor:
    """The same for windows of large pictures, and for large pictures as if each place lay in a window of its own.

    What a picture is as a whole, a window does not show; so pixels are standardised by what lies in a window around
    them, and in a smaller one.

    Args:
        images: ``[B, C, h, w]``, 0..1; h and w multiples of 4.
        side: Of a window, in pixels.
        window: Side of the smaller one, as a fraction of ``side``.

    Returns:
        ``[B, 2C, h, w]``, clamped to -5..5.
    """
    return torch.cat([_by_surroundings(images, side), _by_surroundings(images, side * window)], dim=1).clamp(-5, 5)


def _by_surroundings(images: Tensor, side: float) -> Tensor:
    """Every pixel by the mean and deviation of a square around it, of a side in pixels; edges are replicated."""
    small = functional.avg_pool2d(images, _SHRINK)
    energy = functional.avg_pool2d(images.square(), _SHRINK)
    radius = min(max(1, round(side / _SHRINK / 2)), min(small.shape[-2:]) - 1)
    local_mean = box_mean(small, radius)
    local_variance = (box_mean(energy, radius) - local_mean.square()).clamp_min(0)
    statistics = _enlarge(torch.cat([local_mean, local_variance.sqrt()], dim=1), images)
    local_mean, local_deviation = statistics.chunk(2, dim=1)
    return (images - local_mean) / (local_deviation + 0.02)


def _enlarge(small: Tensor, images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    if not torch.compiler.is_exporting():
        return functional.interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
    # OpenVINO resizes float32 with channels last, and then all that follows is copied to and fro.
    rows = (torch.arange(height) + 0.5) * 2 / height - 1
    columns = (torch.arange(width) + 0.5) * 2 / width - 1
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    grid = torch.stack([across, down], dim=-1)[None].to(small).expand(len(small), -1, -1, -1)
    return functional.grid_sample(small, grid, mode="bilinear", padding_mode="border", align_corners=False)


def roughness(seen: Tensor) -> Tensor:
    """How rough the surroundings of each place are, which depends on neither light nor the phase of a pattern.

    Args:
        seen: ``[B, 2C, h, w]``, as ``standardise`` gives it.

    Returns:
        ``[B, 1, h, w]``: the logarithm of the mean square of the picture's gradient around each place.
    """
    whole = seen[:, : seen.shape[1] // 2]
    padded = functional.pad(whole, (1, 1, 1, 1), mode="replicate")
    right = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    below = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    square = (right.square() + below.square()).mean(dim=1, keepdim=True)
    return logarithm(surroundings(square) + _LEAST_ENERGY)
