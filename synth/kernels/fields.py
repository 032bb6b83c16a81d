"""Loops that fill planes: noise, lattices, regions, dots, and pictures taken from elsewhere."""

from typing import Any

import numpy as np

from synth.jit import compiled, part_of_others
from synth.kernels.shared import (
    HALF,
    MASK,
    ONE,
    STEEP,
    THREE,
    TWO,
    ZERO,
    inside_region,
    lattice_values,
    noise_octave,
    sample_place,
)
from synth.noise import SIDE, Numbers


@compiled
def gradient_noise(
    starts: Numbers, corners: Numbers, steps: Numbers, cosines: Numbers, sines: Numbers, out: Numbers
) -> None:
    """Perlin noise; see ``synth.noise.perlin``.

    Args:
        starts: ``[octaves, B]`` int64, where in the table each field begins.
        corners: ``[B, 2]`` float64, first row and column.
        steps: ``[octaves, B, 2]`` float64, cells for a pixel along height and width.
        cosines: Of the table, in one line.
        sines: Likewise.
        out: ``[B, h, w]``.
    """
    for octave in range(len(starts)):
        for b in range(len(out)):
            down, across = steps[octave, b]
            noise_octave(starts[octave, b], corners[b, 0], corners[b, 1], down, across, octave, cosines, sines, out[b])


@compiled
def values_between(
    starts: Numbers, corners: Numbers, steps: Numbers, table: Numbers, colours: Numbers, amounts: Numbers, out: Numbers
) -> None:
    """Colours plus so many times the random values of a lattice, in between bilinear; see ``synth.noise.grain``.

    Args:
        starts: ``[B]`` int64, where in the table each field begins.
        corners: ``[B, 2]`` float64, first row and column.
        steps: ``[B, 2]`` float64, cells for a pixel along height and width.
        table: In one line.
        colours: ``[B, C]`` float32.
        amounts: ``[B]`` float32.
        out: ``[B, C, h, w]``.
    """
    count, channels, height, width = out.shape
    for b in range(count):
        field = out[b, 0]
        lattice_values(starts[b], corners[b, 0], corners[b, 1], steps[b, 0], steps[b, 1], table, field)
        for y in range(height):
            line = field[y]
            for x in range(width):
                line[x] *= amounts[b]
            for c in range(channels - 1, -1, -1):
                other, colour = out[b, c, y], colours[b, c]
                for x in range(width):
                    other[x] = line[x] + colour


@compiled
def values_at(starts: Numbers, table: Numbers, u: Numbers, v: Numbers, out: Numbers) -> None:
    """Random values of a lattice at places ``[B, h, w]``, in between smooth; see ``synth.sources.textures``."""
    for b in range(u.shape[0]):
        down, across = starts[b] // SIDE, starts[b]
        for y in range(u.shape[1]):
            columns, lines, values = u[b, y], v[b, y], out[b, y]
            for x in range(len(values)):
                whole_u, whole_v = np.floor(columns[x]), np.floor(lines[x])
                s, t = columns[x] - whole_u, lines[x] - whole_v
                s, t = s * s * (THREE - TWO * s), t * t * (THREE - TWO * t)
                left, top = across + np.int64(whole_u), down + np.int64(whole_v)
                above, below = np.uint32((top & MASK) * SIDE), np.uint32(((top + 1) & MASK) * SIDE)
                here, beside = np.uint32(left & MASK), np.uint32((left + 1) & MASK)
                upper = table[above + here] + s * (table[above + beside] - table[above + here])
                lower = table[below + here] + s * (table[below + beside] - table[below + here])
                values[x] = upper + t * (lower - upper)


@compiled
def in_two_colours(
    fields: Numbers, brightness: Numbers, contrast: Numbers, low: Numbers, high: Numbers, out: Numbers
) -> None:
    """See ``synth.sources.textures``, ``_coloured``.

    Args:
        fields: ``[B, h, w]``, about -1..1.
        brightness: ``[B]`` float32.
        contrast: ``[B]`` float32.
        low: ``[B, C]`` float32, added where the field is -1.
        high: ``[B, C]`` float32, added where it is 1.
        out: ``[B, C, h, w]``, cut to 0..1.
    """
    for b in range(out.shape[0]):
        for c in range(out.shape[1]):
            # Along the field from one colour to the other.
            middle = brightness[b] + HALF * (low[b, c] + high[b, c])
            slope = contrast[b] + HALF * (high[b, c] - low[b, c])
            for y in range(out.shape[2]):
                field, line = fields[b, y], out[b, c, y]
                for x in range(out.shape[3]):
                    line[x] = min(max(middle + slope * field[x], ZERO), ONE)


