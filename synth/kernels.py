"""Loops over pixels, compiled by Numba at their first call and kept in a cache from then on; see ``synth.compiled``.

Images are float32 and contiguous, ``[B, C, H, W]``. Nothing is reordered for speed (no ``fastmath``), so that the same
input gives the same bits on every machine. The interpreter is free for other threads meanwhile (``nogil``).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numba
import numpy as np

from synth.noise import SIDE, Numbers

F = TypeVar("F", bound=Callable[..., Any])

_MASK = SIDE - 1
_NEXT_EVEN = np.float32(12582912.0)
"""1.5 times 2^23: adding it to a smaller number and taking it away again rounds to whole numbers, halves to even."""
_ZERO, _HALF, _ONE, _QUARTER, _FOUR = (np.float32(value) for value in (0, 0.5, 1, 0.25, 4))
_TWO, _THREE = np.float32(2), np.float32(3)
_SIX, _TEN, _FIFTEEN = np.float32(6), np.float32(10), np.float32(15)
_JACOBI = (np.float32(1.39 / 4), np.float32(0.562 / 4))
_STEEP = np.float32(12)
"""Slope at the edge of Perlin masks."""
_LEAST = np.float32(1e-9)


def compiled(function: F) -> F:
    """Compile a function at its first call, and keep the result in a folder for the next process.

    Beside the code if that can be written to, else in the user's cache. Where neither can, or the disk is full, it is
    compiled in every process anew.
    """
    try:
        fast = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # Numba found no folder
        fast = numba.njit(nogil=True, error_model="numpy")(function)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return fast(*arguments)
        except OSError:  # compiled, but the cache could not be written; loops over pixels raise none
            return fast(*arguments)

    return call  # type: ignore[return-value]


_part_of_others = numba.njit(nogil=True, error_model="numpy")


@compiled
def in_range(values: Numbers) -> bool:
    """Whether all numbers ``[N]`` lie in 0..1."""
    bad = 0
    for i in range(len(values)):
        bad |= not ((values[i] >= _ZERO) & (values[i] <= _ONE))
    return bad == 0


@compiled
def is_whole(values: Numbers) -> bool:
    """Whether all numbers ``[N]`` are 0 or 1."""
    other = 0
    for i in range(len(values)):
        other |= (values[i] != _ZERO) & (values[i] != _ONE)
    return other == 0


@compiled
def find_changes(
    before: Numbers,
    after: Numbers,
    masks: Numbers,
    row: int,
    left: int,
    top: int,
    width: int,
    height: int,
    levels: Any,
    least: Any,
) -> None:
    """See ``synth.families.base.visible_change``; in a box of one image of a batch."""
    for y in range(top, top + height):
        line = masks[row, 0, y, left : left + width]
        line[:] = _ZERO
        for c in range(before.shape[1]):
            old, new = before[row, c, y, left : left + width], after[row, c, y, left : left + width]
            for x in range(width):
                a = (new[x] * levels + _NEXT_EVEN) - _NEXT_EVEN
                b = (old[x] * levels + _NEXT_EVEN) - _NEXT_EVEN
                line[x] = max(line[x], _ONE if abs(a - b) >= least else _ZERO)


@compiled
def cut(images: Numbers, rows: Numbers, boxes: Numbers, out: Numbers) -> None:
    """Copy boxes (left, top, width, height) of some images to ``[N, C, h, w]``."""
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        for c in range(out.shape[1]):
            for y in range(height):
                source, target = images[rows[n], c, top + y, left : left + width], out[n, c, y]
                for x in range(width):
                    target[x] = source[x]


@compiled
def place(mask: Numbers, mass: Numbers, rows: Numbers, fractions: Numbers, out: Numbers) -> None:
    """Places in masks; see ``synth.ground.Ground.place``.

    Args:
        mask: ``[B, 1, H, W]``, 0 or 1.
        mass: ``[B, H]`` float64, pixels in all lines up to each.
        rows: ``[N]`` which masks.
        fractions: ``[N, 2]`` float64 (x, y), at least 0 and below 1.
        out: ``[N, 2]`` float32.
    """
    for n in range(len(rows)):
        counts = mass[rows[n]]
        y, wanted = 0, fractions[n, 1] * counts[-1]
        while y < len(counts) - 1 and counts[y] <= wanted:
            y += 1
        out[n, 0], out[n, 1] = _along(mask[rows[n], 0, y], fractions[n, 0]), y


@compiled
def place_at_border(mask: Numbers, rows: Numbers, fractions: Numbers, out: Numbers) -> None:
    """As ``place``, on the outermost pixels of masks."""
    height, width = mask.shape[2:]
    narrow, line, counts = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(height)
    for n in range(len(rows)):
        plane = mask[rows[n], 0]
        total = 0.0
        for y in range(height):
            _border_line(plane, y, narrow, line)
            count = _ZERO
            for x in range(width):
                count += line[x]
            total += float(count)
            counts[y] = total
        y, wanted = 0, fractions[n, 1] * total
        while y < height - 1 and counts[y] <= wanted:
            y += 1
        _border_line(plane, y, narrow, line)
        out[n, 0], out[n, 1] = _along(line, fractions[n, 0]), y


@_part_of_others
def _border_line(plane: Numbers, y: int, narrow: Numbers, line: Numbers) -> None:
    """Pixels of a line of a mask that have one of the eight around them outside of it, or lie at the picture's edge."""
    height, width = plane.shape
    if y == 0 or y == height - 1:
        line[:] = plane[y]
        return
    above, here, below = plane[y - 1], plane[y], plane[y + 1]
    for x in range(width):
        narrow[x] = min(min(above[x], here[x]), below[x])
    before, after, middle = narrow[:-2], narrow[2:], narrow[1:-1]
    inner, outer = here[1:-1], line[1:-1]
    for x in range(width - 2):
        outer[x] = inner[x] - min(min(before[x], after[x]), middle[x])
    line[0], line[width - 1] = here[0], here[width - 1]


