"""Where pasted content comes from: other good parts, the part itself, and procedural textures."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synth.compiled import kernels, usable
from synth.noise import Numbers, grain_in_colours, uniforms
from synth.sources.textures import TextureParameters, textures
from synth.windows import Window, looked_at, run

_PATTERNED = 0.15
"""Share of procedural textures that are of the kinds in ``synth.sources.textures``, which take longer than grain."""

_COARSER = 4
"""Patterns are so many times as large as grain, or they could not be told from it."""


def shifted_sources(window: Window, sources: Tensor | None, which: Numbers, shift: Numbers, turn: Numbers) -> Tensor:
    """Take a source for every image, mirrored and moved round, as far as the window shows it.

    Args:
        window: Without sources, its own pictures are the source.
        sources: ``[S, C, H, W]`` or None, of the pictures' size.
        which: ``[B]`` 0..1 over all sources.
        shift: ``[B, 2]`` (x, y), as a fraction of width and height.
        turn: ``[B]`` int64: mirrored along x (1), along y (2), both (3).

    Returns:
        ``[B, C, h, w]``.
    """
    height, width = window.shape
    taken = torch.empty_like(window.images)
    corners = zip(window.left.tolist(), window.top.tolist(), strict=True)
    moved = _moved(window, sources, which, shift, turn)
    for content, (left, top), (picture, x, y, mirrored) in zip(taken, corners, moved, strict=True):
        # Slices are copied, as picking out single pixels takes many times as long.
        for there, down in _pieces(top, height, picture.shape[-2], y, bool(mirrored & 2)):
            for here, across in _pieces(left, width, picture.shape[-1], x, bool(mirrored & 1)):
                content[:, there, here] = picture[:, down, across]
        axes = [axis for axis, bit in ((1, 2), (2, 1)) if mirrored & bit]
        if axes:
            content.copy_(content.flip(axes))
    return taken


def turned_sources(
    window: Window,
    sources: Tensor | None,
    which: Numbers,
    shift: Numbers,
    turn: Numbers,
    rotation: Numbers,
    scale: Numbers,
) -> Tensor:
    """As ``shifted_sources``, with the content turned and enlarged around the flaw's centre.

    Args:
        window: See there.
        sources: See there.
        which: See there.
        shift: See there.
        turn: See there.
        rotation: ``[B]`` radians.
        scale: ``[B]``; above 1 the content is enlarged.

    Returns:
        ``[B, C, h, w]``, beyond a source's border mirrored.
    """
    cos, sin = np.cos(rotation) / scale, np.sin(rotation) / scale
    u, v = window.plane(cos, sin), window.plane(-sin, cos)
    pictures = []
    for row, (picture, right, down, mirrored) in enumerate(_moved(window, sources, which, shift, turn)):
        height, width = picture.shape[-2:]
        centre_x, centre_y = window.centre[row].tolist()
        u[row] += (centre_x - right * width) % width
        v[row] += (centre_y - down * height) % height
        if mirrored & 1:
            u[row].neg_().add_(width - 1)
        if mirrored & 2:
            v[row].neg_().add_(height - 1)
        pictures.append(picture)
    return sampled(pictures, u, v, "reflection")


def sampled(
    pictures: Sequence[Tensor], x: Tensor, y: Tensor, beyond: Literal["border", "reflection"] = "border"
) -> Tensor:
    """Pictures at any places, in between bilinear.

    Args:
        pictures: ``[C, H, W]``, one for each row of the places.
        x: ``[B, 1, h, w]`` columns, in pixels from the middle of the first.
        y: ``[B, 1, h, w]`` rows, likewise.
        beyond: What lies beyond the border: its outermost pixels, or the picture mirrored.

    Returns:
        ``[B, C, h, w]``.
    """
    if usable(x):
        pixels = np.empty((len(pictures), len(pictures[0]), *x.shape[2:]), np.float32)
        places = zip(pictures, x[:, 0].contiguous().numpy(), y[:, 0].contiguous().numpy(), pixels, strict=True)
        for picture, columns, lines, out in places:
            kernels().sample(picture.contiguous().numpy(), columns, lines, beyond == "reflection", out)
        return torch.from_numpy(pixels)
    taken = []
    for picture, across, down in zip(pictures, x, y, strict=True):
        height, width = picture.shape[-2:]
        # One picture at a time, as a batch would need a copy of each.
        grid = torch.stack([(across[0] * 2 + 1) / width - 1, (down[0] * 2 + 1) / height - 1], dim=-1)
        taken.append(functional.grid_sample(picture[None], grid[None], padding_mode=beyond, align_corners=False))
    return torch.cat(taken)


def displaced(window: Window, shift: Numbers) -> Tensor:
    """The good pictures moved by whole pixels, the outermost ones repeated; ``[B, C, h, w]``.

    Args:
        window: Where to evaluate them.
        shift: ``[B, 2]`` (x, y) in pixels, int64.
    """
    height, width = window.shape
    taken = torch.empty_like(window.images)
    corners = zip((window.left - shift[:, 0]).tolist(), (window.top - shift[:, 1]).tolist(), strict=True)
    for content, picture, (x, y) in zip(taken, window.pictures, corners, strict=True):
        if 0 <= x <= picture.shape[2] - width and 0 <= y <= picture.shape[1] - height:
            content.copy_(picture[:, y : y + height, x : x + width])
        else:
            down, across = (
                (torch.arange(length) + first).clamp_(0, whole - 1).to(picture.device)
                for first, length, whole in ((y, height, picture.shape[1]), (x, width, picture.shape[2]))
            )
            content.copy_(picture.index_select(1, down).index_select(2, across))
    return taken


def source_level(window: Window, sources: Tensor | None, which: Numbers, shift: Numbers, turn: Numbers) -> Numbers:
    """Mean colour of what ``shifted_sources`` takes for the whole box of each flaw; ``[B, C]``."""
    x_places, y_places = looked_at(window.boxes)
    levels = []
    for i, (picture, x, y, mirrored) in enumerate(_moved(window, sources, which, shift, turn)):
        down = _turned(y_places[i], picture.shape[-2], y, bool(mirrored & 2))
        across = _turned(x_places[i], picture.shape[-1], x, bool(mirrored & 1))
        there = torch.from_numpy(down[:, None] * picture.shape[-1] + across).to(picture.device).flatten()
        levels.append(picture.flatten(1).index_select(1, there))
    return torch.stack(levels).double().mean(dim=2).cpu().numpy().astype(np.float32)


def _moved(
    window: Window, sources: Tensor | None, which: Numbers, shift: Numbers, turn: Numbers
) -> Iterator[tuple[Tensor, float, float, int]]:
    """For each flaw its source, how far that is moved along x and y, and how it is mirrored."""
    chosen = zip(window.pictures, which.tolist(), shift.tolist(), turn.tolist(), strict=True)
    for own, place, (x, y), mirrored in chosen:
        yield own if sources is None else sources[min(int(place * len(sources)), len(sources) - 1)], x, y, mirrored


def _turned(lines: Numbers, length: int, shift: float, mirrored: bool) -> Numbers:
    """Which lines of a source lie at lines of the picture."""
    moved = (lines - round(shift * length)) % length
    return length - 1 - moved if mirrored else moved


def _pieces(first: int, count: int, length: int, shift: float, mirrored: bool) -> list[tuple[slice, slice]]:
    """As ``_turned`` for ``count`` lines from ``first`` on, as slices to copy to and from; before mirroring."""
    begin = first - round(shift * length)
    begin = (length - begin - count if mirrored else begin) % length
    fit = min(count, length - begin)
    pieces = [(slice(0, fit), slice(begin, begin + fit))]
    return pieces if fit == count else [*pieces, (slice(fit, count), slice(0, count - fit))]


def patterned(seed: Numbers) -> Numbers:
    """Which procedural textures are patterns, by their seeds; ``[B]`` bool."""
    return np.asarray(uniforms(seed + 2, 3)[:, 2] < _PATTERNED)


def procedural_textures(
    window: Window, seed: Numbers, grain: Numbers, stretch: Numbers, brightness: Numbers, contrast: Numbers
) -> Tensor:
    """Noise of a given grain, streaky where it is stretched, or one of many patterns; tinted if the images have colour.

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
    kind, angle, _ = uniforms(seed + 2, 3).T
    patterns = patterned(seed)
    if not patterns.any():
        return _grainy(window, seed, grain, stretch, brightness, contrast)
    painted = torch.empty_like(window.images)
    for chosen in (True, False):
        index = np.flatnonzero(patterns == chosen)
        if not len(index):
            continue
        part, rows = window.rows(index), run(index)
        if chosen:
            parameters = TextureParameters(
                kind=kind[rows],
                seed=seed[rows],
                grain=_COARSER * grain[rows],
                stretch=stretch[rows].clip(0.5, 2),
                angle=np.pi * angle[rows],
                brightness=brightness[rows],
                contrast=contrast[rows],
            )
            x, y = part.offsets_from(np.zeros((len(index), 2)))
            painted[rows] = textures(parameters, x, y, part.side, painted.shape[1]).to(painted)
        else:
            painted[rows] = _grainy(part, seed[rows], grain[rows], stretch[rows], brightness[rows], contrast[rows])
    return painted


def _grainy(
    window: Window, seed: Numbers, grain: Numbers, stretch: Numbers, brightness: Numbers, contrast: Numbers
) -> Tensor:
    """Arguments and result as for ``procedural_textures``."""
    size = grain * window.side
    period = np.stack([size / np.sqrt(stretch), size * np.sqrt(stretch)], axis=1)
    channels = window.images.shape[1]
    tint = (uniforms(seed + 1, channels) - 0.5) * 0.5 * (channels > 1)
    return grain_in_colours(seed, period, window, brightness[:, None] + tint, 2 * contrast)
