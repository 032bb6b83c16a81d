"""Round dots drawn into pictures, many at once: what particles, fibres and cracks are made of."""

import torch
from torch import Tensor

_TOGETHER = 2**20
"""Pixels stamped at once."""


def stamp(canvas: Tensor, layers: Tensor, points: Tensor, radii: Tensor, strength: Tensor) -> None:
    """Draw dots, soft over a pixel at the edge, in place; where several meet, the strongest counts.

    Dots of about one size are drawn together, as a dot costs the pixels of the largest beside it.

    Args:
        canvas: ``[L, h, w]``.
        layers: ``[N]`` int64, which layer of the canvas each dot is drawn on.
        points: ``[N, 2]`` (x, y) in pixels of the canvas; dots outside are left out.
        radii: ``[N]`` in pixels, above 0.
        strength: ``[N]`` value in the middle of a dot.
    """
    reach = radii.clamp_min(0.25) + 0.6
    size = torch.tensor([canvas.shape[2], canvas.shape[1]])
    seen = ((points > -reach[:, None] - 1) & (points < size + reach[:, None])).all(dim=1).nonzero().flatten()
    halves = reach[seen].ceil().clamp_min(2).log2().ceil().exp2().long()
    for half in halves.unique().tolist():
        for some in seen[halves == half].split(max(1, _TOGETHER // (2 * half + 1) ** 2)):
            _stamp(canvas, layers[some], points[some], reach[some], strength[some], half)


def _stamp(canvas: Tensor, layers: Tensor, points: Tensor, reach: Tensor, strength: Tensor, half: int) -> None:
    """Draw dots that reach at most ``half`` pixels."""
    _, height, width = canvas.shape
    corner = points.round()
    shifts = torch.arange(-half, half + 1)
    x, y = (corner[:, i, None] + shifts for i in (0, 1))
    dx, dy = ((place - points[:, i, None]).square_() for i, place in enumerate((x, y)))
    values = (dy[:, :, None] + dx[:, None, :]).sqrt_().neg_().add_(reach[:, None, None]).clamp_(0, 1)
    # Dots that stick out of the canvas draw nothing there.
    values.mul_(((y >= 0) & (y < height))[:, :, None]).mul_(((x >= 0) & (x < width))[:, None, :])
    values.mul_(strength[:, None, None])
    x, y = x.clamp_(0, width - 1).long(), y.clamp_(0, height - 1).long()
    index = (layers[:, None] * height + y)[:, :, None] * width + x[:, None, :]
    canvas.view(-1).scatter_reduce_(
        0, index.flatten().to(canvas.device), values.flatten().to(canvas), "amax", include_self=True
    )
