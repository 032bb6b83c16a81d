"""Where pasted content comes from: other good parts, the part itself, and procedural textures."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from synth.compiled import kernels, usable
from synth.devices import lines, places
from synth.noise import Numbers, grain_in_colours, uniforms
from synth.sources.textures import TextureParameters, textures
from synth.windows import Window, looked_at, run

_PATTERNED = 0.15
"""Share of procedural textures that are of the kinds in ``synth.sources.textures``, which take longer than grain."""

_SPARED = 0.9
"""Of the picture's side: longer boxes on it hold its borders where it is its own source."""

_COARSER = 4
"""Patterns are so many times as large as grain, or they could not be told from it."""


def shifted_sources(
    window: Window, sources: Tensor | None, which: Numbers, shift: Numbers, turn: Numbers, *, rolled: bool = False
) -> Tensor:
    """Take a source for every image, mirrored and moved, as far as the window shows it.

    Args:
        window: Without sources, its own pictures are the source.
        sources: ``[S, C, H, W]`` or None, of the pictures' size.
        which: ``[B]`` 0..1 over all sources.
        shift: ``[B, 2]`` (x, y), as a fraction of width and height.
        turn: ``[B]`` int64: mirrored along x (1), along y (2), both (3).
        rolled: Sources go on with their other side beyond a border, as is fit for textures. Otherwise what the flaw's
            box shows lies beside each other in the source, or a straight seam would betray it.

    Returns:
        ``[B, C, h, w]``.
    """
    height, width = window.shape
    pictures, of = _pictures(window, sources, which)
    moves = _rolled(pictures, shift) if rolled else _moves(window, pictures, shift)
    if not usable(window.images):
        moved_lines = _turned(pictures, *lines(window.pixels), moves, turn)
        return pictures[places(pictures, of, *moved_lines)].to(window.images)
    taken = torch.empty_like(window.images)
    corners = zip(window.left.tolist(), window.top.tolist(), strict=True)
    moved = zip(of.tolist(), moves.tolist(), turn.tolist(), strict=True)
    for content, (left, top), (row, (x, y), mirrored) in zip(taken, corners, moved, strict=True):
        picture = pictures[row]
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
    pictures, of = _pictures(window, sources, which)
    moves = _moves(window, pictures, shift)
    places_in_it = []
    for axis, along in enumerate((window.plane(cos, sin), window.plane(-sin, cos))):
        length = pictures.shape[3 - axis]
        middle = (window.centre[:, axis].astype(np.float64) - moves[:, axis]) % length
        mirrored = (turn & (1 + axis)) > 0
        along += window.column(middle)
        # What is mirrored is counted from the other side.
        along.mul_(window.column(np.where(mirrored, -1, 1))).add_(window.column(np.where(mirrored, length - 1, 0)))
        places_in_it.append(along)
    return sampled(pictures, of, places_in_it[0], places_in_it[1], "reflection")


def sampled(
    pictures: Tensor, of: Numbers, x: Tensor, y: Tensor, beyond: Literal["border", "reflection"] = "border"
) -> Tensor:
    """Pictures at any places, in between bilinear.

    Args:
        pictures: ``[N, C, H, W]``.
        of: ``[B]`` int64, the picture that each row of the places is in.
        x: ``[B, 1, h, w]`` columns, in pixels from the middle of the first.
        y: ``[B, 1, h, w]`` rows, likewise.
        beyond: What lies beyond the border: its outermost pixels, or the picture mirrored.

    Returns:
        ``[B, C, h, w]``.
    """
    if usable(x) and usable(pictures):
        pixels = np.empty((len(of), pictures.shape[1], *x.shape[2:]), np.float32)
        chosen = zip(of.tolist(), x[:, 0].contiguous().numpy(), y[:, 0].contiguous().numpy(), pixels, strict=True)
        for row, across, down, out in chosen:
            kernels().sample(pictures[row].contiguous().numpy(), across, down, beyond == "reflection", out)
        return torch.from_numpy(pixels)
    # Not by grid_sample, which needs a copy of the whole picture for each row.
    (right, left, across), (lower, upper, down) = (
        _between(along, length, beyond) for along, length in ((x, pictures.shape[3]), (y, pictures.shape[2]))
    )
    row, channel = places(pictures, of, *np.zeros((2, len(of), 1), np.int64))[:2]
    above, below = (
        torch.lerp(pictures[row, channel, line, left], pictures[row, channel, line, right], across)
        for line in (upper, lower)
    )
    return torch.lerp(above, below, down).to(x)


def _between(along: Tensor, length: int, beyond: str) -> tuple[Tensor, Tensor, Tensor]:
    """The second and the first of the two lines of a picture that places lie between, and how far from the first."""
    if beyond == "reflection":
        along = (length - ((along + 0.5).remainder(2 * length) - length).abs()).sub_(0.5)
    along = along.clamp(0, length - 1)
    first = along.floor()
    line = first.long()
    return (line + 1).clamp_max_(length - 1), line, along - first