@_part_of_others
def _along(line: Numbers, fraction: float) -> int:
    """The first place of a line at which more than a share of its mass is reached."""
    total = 0.0
    for x in range(len(line)):
        total += line[x]
    wanted, reached = fraction * total, 0.0
    for x in range(len(line)):
        reached += line[x]
        if reached > wanted:
            return x
    return len(line) - 1


@compiled
def put_back(content: Numbers, allowed: Numbers, corners: Numbers, boxes: Numbers, rows: Numbers, out: Numbers) -> None:
    """Write what was painted in windows, cut to 0..1, to boxes of some images of a batch.

    Args:
        content: ``[N, C, h, w]``.
        allowed: ``[N, 1, h, w]``, 0 keeps the image and 1 takes the content; empty is 1 everywhere.
        corners: ``[N, 2]`` left and top of the windows.
        boxes: ``[N, 4]`` left, top, width, height of what is written back.
        rows: ``[N]`` which images.
        out: ``[B, C, H, W]``.
    """
    everywhere = allowed.shape[0] == 0
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        right, down = left - corners[n, 0], top - corners[n, 1]
        for c in range(content.shape[1]):
            for y in range(height):
                new = content[n, c, down + y, right : right + width]
                old = out[rows[n], c, top + y, left : left + width]
                if everywhere:
                    for x in range(width):
                        old[x] = min(max(new[x], _ZERO), _ONE)
                else:
                    share = allowed[n, 0, down + y, right : right + width]
                    for x in range(width):
                        value = min(max(new[x], _ZERO), _ONE)
                        old[x] = value if share[x] > _HALF else old[x]


