"""Where pasted content comes from: other good parts, the part itself, and procedural textures."""

import torch
from torch import Tensor
from torch.nn import functional

from synth.draws import generators
from synth.masks import column


def shifted_sources(images: Tensor, sources: Tensor | None, which: Tensor, shift: Tensor, turn: Tensor) -> Tensor:
    """Take a source for every image, mirrored and moved round.

    Args:
        images: ``[B, C, H, W]``; without sources each is its own.
        sources: ``[S, C, h, w]`` or None; brought to the images' size.
        which: ``[B]`` 0..1 over all sources.
        shift: ``[B, 2]`` (x, y), as a fraction of width and height.
        turn: ``[B]`` int64: mirrored along x (1), along y (2), both (3).

    Returns:
        ``[B, C, H, W]``.
    """
    height, width = images.shape[-2:]
    if sources is None:
        chosen = images
    else:
        chosen = sources[(which * len(sources)).long().clamp_max(len(sources) - 1)].to(images)
        if chosen.shape[-2:] != images.shape[-2:]:
            chosen = functional.interpolate(chosen, (height, width), mode="bilinear", antialias=True)
    moved = []
    for picture, (x, y), mirrored in zip(chosen, shift.tolist(), turn.tolist(), strict=True):
        axes = [axis for axis, bit in ((-1, 1), (-2, 2)) if mirrored & bit]
        moved.append(picture.flip(axes).roll((round(x * width), round(y * height)), dims=(-1, -2)))
    return torch.stack(moved)


def procedural_textures(
    seed: Tensor, grain: Tensor, stretch: Tensor, brightness: Tensor, contrast: Tensor, images: Tensor
) -> Tensor:
    """Noise of a given grain, streaky where it is stretched; tinted if the images have colour.

    Args:
        seed: ``[B]`` int64.
        grain: ``[B]`` size of a grain, as a fraction of the images' shorter side.
        stretch: ``[B]`` length of a grain along x over its length along y.
        brightness: ``[B]`` mean, 0..1.
        contrast: ``[B]`` spread, 0..1.
        images: ``[B, C, H, W]``; their size, type and device count.

    Returns:
        ``[B, C, H, W]``, about 0..1.
    """
    height, width = images.shape[-2:]
    channels = images.shape[1]
    side = min(height, width)
    textures, tints = [], []
    for generator, size, ratio in zip(generators(seed), grain.tolist(), stretch.tolist(), strict=True):
        down = min(max(round(height / max(size * side / ratio**0.5, 1.0)), 1), height)
        across = min(max(round(width / max(size * side * ratio**0.5, 1.0)), 1), width)
        noise = torch.rand(1, 1, down, across, generator=generator) - 0.5
        textures.append(functional.interpolate(noise, (height, width), mode="bilinear")[0])
        tints.append(torch.rand(channels, 1, 1, generator=generator) - 0.5)
    colour = column(brightness, images) + 0.5 * torch.stack(tints).to(images) * (channels > 1)
    return colour + 2 * column(contrast, images) * torch.stack(textures).to(images)