def displaced(window: Window, shift: Numbers) -> Tensor:
    """The good pictures moved by whole pixels, the outermost ones repeated; ``[B, C, h, w]``.

    Args:
        window: Where to evaluate them.
        shift: ``[B, 2]`` (x, y) in pixels, int64.
    """
    size = window.batch.shape[2:]
    moved = window.moved(-shift).pixels
    down, across = (found.clip(0, length - 1) for found, length in zip(lines(moved), size, strict=True))
    if not usable(window.images):
        return window.batch[places(window.batch, window.of, down, across)].to(window.images)
    taken = torch.empty_like(window.images)
    chosen = zip(taken, window.of.tolist(), moved.tolist(), down, across, strict=True)
    for content, row, (x, y, width, height), rows, columns in chosen:
        picture = window.batch[row]
        if 0 <= x <= size[1] - width and 0 <= y <= size[0] - height:
            content.copy_(picture[:, y : y + height, x : x + width])
        else:
            content.copy_(picture.index_select(1, torch.from_numpy(rows)).index_select(2, torch.from_numpy(columns)))
    return taken


def source_level(window: Window, sources: Tensor | None, which: Numbers, shift: Numbers, turn: Numbers) -> Numbers:
    """Mean colour of what ``shifted_sources`` takes for the whole box of each flaw; ``[B, C]``."""
    pictures, of = _pictures(window, sources, which)
    across, down = looked_at(window.boxes)
    pixels = pictures[places(pictures, of, *_turned(pictures, down, across, _moves(window, pictures, shift), turn))]
    return pixels.flatten(2).double().mean(dim=2).cpu().numpy().astype(np.float32)


def _pictures(window: Window, sources: Tensor | None, which: Numbers) -> tuple[Tensor, Numbers]:
    """What flaws take content from, ``[N, C, H, W]``, and which of it each takes, ``[B]`` int64."""
    if sources is None:
        return window.batch, window.of
    return sources, np.minimum((which.astype(np.float64) * len(sources)).astype(np.int64), len(sources) - 1)


def _rolled(pictures: Tensor, shift: Numbers) -> Numbers:
    """By how many pixels sources are moved along x and y, ``[B, 2]`` int64."""
    return np.round(shift.astype(np.float64) * [pictures.shape[3], pictures.shape[2]]).astype(np.int64)


def _moves(window: Window, pictures: Tensor, shift: Numbers) -> Numbers:
    """As ``_rolled``, so that no box holds two borders of its source.

    Where the picture is its own source, a box of nearly all of it is left alone: there is hardly another place for it.
    """
    length = np.array([pictures.shape[3], pictures.shape[2]])
    first, count = window.boxes[:, :2], window.boxes[:, 2:]
    moves = _rolled(pictures, shift)
    last = length - count
    # The farther border: a flaw at a border of its own picture would be made of what is there already.
    farther = np.where(2 * first > last, 0, last)
    crossed = (first - moves) % length > last
    longest = length if pictures is not window.batch else _SPARED * length
    return np.where(crossed & (count <= longest), first - farther, moves)


def _turned(pictures: Tensor, down: Numbers, across: Numbers, moves: Numbers, turn: Numbers) -> tuple[Numbers, Numbers]:
    """Which lines and columns of sources lie at lines ``[B, h]`` and columns ``[B, w]`` of the pictures."""
    found = []
    for axis, straight in ((1, down), (0, across)):
        length = pictures.shape[3 - axis]
        moved = (straight - moves[:, axis, None]) % length
        found.append(np.where((turn & (1 + axis))[:, None] > 0, length - 1 - moved, moved))
    return found[0], found[1]


def _pieces(first: int, count: int, length: int, move: int, mirrored: bool) -> list[tuple[slice, slice]]:
    """As ``_turned`` for ``count`` lines of one from ``first`` on, as slices to copy to and from; before mirroring."""
    begin = first - move
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
    patterns = patterned(seed)
    if not patterns.any():
        return _grainy(window, seed, grain, stretch, brightness, contrast)
    painted = torch.empty_like(window.images)
    for chosen in (True, False):
        index = np.flatnonzero(patterns == chosen)
        if not len(index):
            continue
        part, rows = window.rows(index), run(index)
        some = seed[rows], grain[rows], stretch[rows], brightness[rows], contrast[rows]
        if chosen:
            x, y = part.offsets_from(np.zeros((len(index), 2)))
            painted[rows] = textures(pattern(*some), x, y, part.side, painted.shape[1]).to(painted)
        else:
            painted[rows] = _grainy(part, *some)
    return painted


def pattern(
    seed: Numbers, grain: Numbers, stretch: Numbers, brightness: Numbers, contrast: Numbers
) -> TextureParameters:
    """The pattern that a procedural texture is where ``patterned`` says so; arguments as there, ``[B]`` each."""
    kind, angle, _ = uniforms(seed + 2, 3).T
    return TextureParameters(
        kind=kind,
        seed=seed,
        grain=_COARSER * grain,
        stretch=stretch.clip(0.5, 2),
        angle=np.pi * angle,
        brightness=brightness,
        contrast=contrast,
    )


def _grainy(
    window: Window, seed: Numbers, grain: Numbers, stretch: Numbers, brightness: Numbers, contrast: Numbers
) -> Tensor:
    """Arguments and result as for ``procedural_textures``."""
    size = grain * window.side
    period = np.stack([size / np.sqrt(stretch), size * np.sqrt(stretch)], axis=1)
    channels = window.images.shape[1]
    tint = (uniforms(seed + 1, channels) - 0.5) * 0.5 * (channels > 1)
    return grain_in_colours(seed, period, window, brightness[:, None] + tint, 2 * contrast)
