"""Round dots drawn into pictures, many at once: what particles, fibres and cracks are made of."""

import numpy as np
import torch
from torch import Tensor

from synth.compiled import kernels, usable
from synth.devices import onto, together
from synth.noise import Numbers


def extent(radii: Numbers) -> Numbers:
    """Where dots have run out, in pixels from their middle; float32."""
    return (np.maximum(radii, 0.25) + 0.6).astype(np.float32)


def stamp(canvas: Tensor, layers: Numbers, points: Numbers, radii: Numbers, strength: Numbers) -> None:
    """Draw dots, soft over a pixel at the edge, in place; where several meet, the strongest counts.

    Args:
        canvas: ``[L, h, w]``.
        layers: ``[N]`` int64, which layer of the canvas each dot is drawn on.
        points: ``[N, 2]`` float32 (x, y) in pixels of the canvas; dots outside are left out.
        radii: ``[N]`` in pixels, above 0.
        strength: ``[N]`` value in the middle of a dot.
    """
    _draw(canvas, layers, points, extent(radii), np.ones(len(radii), np.float32), strength)


def stamp_cones(canvas: Tensor, layers: Numbers, points: Numbers, radii: Numbers) -> None:
    """As ``stamp``, dots that fall off evenly from 1 in the middle to 0 at their radius."""
    _draw(canvas, layers, points, radii, 1 / radii, np.ones(len(radii), np.float32))


def _draw(canvas: Tensor, layers: Numbers, points: Numbers, reach: Numbers, steep: Numbers, strength: Numbers) -> None:
    """Draw dots that reach so far and fall off so steeply, for a pixel.

    Dots of about one size are drawn together, as a dot costs the pixels of the largest beside it.
    """
    if usable(canvas):
        floats = (np.ascontiguousarray(values, np.float32) for values in (points, reach, steep, strength))
        kernels().draw_dots(layers.astype(np.int64), *floats, canvas.numpy())
        return
    size = np.array([canvas.shape[2], canvas.shape[1]])
    seen = np.flatnonzero(((points > -reach[:, None] - 1) & (points < size + reach[:, None])).all(axis=1))
    halves = np.exp2(np.ceil(np.log2(np.maximum(np.ceil(reach[seen]), 2)))).astype(np.int64)
    for half in np.unique(halves).tolist():
        alike = seen[halves == half]
        at_once = max(1, together(canvas.device) // (2 * half + 1) ** 2)
        for first in range(0, len(alike), at_once):
            some = alike[first : first + at_once]
            _stamp(canvas, layers[some], points[some], reach[some], steep[some], strength[some], half)


def _stamp(
    canvas: Tensor,
    layers: Numbers,
    points: Numbers,
    reach: Numbers,
    steep: Numbers,
    strength: Numbers,
    half: int,
) -> None:
    """Draw dots that reach at most ``half`` pixels."""
    _, height, width = canvas.shape
    device = canvas.device
    shifts = torch.arange(-half, half + 1, device=device)
    middles = onto(points.astype(np.float64), device)
    x, y = (middles[:, i, None].round().long() + shifts for i in (0, 1))
    dx, dy = (((place - middles[:, i, None]) ** 2).float() for i, place in enumerate((x, y)))
    values = (dy[:, :, None] + dx[:, None, :]).sqrt_().neg_()
    values.add_(_column(reach, device)).mul_(_column(steep, device)).clamp_(0, 1)
    # Dots that stick out of the canvas draw nothing there.
    rows = ((y >= 0) & (y < height)) * onto(strength.astype(np.float32), device)[:, None]
    values.mul_(rows[:, :, None]).mul_(((x >= 0) & (x < width))[:, None, :])
    lines = (onto(layers, device)[:, None] * height + y.clamp(0, height - 1)) * width
    index = lines[:, :, None] + x.clamp(0, width - 1)[:, None, :]
    canvas.view(-1).scatter_reduce_(0, index.flatten(), values.flatten().to(canvas), "amax", include_self=True)


def _column(values: Numbers, device: torch.device) -> Tensor:
    """A number for each dot, ``[N, 1, 1]``."""
    return onto(values.astype(np.float32), device)[:, None, None]