@compiled
def mean_colours(images: Numbers, mask: Numbers, rows: Numbers, x: Numbers, y: Numbers, out: Numbers) -> None:
    """Mean of images at columns ``x [N, P]`` and rows ``y [N, P]``, of allowed places first; to ``[N, C]`` float64."""
    everywhere = mask.shape[0] == 0
    channels = images.shape[1]
    for n in range(len(rows)):
        row = rows[n]
        total = 0.0
        out[n] = 0.0
        for i in range(y.shape[1]):
            for j in range(x.shape[1]):
                down, across = y[n, i], x[n, j]
                weight = 1.0 if everywhere else mask[row, 0, down, across] + 1e-6
                total += weight
                for c in range(channels):
                    out[n, c] += weight * images[row, c, down, across]
        out[n] /= total


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
    count, height, width = out.shape
    # Without a sign, as places counted from the end would be looked for otherwise.
    cell, part, fade = np.empty(width, np.uint32), np.empty(width, np.float32), np.empty(width, np.float32)
    upper_x = np.empty(width + 2, np.float32)
    upper_y, slope = np.empty_like(upper_x), np.empty_like(upper_x)
    lower_x, lower_y, level = np.empty_like(upper_x), np.empty_like(upper_x), np.empty_like(upper_x)
    strength = np.float32(2**0.5)
    for octave in range(len(starts)):
        for b in range(count):
            start = starts[octave, b]
            across = steps[octave, b, 1]
            first = np.int64(np.floor((corners[b, 1] + 0.5) * across))
            for x in range(width):
                place = (corners[b, 1] + (x + 0.5)) * across
                whole = np.floor(place)
                t = np.float32(place - whole)
                cell[x], part[x] = np.uint32(np.int64(whole) - first), t
                fade[x] = t * t * t * (t * (_SIX * t - _FIFTEEN) + _TEN)
            points = np.int64(cell[width - 1]) + 2
            slope_after, level_after = slope[1:], level[1:]
            here = np.int64(-1)
            for y in range(height):
                place = (corners[b, 0] + (y + 0.5)) * steps[octave, b, 0]
                row = np.int64(np.floor(place))
                ty = np.float32(place - row)
                fade_y = ty * ty * ty * (ty * (_SIX * ty - _FIFTEEN) + _TEN)
                if y == 0 or row != here:
                    here = row
                    above = ((start // SIDE + row) & _MASK) * SIDE
                    below = ((start // SIDE + row + 1) & _MASK) * SIDE
                    for p in range(points):
                        column = (start + first + p) & _MASK
                        upper_x[p], upper_y[p] = cosines[above + column], sines[above + column]
                        lower_x[p], lower_y[p] = cosines[below + column], sines[below + column]
                for p in range(points):
                    slope[p] = upper_x[p] + fade_y * (lower_x[p] - upper_x[p])
                    high, low = upper_y[p] * ty, lower_y[p] * (ty - _ONE)
                    level[p] = high + fade_y * (low - high)
                line = out[b, y]
                for x in range(width):
                    p, t = cell[x], part[x]
                    before = slope[p] * t + level[p]
                    after = slope_after[p] * (t - _ONE) + level_after[p]
                    value = strength * (before + fade[x] * (after - before))
                    line[x] = value if octave == 0 else line[x] + value
        strength *= _HALF


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
    cell, part = np.empty(width, np.uint32), np.empty(width, np.float32)
    upper = np.empty(width + 2, np.float32)
    lower, level = np.empty_like(upper), np.empty_like(upper)
    for b in range(count):
        start, across = starts[b], steps[b, 1]
        first = np.int64(np.floor((corners[b, 1] + 0.5) * across))
        for x in range(width):
            place = (corners[b, 1] + (x + 0.5)) * across
            whole = np.floor(place)
            cell[x], part[x] = np.uint32(np.int64(whole) - first), np.float32(place - whole)
        points = np.int64(cell[width - 1]) + 2
        level_after = level[1:]
        here = np.int64(-1)
        for y in range(height):
            place = (corners[b, 0] + (y + 0.5)) * steps[b, 0]
            row = np.int64(np.floor(place))
            t = np.float32(place - row)
            if y == 0 or row != here:
                here = row
                above = ((start // SIDE + row) & _MASK) * SIDE
                below = ((start // SIDE + row + 1) & _MASK) * SIDE
                for p in range(points):
                    column = (start + first + p) & _MASK
                    upper[p], lower[p] = table[above + column] - _HALF, table[below + column] - _HALF
            for p in range(points):
                level[p] = amounts[b] * (upper[p] + t * (lower[p] - upper[p]))
            line = out[b, 0, y]
            for x in range(width):
                p = cell[x]
                line[x] = level[p] + part[x] * (level_after[p] - level[p])
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
                s, t = s * s * (_THREE - _TWO * s), t * t * (_THREE - _TWO * t)
                left, top = across + np.int64(whole_u), down + np.int64(whole_v)
                above, below = np.uint32((top & _MASK) * SIDE), np.uint32(((top + 1) & _MASK) * SIDE)
                here, beside = np.uint32(left & _MASK), np.uint32((left + 1) & _MASK)
                upper = table[above + here] + s * (table[above + beside] - table[above + here])
                lower = table[below + here] + s * (table[below + beside] - table[below + here])
                values[x] = upper + t * (lower - upper)


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
                        at_u = ((first // SIDE + row) & _MASK) * SIDE + ((first + column) & _MASK)
                        at_v = ((other // SIDE + row) & _MASK) * SIDE + ((other + column) & _MASK)
                        du = table[np.uint32(at_u)] + np.float32(across) - s
                        dv = table[np.uint32(at_v)] + np.float32(down) - t
                        distance = du * du + dv * dv
                        if distance < near:
                            near, next_, best_row, best_column = distance, near, row, column
                        elif distance < next_:
                            next_ = distance
                place = ((own // SIDE + best_row) & _MASK) * SIDE + ((own + best_column) & _MASK)
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
    for b in range(field.shape[0]):
        x0, y0, u_x, u_y, v_x, v_y = frames[b, :6]
        rough, middle, square = np.float32(frames[b, 6]), np.float32(frames[b, 7]), frames[b, 8] > 0
        across, along = np.float32(u_x), np.float32(v_x)
        for y in range(field.shape[1]):
            u0, v0 = np.float32(x0 * u_x + (y0 + y) * u_y), np.float32(x0 * v_x + (y0 + y) * v_y)
            line = field[b, y]
            if square:
                for x in range(len(line)):
                    u, v = u0 + across * np.float32(x), v0 + along * np.float32(x)
                    line[x] = line[x] * rough - max(abs(u), abs(v)) + middle
            else:
                for x in range(len(line)):
                    u, v = u0 + across * np.float32(x), v0 + along * np.float32(x)
                    line[x] = line[x] * rough - np.sqrt(u * u + v * v) + middle
            if cut:
                for x in range(len(line)):
                    line[x] = min(max(line[x], _ZERO), _ONE)


@compiled
def mix(images: Numbers, share: Numbers, colours: Numbers, amounts: Numbers, out: Numbers) -> None:
    """Move images ``[B, C, h, w]`` towards colours ``[B, C]``, by shares ``[B, 1, h, w]`` times amounts ``[B]``."""
    for b in range(images.shape[0]):
        amount = amounts[b]
        for c in range(images.shape[1]):
            colour = colours[b, c]
            for y in range(images.shape[2]):
                source, part, target = images[b, c, y], share[b, 0, y], out[b, c, y]
                for x in range(images.shape[3]):
                    target[x] = source[x] + (colour - source[x]) * (part[x] * amount)


@compiled
def draw_dots(layers: Numbers, points: Numbers, reach: Numbers, strength: Numbers, canvas: Numbers) -> None:
    """See ``synth.stamps.stamp``; ``reach [N]`` is where a dot has run out."""
    height, width = canvas.shape[1:]
    for n in range(len(layers)):
        px, py, far = points[n, 0], points[n, 1], reach[n]
        plane = canvas[layers[n]]
        for y in range(max(int(np.floor(py - far)), 0), min(int(np.ceil(py + far)) + 1, height)):
            dy = np.float32(y) - py
            for x in range(max(int(np.floor(px - far)), 0), min(int(np.ceil(px + far)) + 1, width)):
                dx = np.float32(x) - px
                value = min(max(far - np.sqrt(dx * dx + dy * dy), _ZERO), _ONE) * strength[n]
                plane[y, x] = max(plane[y, x], value)


@compiled
def sample(picture: Numbers, columns: Numbers, rows: Numbers, mirrored: bool, out: Numbers) -> None:
    """A picture ``[C, H, W]`` at places ``[h, w]``, in between bilinear; see ``synth.sources.sampled``."""
    channels, height, width = picture.shape
    for y in range(out.shape[1]):
        for x in range(out.shape[2]):
            across, down = columns[y, x], rows[y, x]
            if mirrored:
                across, down = _mirrored(across, width), _mirrored(down, height)
            across = min(max(across, _ZERO), np.float32(width - 1))
            down = min(max(down, _ZERO), np.float32(height - 1))
            left, top = int(across), int(down)
            right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
            tx, ty = across - np.float32(left), down - np.float32(top)
            for c in range(channels):
                upper = picture[c, top, left] + tx * (picture[c, top, right] - picture[c, top, left])
                lower = picture[c, bottom, left] + tx * (picture[c, bottom, right] - picture[c, bottom, left])
                out[c, y, x] = upper + ty * (lower - upper)


@_part_of_others
def _mirrored(place: Any, length: int) -> Any:
    """A place brought into -1/2..length - 1/2 by mirrors at both ends."""
    far = np.float32(length)
    place = abs(place + _HALF)
    turns = np.floor(place / far)
    rest = place - turns * far
    return (rest if int(turns) % 2 == 0 else far - rest) - _HALF


@compiled
def shrink(images: Numbers, out: Numbers) -> None:
    """Means over areas, ``[B, C, H, W]`` to ``[B, C, h, w]``; areas that share a pixel both count it."""
    height, width = images.shape[2:]
    high, wide = out.shape[2:]
    columns = np.empty(width, np.float32)
    for b in range(images.shape[0]):
        for c in range(images.shape[1]):
            for y in range(high):
                first, last = (y * height) // high, -((-(y + 1) * height) // high)
                columns[:] = images[b, c, first]
                for row in range(first + 1, last):
                    line = images[b, c, row]
                    for x in range(width):
                        columns[x] += line[x]
                for x in range(wide):
                    left, right = (x * width) // wide, -((-(x + 1) * width) // wide)
                    total = _ZERO
                    for column in range(left, right):
                        total += columns[column]
                    out[b, c, y, x] = total / np.float32((right - left) * (last - first))


@compiled
def reveal(
    images: Numbers,
    content: Numbers,
    fields: Numbers,
    others: Numbers,
    lower: Numbers,
    levels: Numbers,
    opacity: Numbers,
    regions: Numbers,
    confined: Numbers,
    out: Numbers,
) -> None:
    """Blend content in where noise is high; see ``synth.families.perlin``.

    Args:
        images: ``[B, C, h, w]``.
        content: ``[B, C, h, w]``.
        fields: ``[B + K, 1, h, w]``, noise, that of a second mask behind that of the first.
        others: ``[B]`` int64, which field the second mask is; -1 for none.
        lower: ``[B]`` bool, the lower of both counts, else the higher.
        levels: ``[B]`` float32, from which on noise is high.
        opacity: ``[B]`` float32.
        regions: ``[L, 1, h, w]``, shares by which masks are multiplied.
        confined: ``[B]`` int64, which region; -1 for none.
        out: ``[B, C, h, w]``.
    """
    count, channels, height, width = images.shape
    share = np.empty(width, np.float32)
    for b in range(count):
        for y in range(height):
            one = fields[b, 0, y]
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
                share[x] = min(max((share[x] - levels[b]) * _STEEP, _ZERO), _ONE) * opacity[b]
            if confined[b] >= 0:
                region = regions[confined[b], 0, y]
                for x in range(width):
                    share[x] *= region[x]
            for c in range(channels):
                old, new, line = images[b, c, y], content[b, c, y], out[b, c, y]
                for x in range(width):
                    line[x] = old[x] + (new[x] - old[x]) * share[x]


@compiled
def fill_smoothly(values: Numbers, unknown: Numbers, largest: int, coarsest: int, out: Numbers) -> None:
    """Full multigrid; see ``synth.blending.membrane``.

    Args:
        values: ``[B, C, h, w]``.
        unknown: ``[B, 1, h, w]`` bool.
        largest: Side of the finest grid that is worked on.
        coarsest: Cells of a grid that is solved directly.
        out: ``[B, C, h, w]``.
    """
    count, channels, height, width = values.shape
    heights, widths, starts = np.empty(32, np.int64), np.empty(32, np.int64), np.zeros(33, np.int64)
    heights[0], widths[0], starts[1] = height, width, height * width
    last, top = 0, 0
    while max(heights[last], widths[last]) > largest or heights[last] * widths[last] > coarsest:
        top += max(heights[last], widths[last]) > largest
        heights[last + 1], widths[last + 1] = (heights[last] + 1) // 2, (widths[last] + 1) // 2
        last += 1
        starts[last + 1] = starts[last] + heights[last] * widths[last]
    total = starts[last + 1]
    weights, known, filled = np.empty(total, np.float32), np.empty(total, np.float32), np.empty(total, np.float32)
    right, rest = np.empty(total, np.float32), np.empty(total, np.float32)
    cells = heights[last] * widths[last]
    for b in range(count):
        fine = _plane(weights, starts, heights, widths, 0)
        for y in range(height):
            for x in range(width):
                fine[y, x] = _ZERO if unknown[b, 0, y, x] else _ONE
        for level in range(last):
            _halve(_plane(weights, starts, heights, widths, level), _plane(weights, starts, heights, widths, level + 1))
        factors = _factors(_plane(weights, starts, heights, widths, last))
        for c in range(channels):
            fine = _plane(known, starts, heights, widths, 0)
            for y in range(height):
                for x in range(width):
                    fine[y, x] = _ZERO if unknown[b, 0, y, x] else values[b, c, y, x]
            for level in range(last):
                _halve_known(starts, heights, widths, known, weights, level)
            _solve(factors, known[starts[last] :], filled[starts[last] :], cells, _ONE)
            for level in range(last - 1, -1, -1):
                finer, coarser = (
                    _plane(filled, starts, heights, widths, level),
                    _plane(filled, starts, heights, widths, level + 1),
                )
                _double(coarser, finer)
                if level < top:
                    continue
                for i in range(starts[level], starts[level + 1]):
                    if weights[i] > _ZERO:
                        filled[i] = known[i]
                _v_cycle(starts, heights, widths, filled, right, rest, weights, factors, level, last)
            fine = _plane(filled, starts, heights, widths, 0)
            for y in range(height):
                for x in range(width):
                    out[b, c, y, x] = fine[y, x] if unknown[b, 0, y, x] else values[b, c, y, x]


@_part_of_others
def _plane(flat: Numbers, starts: Numbers, heights: Numbers, widths: Numbers, level: int) -> Any:
    """A grid out of the array that holds all of them."""
    return flat[starts[level] : starts[level + 1]].reshape((heights[level], widths[level]))


@_part_of_others
def _v_cycle(
    starts: Numbers,
    heights: Numbers,
    widths: Numbers,
    filled: Numbers,
    right: Numbers,
    rest: Numbers,
    weights: Numbers,
    factors: Numbers,
    first: int,
    last: int,
) -> None:
    """Correct ``filled`` on a grid; on the coarser ones, where it is no longer needed, errors are held in it."""
    right[starts[first] : starts[first + 1]] = _ZERO
    for level in range(first, last):
        value, wanted = _plane(filled, starts, heights, widths, level), _plane(right, starts, heights, widths, level)
        weight, spare = _plane(weights, starts, heights, widths, level), _plane(rest, starts, heights, widths, level)
        _relax(value, wanted, weight, spare)
        _residual(value, wanted, weight, spare)
        coarse = _plane(right, starts, heights, widths, level + 1)
        _halve(spare, coarse)
        for i in range(starts[level + 1], starts[level + 2]):
            right[i] = _FOUR * right[i] if weights[i] == _ZERO else _ZERO
            filled[i] = _ZERO
    _solve(factors, right[starts[last] :], filled[starts[last] :], heights[last] * widths[last], -_ONE)
    for level in range(last - 1, first - 1, -1):
        value, wanted = _plane(filled, starts, heights, widths, level), _plane(right, starts, heights, widths, level)
        weight, spare = _plane(weights, starts, heights, widths, level), _plane(rest, starts, heights, widths, level)
        _double(_plane(filled, starts, heights, widths, level + 1), spare)
        for y in range(value.shape[0]):
            for x in range(value.shape[1]):
                value[y, x] += spare[y, x] if weight[y, x] == _ZERO else _ZERO
        _relax(value, wanted, weight, spare)


@_part_of_others
def _relax(value: Numbers, right: Numbers, weight: Numbers, rest: Numbers) -> None:
    """A pair of Jacobi steps."""
    for step in _JACOBI:
        _residual(value, right, weight, rest)
        for y in range(value.shape[0]):
            for x in range(value.shape[1]):
                value[y, x] += step * rest[y, x]


@_part_of_others
def _residual(value: Numbers, right: Numbers, weight: Numbers, out: Numbers) -> None:
    """The right side plus the sum of the differences to the four neighbours, none across the edges; 0 where known."""
    height, width = value.shape
    for y in range(height):
        above, here, below = value[max(y - 1, 0)], value[y], value[min(y + 1, height - 1)]
        line, wanted, fixed = out[y], right[y], weight[y]
        for x in range(width):
            line[x] = wanted[x] + above[x] + below[x] - _FOUR * here[x]
        line[0] += here[0]
        line[width - 1] += here[width - 1]
        for x in range(1, width):
            line[x] += here[x - 1]
        for x in range(width - 1):
            line[x] += here[x + 1]
        for x in range(width):
            line[x] = line[x] if fixed[x] == _ZERO else _ZERO


@_part_of_others
def _halve(fine: Numbers, coarse: Numbers) -> None:
    """Means of two by two cells, of fewer at the end of an odd number of lines."""
    height, width = fine.shape
    for y in range(coarse.shape[0]):
        below = min(2 * y + 1, height - 1)
        upper, lower = fine[2 * y], fine[below]
        for x in range(coarse.shape[1]):
            beside = min(2 * x + 1, width - 1)
            coarse[y, x] = _QUARTER * (upper[2 * x] + upper[beside] + lower[2 * x] + lower[beside])


@_part_of_others
def _halve_known(
    starts: Numbers, heights: Numbers, widths: Numbers, known: Numbers, weights: Numbers, level: int
) -> None:
    """Means of what is known, by its weight."""
    fine, weight = _plane(known, starts, heights, widths, level), _plane(weights, starts, heights, widths, level)
    coarse, heavy = (
        _plane(known, starts, heights, widths, level + 1),
        _plane(weights, starts, heights, widths, level + 1),
    )
    height, width = fine.shape
    for y in range(coarse.shape[0]):
        below = min(2 * y + 1, height - 1)
        for x in range(coarse.shape[1]):
            beside = min(2 * x + 1, width - 1)
            upper = fine[2 * y, 2 * x] * weight[2 * y, 2 * x] + fine[2 * y, beside] * weight[2 * y, beside]
            lower = fine[below, 2 * x] * weight[below, 2 * x] + fine[below, beside] * weight[below, beside]
            coarse[y, x] = _QUARTER * (upper + lower) / max(heavy[y, x], _LEAST)


@_part_of_others
def _double(coarse: Numbers, fine: Numbers) -> None:
    """A grid at twice the resolution, in between bilinear."""
    height, width = coarse.shape
    near = _ONE - _QUARTER
    for y in range(fine.shape[0]):
        k = y // 2
        other = max(k - 1, 0) if y % 2 == 0 else min(k + 1, height - 1)
        this, that, line = coarse[k], coarse[other], fine[y]
        for x in range(fine.shape[1]):
            i = x // 2
            j = max(i - 1, 0) if x % 2 == 0 else min(i + 1, width - 1)
            line[x] = near * (near * this[i] + _QUARTER * that[i]) + _QUARTER * (near * this[j] + _QUARTER * that[j])


@_part_of_others
def _factors(weight: Numbers) -> Any:
    """Triangular factors of the equations of a small grid: Laplace's where the weight is 0, the value itself elsewhere.

    Rows are diagonally dominant, so that no pivot needs to be sought.
    """
    height, width = weight.shape
    cells = height * width
    equations = np.zeros((cells, cells), np.float64)
    for y in range(height):
        for x in range(width):
            i = y * width + x
            if weight[y, x] > _ZERO:
                equations[i, i] = 1
                continue
            # Where nothing is known, any constant would do: a little of the values themselves makes that 0.
            equations[i, i] = -1e-9
            for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                if 0 <= y + down < height and 0 <= x + across < width:
                    equations[i, i + down * width + across] = 1
                    equations[i, i] -= 1
    for k in range(cells):
        for i in range(k + 1, min(k + width + 1, cells)):  # a band: neighbours are a line apart at most
            share = equations[i, k] / equations[k, k]
            equations[i, k] = share
            if share != 0:
                for j in range(k + 1, min(k + width + 1, cells)):
                    equations[i, j] -= share * equations[k, j]
    return equations


@_part_of_others
def _solve(factors: Numbers, right: Numbers, out: Numbers, cells: int, sign: Any) -> None:
    """Solve the equations for a right side times a sign."""
    found = np.empty(cells, np.float64)
    for i in range(cells):
        value = np.float64(sign * right[i])
        for j in range(i):
            value -= factors[i, j] * found[j]
        found[i] = value
    for i in range(cells - 1, -1, -1):
        value = found[i]
        for j in range(i + 1, cells):
            value -= factors[i, j] * found[j]
        found[i] = value / factors[i, i]
    for i in range(cells):
        out[i] = np.float32(found[i])
