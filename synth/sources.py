"""Where pasted content comes from: other good parts, the part itself, and procedural textures."""

import torch
from torch import Tensor

from synth.noise import grain as grainy
from synth.noise import uniforms
from synth.windows import Window


def shifted_sources(window: Window, sources: Tensor | None, which: Tensor, shift: Tensor, turn: Tensor) -> Tensor:
    """Take a source for every image, mirrored and moved round, as far as the window shows it.

    Args:
        window: Without sources, its own pixels are the source.
        sources: ``[S, C, H, W]`` or None, of the pictures' size.
        which: ``[B]`` 0..1 over all sources.
        shift: ``[B, 2]`` (x, y), as a fraction of width and height.
        turn: ``[B]`` int64: mirrored along x (1), along y (2), both (3).

    Returns:
        ``[B, C, h, w]``.
    """
    height, width = window.shape
    taken = []
    for i, (chosen, (x, y), mirrored, left, top) in enumerate(
        zip(which.tolist(), shift.tolist(), turn.tolist(), window.left.tolist(), window.top.tolist(), strict=True)
    ):
        if sources is None:
            picture, left, top = window.images[i], 0, 0
        else:
            picture = sources[min(int(chosen * len(sources)), len(sources) - 1)]
        rows = _turned(top, height, picture.shape[-2], y, bool(mirrored & 2))
        columns = _turned(left, width, picture.shape[-1], x, bool(mirrored & 1))
        taken.append(picture[:, rows.to(picture.device)][:, :, columns.to(picture.device)])
    return torch.stack(taken).to(window.images)


def _turned(first: int, count: int, length: int, shift: float, mirrored: bool) -> Tensor:
    """Which lines of a source lie at ``count`` lines of the picture from ``first`` on."""
    lines = (torch.arange(first, first + count) - round(shift * length)) % length
    return length - 1 - lines if mirrored else lines


def procedural_textures(
    window: Window, seed: Tensor, grain: Tensor, stretch: Tensor, brightness: Tensor, contrast: Tensor
) -> Tensor:
    """Noise of a given grain, streaky where it is stretched; tinted if the images have colour.

    Args:
        window: Where to evaluate it.
        seed: ``[B]`` int64.
        grain: ``[B]`` size of a grain, as a fraction of the pictures' shorter side.
        stretch: ``[B]`` length of a grain along x over its length along y.
        brightness: ``[B]`` mean, 0..1.
        contrast: ``[B]`` spread, 0..1.

    Returns:
        ``[B, C, h, w]``, about 0..1.
    """
    size = grain * window.side
    noise = grainy(seed, torch.stack([size / stretch.sqrt(), size * stretch.sqrt()], dim=1), window)
    channels = window.images.shape[1]
    tint = (uniforms(seed + 1, channels) - 0.5) * 0.5 * (channels > 1)
    colour = (brightness[:, None] + tint).to(window.images)[:, :, None, None]
    return colour + noise.mul_(window.column(2 * contrast))