@compiled
def nearest_points(
    starts: Numbers, table: Numbers, u: Numbers, v: Numbers, nearest: Numbers, second: Numbers, number: Numbers
) -> None:
    """See ``synth.sources.textures``, ``_cells``.

    Args:
        starts: ``[3, B]`` int64: where in the table the points' places along u and v and their own numbers begin.
        table: In one line.
        u: ``[B, h, w]``.
        v: ``[B, h, w]``.
        nearest: ``[B, h, w]``, distance to the nearest point.
        second: ``[B, h, w]``, to the second nearest.
        number: ``[B, h, w]``, the nearest one's own.
    """
    for b in range(u.shape[0]):
        first, other, own = starts[0, b], starts[1, b], starts[2, b]
        for y in range(u.shape[1]):
            for x in range(u.shape[2]):
                left, top = np.int64(np.floor(u[b, y, x])), np.int64(np.floor(v[b, y, x]))
                s, t = u[b, y, x] - np.float32(left), v[b, y, x] - np.float32(top)
                near, next_, best_row, best_column = np.float32(81), np.float32(81), top, left
                for down in range(-1, 2):
                    for across in range(-1, 2):
                        row, column = top + down, left + across
                        at_u = ((first // SIDE + row) & MASK) * SIDE + ((first + column) & MASK)
                        at_v = ((other // SIDE + row) & MASK) * SIDE + ((other + column) & MASK)
                        du = table[np.uint32(at_u)] + np.float32(across) - s
                        dv = table[np.uint32(at_v)] + np.float32(down) - t
                        distance = du * du + dv * dv
                        if distance < near:
                            near, next_, best_row, best_column = distance, near, row, column
                        elif distance < next_:
                            next_ = distance
                place = ((own // SIDE + best_row) & MASK) * SIDE + ((own + best_column) & MASK)
                nearest[b, y, x], second[b, y, x] = np.sqrt(near), np.sqrt(next_)
                number[b, y, x] = table[np.uint32(place)]


@compiled
def inside_regions(frames: Numbers, cut: bool, field: Numbers) -> None:
    """Noise ``[B, h, w]`` to how far inside a region pixels are; see ``synth.masks.inwardness``.

    Args:
        frames: ``[B, 9]`` float64: x and y of the first pixel from the centre, what u and v gain for a column and for a
            row (4), strength of the noise, value in the middle, and 1 for a box.
        cut: To 0..1.
        field: ``[B, h, w]``, noise; written to.
    """
    for b in range(len(field)):
        inside_region(frames[b], cut, field[b])


@compiled
def draw_dots(
    layers: Numbers, points: Numbers, reach: Numbers, steep: Numbers, strength: Numbers, canvas: Numbers
) -> None:
    """See ``synth.stamps``; ``reach [N]`` is where a dot has run out, and ``steep [N]`` its slope, for a pixel."""
    height, width = canvas.shape[1:]
    for n in range(len(layers)):
        px, py, far = points[n, 0], points[n, 1], reach[n]
        plane = canvas[layers[n]]
        for y in range(max(int(np.floor(py - far)), 0), min(int(np.ceil(py + far)) + 1, height)):
            dy = np.float32(y) - py
            for x in range(max(int(np.floor(px - far)), 0), min(int(np.ceil(px + far)) + 1, width)):
                dx = np.float32(x) - px
                value = min(max((far - np.sqrt(dx * dx + dy * dy)) * steep[n], ZERO), ONE) * strength[n]
                plane[y, x] = max(plane[y, x], value)


@compiled
def sample(picture: Numbers, columns: Numbers, rows: Numbers, mirrored: bool, out: Numbers) -> None:
    """A picture ``[C, H, W]`` at places ``[h, w]``, in between bilinear; see ``synth.sources.sampled``."""
    height, width = picture.shape[1:]
    for y in range(out.shape[1]):
        for x in range(out.shape[2]):
            across, down = columns[y, x], rows[y, x]
            if mirrored:
                across, down = _mirrored(across, width), _mirrored(down, height)
            sample_place(picture, across, down, out[:, y], x)


@part_of_others
def _mirrored(place: Any, length: int) -> Any:
    """A place brought into -1/2..length - 1/2 by mirrors at both ends."""
    far = np.float32(length)
    place = abs(place + HALF)
    turns = np.floor(place / far)
    rest = place - turns * far
    return (rest if int(turns) % 2 == 0 else far - rest) - HALF


@compiled
def uncover(
    fields: Numbers,
    others: Numbers,
    lower: Numbers,
    levels: Numbers,
    opacity: Numbers,
    regions: Numbers,
    confined: Numbers,
    out: Numbers,
) -> None:
    """How much of what lies behind shows where noise is high; see ``synth.families.perlin``.

    Args:
        fields: ``[B + K, 1, h, w]``, noise, that of a second mask behind that of the first.
        others: ``[B]`` int64, which field the second mask is; -1 for none.
        lower: ``[B]`` bool, the lower of both counts, else the higher.
        levels: ``[B]`` float32, from which on noise is high.
        opacity: ``[B]`` float32.
        regions: ``[L, 1, h, w]``, shares by which masks are multiplied.
        confined: ``[B]`` int64, which region; -1 for none.
        out: ``[B, h, w]``.
    """
    count, height, width = out.shape
    for b in range(count):
        for y in range(height):
            one, share = fields[b, 0, y], out[b, y]
            for x in range(width):
                share[x] = one[x]
            if others[b] >= 0:
                other = fields[others[b], 0, y]
                if lower[b]:
                    for x in range(width):
                        share[x] = min(share[x], other[x])
                else:
                    for x in range(width):
                        share[x] = max(share[x], other[x])
            for x in range(width):
                share[x] = min(max((share[x] - levels[b]) * STEEP, ZERO), ONE) * opacity[b]
            if confined[b] >= 0:
                region = regions[confined[b], 0, y]
                for x in range(width):
                    share[x] *= region[x]


@compiled
def lay(places: Numbers, content: Numbers, shares: Numbers, image: Numbers) -> None:
    """Blend content ``[C, K]`` in at places ``[K]`` of an image ``[C, N]``, by shares ``[N]``."""
    for c in range(len(image)):
        new, line = content[c], image[c]
        for k in range(len(places)):
            place = places[k]
            line[place] += (new[k] - line[place]) * shares[place]
