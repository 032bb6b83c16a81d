"""Loops over pixels, compiled by Numba at their first call and kept in a cache from then on; see ``synth.compiled``.

Images are float32 and contiguous, ``[B, C, H, W]``. Nothing is reordered for speed (no ``fastmath``), so that the same
input gives the same bits on every machine. The interpreter is free for other threads meanwhile (``nogil``).
"""

from typing import Any

import numpy as np

from synth.jit import compiled, part_of_others
from synth.noise import LEAST_PERIOD, MOST_CELLS, SIDE, Numbers

_MASK = SIDE - 1
_NEXT_EVEN = np.float32(12582912.0)
"""1.5 times 2^23: adding it to a smaller number and taking it away again rounds to whole numbers, halves to even."""
_ZERO, _HALF, _ONE = (np.float32(value) for value in (0, 0.5, 1))
_TWO, _THREE = np.float32(2), np.float32(3)
_SIX, _TEN, _FIFTEEN = np.float32(6), np.float32(10), np.float32(15)
_STEEP = np.float32(12)
"""Slope at the edge of Perlin masks."""
_DARK, _BRIGHT = np.float32(0.12), np.float32(0.88)
_SIXTEEN, _FAR, _MOST_DENSE = np.float32(16), np.float32(40), np.float32(0.97)
_STREAKY, _STEADY, _SHADED = np.float32(1.6), np.float32(0.4), np.float32(0.4)
_BAND = 2**15
"""Pixels of a flaw that are painted at once: few enough to stay in a processor's cache."""


@compiled
def in_range(values: Numbers) -> bool:
    """Whether all numbers ``[N]`` lie in 0..1."""
    bad = 0
    for i in range(len(values)):
        bad |= not ((values[i] >= _ZERO) & (values[i] <= _ONE))
    return bad == 0


@compiled
def copy_in_range(values: Numbers, out: Numbers) -> bool:
    """Copy numbers ``[N]``, and say whether all of them lie in 0..1."""
    bad = 0
    for i in range(len(values)):
        out[i] = values[i]
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


@part_of_others
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


@part_of_others
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
            _noise(starts[octave, b], corners[b, 0], corners[b, 1], down, across, octave, cosines, sines, out[b])


@part_of_others
def _noise(
    start: Any,
    top: Any,
    left: Any,
    down: Any,
    across: Any,
    octave: Any,
    cosines: Numbers,
    sines: Numbers,
    out: Numbers,
) -> None:
    """One octave of one field in a plane: the first is written, further ones are added."""
    height, width = out.shape
    # Without a sign, as places counted from the end would be looked for otherwise.
    cell, part, fade = np.empty(width, np.uint32), np.empty(width, np.float32), np.empty(width, np.float32)
    strength = np.float32(2**0.5 * 0.5**octave)
    first = np.int64(np.floor((left + 0.5) * across))
    for x in range(width):
        place = (left + (x + 0.5)) * across
        whole = np.floor(place)
        t = np.float32(place - whole)
        cell[x], part[x] = np.uint32(np.int64(whole) - first), t
        fade[x] = t * t * t * (t * (_SIX * t - _FIFTEEN) + _TEN)
    points = np.int64(cell[width - 1]) + 2
    spare = np.empty((6, points), np.float32)
    upper_x, upper_y, lower_x, lower_y, slope, level = spare[0], spare[1], spare[2], spare[3], spare[4], spare[5]
    slope_after, level_after = slope[1:], level[1:]
    here = np.int64(-1)
    for y in range(height):
        place = (top + (y + 0.5)) * down
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
            slope[p] = strength * (upper_x[p] + fade_y * (lower_x[p] - upper_x[p]))
            high, low = upper_y[p] * ty, lower_y[p] * (ty - _ONE)
            level[p] = strength * (high + fade_y * (low - high))
        line = out[y]
        if octave == 0:
            for x in range(width):
                p, t = cell[x], part[x]
                before = slope[p] * t + level[p]
                line[x] = before + fade[x] * (slope_after[p] * (t - _ONE) + level_after[p] - before)
        else:
            for x in range(width):
                p, t = cell[x], part[x]
                before = slope[p] * t + level[p]
                line[x] += before + fade[x] * (slope_after[p] * (t - _ONE) + level_after[p] - before)


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
        _values(starts[b], corners[b, 0], corners[b, 1], steps[b, 0], steps[b, 1], table, field)
        for y in range(height):
            line = field[y]
            for x in range(width):
                line[x] *= amounts[b]
            for c in range(channels - 1, -1, -1):
                other, colour = out[b, c, y], colours[b, c]
                for x in range(width):
                    other[x] = line[x] + colour


@part_of_others
def _values(start: Any, top: Any, left: Any, down: Any, across: Any, table: Numbers, out: Numbers) -> None:
    """Random values of a lattice in a plane, less a half, in between bilinear."""
    height, width = out.shape
    cell, part = np.empty(width, np.uint32), np.empty(width, np.float32)
    first = np.int64(np.floor((left + 0.5) * across))
    for x in range(width):
        place = (left + (x + 0.5)) * across
        whole = np.floor(place)
        cell[x], part[x] = np.uint32(np.int64(whole) - first), np.float32(place - whole)
    points = np.int64(cell[width - 1]) + 2
    spare = np.empty((3, points), np.float32)
    upper, lower, level = spare[0], spare[1], spare[2]
    level_after = level[1:]
    here = np.int64(-1)
    for y in range(height):
        place = (top + (y + 0.5)) * down
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
            level[p] = upper[p] + t * (lower[p] - upper[p])
        line = out[y]
        for x in range(width):
            p = cell[x]
            line[x] = level[p] + part[x] * (level_after[p] - level[p])


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
            middle = brightness[b] + _HALF * (low[b, c] + high[b, c])
            slope = contrast[b] + _HALF * (high[b, c] - low[b, c])
            for y in range(out.shape[2]):
                field, line = fields[b, y], out[b, c, y]
                for x in range(out.shape[3]):
                    line[x] = min(max(middle + slope * field[x], _ZERO), _ONE)


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
    for b in range(len(field)):
        _inside(frames[b], cut, field[b])


@part_of_others
def _inside(frame: Numbers, cut: bool, field: Numbers) -> None:
    """As ``inside_regions``, in one plane."""
    x0, y0, u_x, u_y, v_x, v_y = frame[:6]
    rough, middle, square = np.float32(frame[6]), np.float32(frame[7]), frame[8] > 0
    across, along = np.float32(u_x), np.float32(v_x)
    for y in range(field.shape[0]):
        u0, v0 = np.float32(x0 * u_x + (y0 + y) * u_y), np.float32(x0 * v_x + (y0 + y) * v_y)
        line = field[y]
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
    height, width = picture.shape[1:]
    for y in range(out.shape[1]):
        for x in range(out.shape[2]):
            across, down = columns[y, x], rows[y, x]
            if mirrored:
                across, down = _mirrored(across, width), _mirrored(down, height)
            _sample(picture, across, down, out[:, y], x)


@part_of_others
def _sample(picture: Numbers, across: Any, down: Any, out: Numbers, x: int) -> None:
    """A picture at one place, the outermost pixels beyond its border; to ``out[:, x]``."""
    channels, height, width = picture.shape
    across = min(max(across, _ZERO), np.float32(width - 1))
    down = min(max(down, _ZERO), np.float32(height - 1))
    left, top = int(across), int(down)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    tx, ty = across - np.float32(left), down - np.float32(top)
    for c in range(channels):
        upper = picture[c, top, left] + tx * (picture[c, top, right] - picture[c, top, left])
        lower = picture[c, bottom, left] + tx * (picture[c, bottom, right] - picture[c, bottom, left])
        out[c, x] = upper + ty * (lower - upper)


@part_of_others
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


# What follows paints whole flaws, in place: each in its own box, a band of lines at a time, without a copy of it.
#
# images: ``[B, C, H, W]``, written to; allowed: ``[B, 1, H, W]``, 0 or 1, empty for everywhere; rows: ``[N]`` which
# images; boxes: ``[N, 4]`` left, top, width, height; levels: ``[N, C]`` colour around; table: ``[N, K]`` float64, what
# ``synth.spots.Spots.table`` puts together: x and y of the centre, then the parameters that the loop's docstring names.


@compiled
def mean_levels(images: Numbers, mask: Numbers, rows: Numbers, boxes: Numbers, looked_at: int, out: Numbers) -> None:
    """Mean of images at so many places along each side of boxes, of allowed ones first; to ``[N, C]`` float32."""
    everywhere = mask.shape[0] == 0
    channels = images.shape[1]
    sums = np.empty(channels)
    for n in range(len(rows)):
        row = rows[n]
        total = 0.0
        sums[:] = 0.0
        for i in range(looked_at):
            share = np.float32((i + 0.5) / looked_at)
            down = np.int64(np.float32(boxes[n, 1]) + share * np.float32(boxes[n, 3]))
            for j in range(looked_at):
                share = np.float32((j + 0.5) / looked_at)
                across = np.int64(np.float32(boxes[n, 0]) + share * np.float32(boxes[n, 2]))
                weight = 1.0 if everywhere else mask[row, 0, down, across] + 1e-6
                total += weight
                for c in range(channels):
                    sums[c] += weight * images[row, c, down, across]
        for c in range(channels):
            out[n, c] = np.float32(sums[c] / total)


@compiled
def mean_outside(images: Numbers, mask: Numbers, rows: Numbers, step: int, means: Numbers, found: Numbers) -> None:
    """Mean of images where masks are 0, of every so many pixels, to ``[N, C]`` float32; and whether there is any."""
    channels = images.shape[1]
    sums = np.empty(channels)
    for n in range(len(rows)):
        row = rows[n]
        total = 0
        sums[:] = 0.0
        for y in range(0, mask.shape[2], step):
            for x in range(0, mask.shape[3], step):
                if mask[row, 0, y, x] < _HALF:
                    total += 1
                    for c in range(channels):
                        sums[c] += images[row, c, y, x]
        found[n] = total > 0
        for c in range(channels):
            means[n, c] = np.float32(sums[c] / max(total, 1))


@part_of_others
def _scrambled(seed: Any) -> Any:
    """See ``synth.noise``."""
    x = np.uint32(seed)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.int64((x ^ (x >> np.uint32(16))) & np.uint32(SIDE * SIDE - 1))


@part_of_others
def _roll(table: Numbers, seed: Any, number: Any) -> Any:
    """See ``synth.noise.uniforms`` and ``normals``, by the table."""
    return table[(_scrambled(seed) + number) & (SIDE * SIDE - 1)]


@part_of_others
def _fill_noise(
    seed: Any,
    cells_y: Any,
    cells_x: Any,
    octaves: Any,
    box: Any,
    size: Any,
    cosines: Numbers,
    sines: Numbers,
    out: Numbers,
) -> None:
    """Perlin noise from top and left of a box on; see ``synth.noise.perlin``."""
    cells_y, cells_x = max(cells_y, 1.0), max(cells_x, 1.0)
    for octave in range(octaves):
        start = _scrambled(seed + 0x9E37 * octave)
        down = min(cells_y * 2.0**octave, MOST_CELLS) / size[0]
        across = min(cells_x * 2.0**octave, MOST_CELLS) / size[1]
        _noise(start, box[0], box[1], down, across, octave, cosines, sines, out)


@part_of_others
def _half_axes(numbers: Numbers, size: Any) -> Any:
    """See ``synth.masks.half_axes``."""
    longer = max(numbers[2] * min(size[0], size[1]), 1.5)
    return longer, max(longer * numbers[3], 1.5)


@part_of_others
def _fill_region(
    numbers: Numbers, soft: bool, box: Any, size: Any, cosines: Numbers, sines: Numbers, out: Numbers
) -> None:
    """See ``synth.masks.region`` (soft) and ``inwardness``.

    Numbers begin with centre (2), size, aspect, angle, roughness, seed, softness and square.
    """
    longer, shorter = _half_axes(numbers, size)
    cells = 1.2 / (0.5 * (longer + shorter))
    _fill_noise(np.int64(numbers[6]), cells * size[0], cells * size[1], 1, box, size, cosines, sines, out)
    scale = 1 / max(numbers[7], 1 / shorter) if soft else 1.0
    cos, sin = np.cos(numbers[4]), np.sin(numbers[4])
    along, across = scale / longer, scale / shorter
    frame = np.empty(9)
    frame[0], frame[1] = box[1] - numbers[0], box[0] - numbers[1]
    frame[2], frame[3], frame[4], frame[5] = cos * along, sin * along, -sin * across, cos * across
    frame[6], frame[7], frame[8] = numbers[5] * scale, scale + (0.5 if soft else 0.0), numbers[8]
    _inside(frame, soft, out)


@part_of_others
def _brightens(levels: Numbers, amount: float) -> Any:
    """See ``synth.families.base.brightens``: 1 or 0."""
    level = _ZERO
    for c in range(len(levels)):
        level += levels[c]
    level /= np.float32(len(levels))
    return _ONE if level < _DARK else _ZERO if level > _BRIGHT else _ONE if amount > 0 else _ZERO


@part_of_others
def _write(values: Numbers, images: Numbers, allowed: Numbers, row: Any, channel: Any, y: Any, left: Any) -> None:
    """A line, cut to 0..1, where flaws are allowed."""
    target = images[row, channel, y, left : left + len(values)]
    if allowed.shape[0] == 0:
        for x in range(len(values)):
            target[x] = min(max(values[x], _ZERO), _ONE)
        return
    there = allowed[row, 0, y, left : left + len(values)]
    for x in range(len(values)):
        target[x] = min(max(values[x], _ZERO), _ONE) if there[x] > _HALF else target[x]


@part_of_others
def _mix_line(
    share: Numbers, target: Any, images: Numbers, allowed: Numbers, row: Any, channel: Any, y: Any, left: Any
) -> None:
    """Move a line towards a colour, by shares in 0..1, where flaws are allowed."""
    old = images[row, channel, y, left : left + len(share)]
    if allowed.shape[0] == 0:
        for x in range(len(share)):
            old[x] = min(max(old[x] + (target - old[x]) * share[x], _ZERO), _ONE)
        return
    there = allowed[row, 0, y, left : left + len(share)]
    for x in range(len(share)):
        old[x] = min(max(old[x] + (target - old[x]) * (share[x] * there[x]), _ZERO), _ONE)


@part_of_others
def _fill_cluster(
    numbers: Numbers, box: Any, size: Any, bell: Numbers, cosines: Numbers, sines: Numbers, out: Numbers, spare: Numbers
) -> None:
    """See ``synth.families.blob``."""
    _fill_region(numbers, True, box, size, cosines, sines, out)
    longer, _ = _half_axes(numbers, size)
    other, seed = numbers[:9].copy(), np.int64(numbers[6])
    for i in range(1, np.int64(numbers[11])):
        far = 0.5 * longer * numbers[12]
        other[0] = numbers[0] + _roll(bell, seed + i, 0) * far
        other[1] = numbers[1] + _roll(bell, seed + i, 1) * far
        other[2] = numbers[2] * np.exp(0.3 * _roll(bell, seed + i, 2))
        other[6] = seed + 1 + i
        _fill_region(other, True, box, size, cosines, sines, spare)
        for y in range(out.shape[0]):
            line, further = out[y], spare[y]
            for x in range(len(line)):
                line[x] = max(line[x], further[x])


@compiled
def paint_blobs(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    levels: Numbers,
    table: Numbers,
    bell: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.blob``; region, depth, rim, number, spread, light and relief."""
    channels, size = images.shape[1], images.shape[2:]
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        depth, rim, relief = np.float32(abs(numbers[9])), np.float32(4 * numbers[10]), np.float32(numbers[14])
        target = _brightens(levels[n], numbers[9])
        step = max(0.2 * _half_axes(numbers, size)[1], 1.0)
        sun_x, sun_y = np.cos(numbers[13]) * step, np.sin(numbers[13]) * step
        lines = max(1, min(_BAND // width, height))
        inside, spare = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        lit = np.empty((lines if relief > 0 else 1, width), np.float32)
        values = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            _fill_cluster(numbers, box, size, bell, cosines, sines, inside[:here], spare[:here])
            if relief > 0:
                box = box[0] + sun_y, box[1] + sun_x
                _fill_cluster(numbers, box, size, bell, cosines, sines, lit[:here], spare[:here])
            for y in range(here):
                within, share = inside[y], spare[y]
                for x in range(width):
                    share[x] = (within[x] + rim * (_ONE - within[x]) * within[x]) * depth
                if relief > 0:
                    slope = lit[y]
                    for x in range(width):
                        slope[x] = (slope[x] - within[x]) * relief
                for c in range(channels):
                    old = images[row, c, top + first + y, left : left + width]
                    for x in range(width):
                        values[x] = old[x] + (target - old[x]) * share[x]
                    if relief > 0:
                        slope = lit[y]
                        for x in range(width):
                            goal = _ONE if slope[x] > _ZERO else _ZERO
                            values[x] += (goal - values[x]) * abs(slope[x])
                    _write(values, images, allowed, row, c, top + first + y, left)


@part_of_others
def _smoothstep(value: Any) -> Any:
    t = min(max(value, _ZERO), _ONE)
    return t * t * (_THREE - _TWO * t)


@part_of_others
def _fill_height(
    numbers: Numbers, rim_width: Any, box: Any, size: Any, cosines: Numbers, sines: Numbers, out: Numbers
) -> None:
    """See ``synth.families.dent``."""
    _fill_region(numbers, False, box, size, cosines, sines, out)
    steep, rim, deep = np.float32(1 / numbers[7]), np.float32(numbers[11]), np.float32(1 + numbers[11])
    outer = np.float32(1 / rim_width)
    for y in range(out.shape[0]):
        line = out[y]
        for x in range(len(line)):
            wall, border = _smoothstep(line[x] * steep), _smoothstep(line[x] * outer + _ONE)
            line[x] = border * rim - wall * deep


@compiled
def paint_dents(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    rim_width: float,
    table: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.dent``; region, depth, light, rim and warp."""
    channels, size = images.shape[1], images.shape[2:]
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        _, shorter = _half_axes(numbers, size)
        step = max(0.15 * shorter, 0.75)
        sun_x, sun_y = np.cos(numbers[10]) * step, np.sin(numbers[10]) * step
        steepest = np.float32(numbers[9] * shorter * numbers[7] / (3 * step))
        steep, warp = np.float32(1 / numbers[7]), np.float32(numbers[12])
        # The texture is drawn from what was there before, as far away as a share of the box.
        margin = np.int64(np.ceil(abs(numbers[12]) * max(width, height))) + 1
        x0, y0 = max(left - margin, 0), max(top - margin, 0)
        x1, y1 = min(left + width + margin, size[1]), min(top + height + margin, size[0])
        before = images[row, :, y0:y1, x0:x1].copy() if warp != 0 else images[row, :, :1, :1]
        lines = max(1, min(_BAND // width, height))
        near, far = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        share, values = np.empty((lines, width), np.float32), np.empty((channels, width), np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            _fill_height(numbers, rim_width, (box[0] + sun_y, box[1] + sun_x), size, cosines, sines, near[:here])
            _fill_height(numbers, rim_width, (box[0] - sun_y, box[1] - sun_x), size, cosines, sines, far[:here])
            if warp != 0:
                _fill_region(numbers, False, box, size, cosines, sines, share[:here])
            for y in range(here):
                slope, other = near[y], far[y]
                for x in range(width):
                    slope[x] = min(max((slope[x] - other[x]) * steepest, -_ONE), _ONE)
                if warp != 0:
                    down = np.float32(top + first + y - numbers[1])
                    for x in range(width):
                        by = _smoothstep(share[y, x] * steep) * warp
                        from_x = np.float32(left + x - numbers[0]) * by + np.float32(left + x - x0)
                        from_y = down * by + np.float32(top + first + y - y0)
                        _sample(before, from_x, from_y, values, x)
                else:
                    for c in range(channels):
                        values[c] = images[row, c, top + first + y, left : left + width]
                for c in range(channels):
                    line = values[c]
                    for x in range(width):
                        goal = _ONE if slope[x] > _ZERO else _ZERO
                        line[x] += (goal - line[x]) * abs(slope[x])
                    _write(line, images, allowed, row, c, top + first + y, left)


@part_of_others
def _fill_runs(
    numbers: Numbers, box: Any, size: Any, flat: Numbers, cosines: Numbers, sines: Numbers, out: Numbers, wave: Numbers
) -> None:
    """See ``synth.families.stain``: the higher of the field and its runs, in place."""
    longer, shorter = _half_axes(numbers, size)
    seed = np.int64(numbers[6])
    _fill_noise(seed + 3, size[0] / longer, size[1] / longer, 1, box, size, cosines, sines, wave)
    cos, sin, bend = np.float32(np.cos(numbers[16])), np.float32(np.sin(numbers[16])), np.float32(0.15 * shorter)
    for i in range(np.int64(numbers[15])):
        place, thick, length = (
            _roll(flat, seed + 2, 3 * i),
            _roll(flat, seed + 2, 3 * i + 1),
            _roll(flat, seed + 2, 3 * i + 2),
        )
        wide = np.float32(max((0.08 + 0.14 * thick) * shorter, 0.8))
        end = np.float32(longer * numbers[17] * (1 if i == 0 else 0.4 + 0.6 * length))
        aside, rise = np.float32((place - 0.5) * shorter), np.float32(wide / shorter)
        for y in range(out.shape[0]):
            dy, line, moved = np.float32(box[0] + y - numbers[1]), out[y], wave[y]
            for x in range(len(line)):
                dx = np.float32(box[1] + x - numbers[0])
                along, across = dx * cos + dy * sin, dy * cos - dx * sin + moved[x] * bend
                beyond = max(along - end, _ZERO) + max(-along, _ZERO)
                if (_ONE - beyond / wide) * rise <= line[x]:  # the distance across only takes from it
                    continue
                drop = (along - end) / (_THREE * wide)
                side = (across - aside) / (_ONE + _SIX / _TEN * np.exp(-drop * drop))
                line[x] = max(line[x], (_ONE - np.sqrt(side * side + beyond * beyond) / wide) * rise)


@compiled
def paint_stains(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    levels: Numbers,
    rim_width: float,
    table: Numbers,
    flat: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.stain``; region, density, rim, cloud, tint (3), runs, direction and length."""
    channels, size = images.shape[1], images.shape[2:]
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        _, shorter = _half_axes(numbers, size)
        seed, cells = np.int64(numbers[6]), 1.6 / shorter
        target = _brightens(levels[n], numbers[9])
        dense, rim = np.float32(abs(numbers[9])), np.float32(numbers[10])
        clouded, clear = np.float32(0.7 * numbers[11]), np.float32(1 - 0.5 * numbers[11])
        steep, peak = np.float32(1 / max(numbers[7], 1 / shorter)), np.float32(max(0.6 / shorter, rim_width))
        lines = max(1, min(_BAND // width, height))
        inside, cloud = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        share = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            _fill_region(numbers, False, box, size, cosines, sines, inside[:here])
            if numbers[15] > 0:
                _fill_runs(numbers, box, size, flat, cosines, sines, inside[:here], cloud[:here])
            _fill_noise(seed + 1, cells * size[0], cells * size[1], 2, box, size, cosines, sines, cloud[:here])
            for y in range(here):
                within, thin = inside[y], cloud[y]
                for x in range(width):
                    off = (within[x] - peak) / peak
                    off = off * off * _HALF
                    body = min(max(within[x] * steep + _HALF, _ZERO), _ONE)
                    dried = np.exp(-off) * rim if off < _TEN + _TEN else _ZERO
                    value = (body + dried) * (thin[x] * clouded + clear) * dense
                    share[x] = min(max(value, _ZERO), _MOST_DENSE)
                for c in range(channels):
                    tint = np.float32(numbers[12 + c]) if channels == 3 else _ONE
                    old = within  # no longer needed
                    for x in range(width):
                        old[x] = share[x] * tint
                    _mix_line(old, target, images, allowed, row, c, top + first + y, left)


@compiled
def paint_scratches(
    images: Numbers, allowed: Numbers, rows: Numbers, boxes: Numbers, levels: Numbers, table: Numbers
) -> None:
    """See ``synth.families.scratch``; cosine, sine, length, deviation, bend, depth, grooves and their distance."""
    channels = images.shape[1]
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        row = rows[n]
        cos, sin, length, sigma, bend, depth = table[n, 2:8]
        grooves, apart = np.int64(table[n, 8]), np.float32(table[n, 9])
        target, dark = _brightens(levels[n], depth), np.float32(abs(depth))
        along_x, across_x, arched = (
            np.float32(cos / length),
            np.float32(-sin / sigma),
            np.float32(-4 * bend * length / sigma),
        )
        share = np.empty(width, np.float32)
        x0 = np.float32(left - table[n, 0])
        for y in range(top, top + height):
            dy = y - table[n, 1]
            along_y, across_y = np.float32(0.5 + dy * sin / length), np.float32(dy * cos / sigma)
            seen = False
            for x in range(width):
                dx = x0 + np.float32(x)
                along = along_y + dx * along_x
                arch = (_ONE - along) * along
                across = across_y + dx * across_x + arch * arched
                least = across * across
                for i in range(1, grooves):
                    beside = across - np.float32(i) * apart
                    least = min(least, beside * beside)
                value = _ZERO
                if arch > _ZERO and least < _FAR:
                    value = np.exp(-_HALF * least) * min(arch * _SIXTEEN, _ONE) * dark
                    seen = True
                share[x] = value
            if seen:
                for c in range(channels):
                    _mix_line(share, target, images, allowed, row, c, y, left)


@part_of_others
def _along_line(line: Numbers, start: Any, place: Any) -> Any:
    """See ``synth.noise.profile``: at a place counted in random values."""
    whole = np.floor(place)
    t, cell = place - whole, np.int64(whole) + start
    low, high = line[cell & _MASK], line[(cell + 1) & _MASK]
    return low + (high - low) * (t * t * (_THREE - _TWO * t)) - _HALF


@compiled
def paint_unevenness(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    table: Numbers,
    flat: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.uneven``; region, ground, amount, direction, and periods of bands and streaks, slope."""
    channels, size = images.shape[1], images.shape[2:]
    side = min(size[0], size[1])
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        ground, amount, seed = numbers[9] > 0, np.float32(numbers[10]), np.int64(numbers[6])
        cos, sin = np.cos(numbers[11]), np.sin(numbers[11])
        wide, fine, slope = numbers[12] * side, max(numbers[13] * side, 1.5), np.float32(numbers[14])
        half = numbers[2] * side
        starts = _scrambled(seed + 1), _scrambled(seed + 2)
        bands, streaks = (starts[0] % SIDE) * SIDE, (starts[1] % SIDE) * SIDE
        band_line, streak_line = flat[bands : bands + SIDE], flat[streaks : streaks + SIDE]
        lines = max(1, min(_BAND // width, height))
        inside, values = np.empty((lines, width), np.float32), np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            _fill_region(numbers, True, box, size, cosines, sines, inside[:here])
            for y in range(here):
                dy, dx, field = box[0] + y - numbers[1], left - numbers[0], inside[y]
                if ground:
                    start, step = np.float32(dy * cos - dx * sin), np.float32(-sin)
                    to_bands, to_streaks = np.float32(1 / wide), np.float32(1 / fine)
                    for x in range(width):
                        across = start + step * np.float32(x)
                        band = _along_line(band_line, starts[0] // SIDE, across * to_bands) + _HALF
                        streak = _along_line(streak_line, starts[1] // SIDE, across * to_streaks)
                        field[x] = _smoothstep(field[x]) * band * (streak * _STREAKY + _STEADY) * amount + _ONE
                else:
                    start, step = np.float32((dy * sin + dx * cos) / half), np.float32(cos / half)
                    for x in range(width):
                        along = min(max(start + step * np.float32(x), -_ONE), _ONE)
                        field[x] = _smoothstep(field[x]) * (along * slope + (_ONE - slope)) * amount + _ONE
                for c in range(channels):
                    old = images[row, c, top + first + y, left : left + width]
                    for x in range(width):
                        values[x] = old[x] * field[x]
                    _write(values, images, allowed, row, c, top + first + y, left)


@compiled
def paint_ripples(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    table: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.ripple``; region, amount, turns for a pixel, direction, bend and crossed."""
    channels, size = images.shape[1], images.shape[2:]
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        amount, turns = np.float32(numbers[9]), numbers[10]
        cos, sin = np.cos(numbers[11]) * turns, np.sin(numbers[11]) * turns
        cells, bent, crossed = turns / (2 * np.pi) / 4, np.float32(2 * np.pi * numbers[12]), numbers[13] > 0
        along, across = np.float32(cos), np.float32(-sin)
        lines = max(1, min(_BAND // width, height))
        inside, bend = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        values = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            _fill_region(numbers, True, box, size, cosines, sines, inside[:here])
            seed = np.int64(numbers[6]) + 1
            _fill_noise(seed, cells * size[0], cells * size[1], 1, box, size, cosines, sines, bend[:here])
            for y in range(here):
                dx, dy, field, moved = left - numbers[0], box[0] + y - numbers[1], inside[y], bend[y]
                start, other = np.float32(dx * cos + dy * sin), np.float32(dy * cos - dx * sin)
                for x in range(width):
                    shift = moved[x] * bent
                    wave = np.sin(start + along * np.float32(x) + shift)
                    if crossed:
                        wave *= np.sin(other + across * np.float32(x) - shift)
                    field[x] = wave * field[x] * amount + _ONE
                for c in range(channels):
                    old = images[row, c, top + first + y, left : left + width]
                    for x in range(width):
                        values[x] = old[x] * field[x]
                    _write(values, images, allowed, row, c, top + first + y, left)


@compiled
def paint_bites(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    surfaces: Numbers,
    hollows: Numbers,
    facets: int,
    table: Numbers,
    flat: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.bite``; place, facets, grain, depth and opacity; colours ``[N, C]`` of what is seen."""
    channels, size = images.shape[1], images.shape[2:]
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        longer, shorter = _half_axes(numbers, size)
        seed, cells, grains = np.int64(numbers[6]), 1.2 / (0.5 * (longer + shorter)), 4 / shorter
        cos, sin, rough = np.cos(numbers[4]), np.sin(numbers[4]), numbers[5]
        planes = np.empty((facets, 5), np.float32)
        for i in range(facets):
            turn, apart, bright = (
                _roll(flat, seed + 2, 3 * i),
                _roll(flat, seed + 2, 3 * i + 1),
                _roll(flat, seed + 2, 3 * i + 2),
            )
            angle = 2 * np.pi / facets * (i + 0.3 * (turn - 0.5))
            along, across = np.cos(angle) / longer, np.sin(angle) / shorter
            planes[i, 0], planes[i, 1] = sin * across - cos * along, -sin * along - cos * across
            planes[i, 2], planes[i, 3], planes[i, 4] = 0.55 + 0.3 * apart, (0.6 + 0.8 * bright) * rough, 2 * bright - 1
        facet, grain, through = np.float32(numbers[7]), np.float32(numbers[8]), np.float32(numbers[9])
        opacity, steep = np.float32(numbers[10]), np.float32(shorter)
        lines = max(1, min(_BAND // width, height))
        uneven, rough_grain = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        shade, gone, share = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
        values = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            _fill_noise(seed, cells * size[0], cells * size[1], 2, box, size, cosines, sines, uneven[:here])
            _fill_noise(seed + 1, grains * size[0], grains * size[1], 1, box, size, cosines, sines, rough_grain[:here])
            for y in range(here):
                dy, x0 = np.float32(box[0] + y - numbers[1]), np.float32(left - numbers[0])
                for x in range(width):
                    dx, bump = x0 + np.float32(x), uneven[y, x]
                    inside, light = (
                        planes[0, 2] + dx * planes[0, 0] + dy * planes[0, 1] + bump * planes[0, 3],
                        planes[0, 4],
                    )
                    for i in range(1, facets):
                        plane = planes[i, 2] + dx * planes[i, 0] + dy * planes[i, 1] + bump * planes[i, 3]
                        light = planes[i, 4] if plane < inside else light
                        inside = min(inside, plane)
                    light = light * facet + rough_grain[y, x] * grain
                    shade[x] = light - min(max(inside, _ZERO), _ONE) * _SHADED + _ONE
                    gone[x] = min(max((inside - through) * steep + _HALF, _ZERO), _ONE)
                    share[x] = min(max(inside * steep + _HALF, _ZERO), _ONE) * opacity
                for c in range(channels):
                    old = images[row, c, top + first + y, left : left + width]
                    surface, hollow = surfaces[n, c], hollows[n, c]
                    for x in range(width):
                        new = surface * shade[x]
                        new += (hollow - new) * gone[x]
                        values[x] = old[x] + (new - old[x]) * share[x]
                    _write(values, images, allowed, row, c, top + first + y, left)


@compiled
def paint_through_noise(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    table: Numbers,
    parts: Numbers,
    pictures: Numbers,
    own: bool,
    flat: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.perlin``.

    Region, algebra, cells (2), other cells (2), level, local, content, grain, stretch, brightness, contrast, opacity,
    source and shift (2); cells along the height first. Procedural content is grain.

    Args:
        images: See above.
        allowed: See above.
        rows: See above.
        boxes: See above.
        table: See above.
        parts: ``[S, C, H, W]``, or of each image if ``own``.
        pictures: ``[T, C, H, W]``.
        own: Parts are the images' own good ones.
        flat: Table of random numbers.
        cosines: Of the table.
        sines: Of the table.
    """
    channels, size = images.shape[1], images.shape[2:]
    side = min(size[0], size[1])
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        seed, algebra, local, kind = np.int64(numbers[6]), np.int64(numbers[9]), numbers[15] > 0, np.int64(numbers[16])
        level, opacity = np.float32(numbers[14]), np.float32(numbers[21])
        least = 0.5 / (numbers[2] * side) if local else 0.0
        period_y = max(numbers[17] * side / np.sqrt(numbers[18]), LEAST_PERIOD)
        period_x = max(numbers[17] * side * np.sqrt(numbers[18]), LEAST_PERIOD)
        amount = np.float32(2 * numbers[20])
        source = parts if kind == 1 else pictures
        place = row if own and kind == 1 else min(int(numbers[22] * len(source)), len(source) - 1)
        right, down = np.int64(np.rint(numbers[23] * size[1])), np.int64(np.rint(numbers[24] * size[0]))
        begin = (left - right) % size[1]
        fit = min(width, size[1] - begin)
        lines = max(1, min(_BAND // width, height))
        field, other = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        values = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            share, spare = field[:here], other[:here]
            cells_y, cells_x = max(numbers[10], least * size[0]), max(numbers[11], least * size[1])
            _fill_noise(seed + 1, cells_y, cells_x, 1, box, size, cosines, sines, share)
            if algebra != 0:
                cells_y, cells_x = max(numbers[12], least * size[0]), max(numbers[13], least * size[1])
                _fill_noise(seed + 3, cells_y, cells_x, 1, box, size, cosines, sines, spare)
                for y in range(here):
                    one, two = share[y], spare[y]
                    if algebra == 1:
                        for x in range(width):
                            one[x] = min(one[x], two[x])
                    else:
                        for x in range(width):
                            one[x] = max(one[x], two[x])
            if local:
                _fill_region(numbers, True, box, size, cosines, sines, spare)
            for y in range(here):
                one, two = share[y], spare[y]
                for x in range(width):
                    one[x] = min(max((one[x] - level) * _STEEP, _ZERO), _ONE) * opacity
                if local:
                    for x in range(width):
                        one[x] *= two[x]
            if kind == 0:
                _values(_scrambled(seed + 2), box[0], box[1], 1 / period_y, 1 / period_x, flat, spare)
            for y in range(here):
                one, two = share[y], spare[y]
                line = (top + first + y - down) % size[0]
                most = _ZERO
                for x in range(width):
                    most = max(most, one[x])
                if most == _ZERO:
                    continue
                for c in range(channels):
                    old = images[row, c, top + first + y, left : left + width]
                    if kind == 0:
                        tint = (_roll(flat, seed + 3, c) - _HALF) * _HALF if channels > 1 else _ZERO
                        colour = np.float32(numbers[19]) + tint
                        for x in range(width):
                            values[x] = old[x] + (two[x] * amount + colour - old[x]) * one[x]
                    else:
                        new = source[place, c, line]
                        for x in range(fit):
                            values[x] = old[x] + (new[begin + x] - old[x]) * one[x]
                        for x in range(fit, width):
                            values[x] = old[x] + (new[x - fit] - old[x]) * one[x]
                    _write(values, images, allowed, row, c, top + first + y, left)


@compiled
def paint_dots(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    ends: Numbers,
    dots: Numbers,
    colours: Numbers,
) -> None:
    """See ``synth.stamps``: dots of two colours, those of the second over those of the first.

    Args:
        images: See above.
        allowed: See above.
        rows: See above.
        boxes: See above.
        ends: ``[N]`` int64, where the dots of each flaw end.
        dots: ``[D, 5]`` float32: x and y in pixels, where a dot has run out, strength, and which colour, 0 or 1.
        colours: ``[2, N, C]`` float32.
    """
    channels = images.shape[1]
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        row, begin = rows[n], ends[n - 1] if n else 0
        lines = max(1, min(_BAND // width, height))
        layers = np.empty((2, lines, width), np.float32)
        seen = np.empty((2, lines), np.bool_)
        for first in range(top, top + height, lines):
            here = min(lines, top + height - first)
            layers[:] = _ZERO
            seen[:] = False
            for d in range(begin, ends[n]):
                px, py, far, strength = (
                    dots[d, 0] - np.float32(left),
                    dots[d, 1] - np.float32(first),
                    dots[d, 2],
                    dots[d, 3],
                )
                layer = int(dots[d, 4])
                for y in range(max(int(np.floor(py - far)), 0), min(int(np.ceil(py + far)) + 1, here)):
                    line, dy = layers[layer, y], np.float32(y) - py
                    seen[layer, y] = True
                    for x in range(max(int(np.floor(px - far)), 0), min(int(np.ceil(px + far)) + 1, width)):
                        dx = np.float32(x) - px
                        value = min(max(far - np.sqrt(dx * dx + dy * dy), _ZERO), _ONE) * strength
                        line[x] = max(line[x], value)
            for layer in range(2):
                for y in range(here):
                    if seen[layer, y]:
                        for c in range(channels):
                            _mix_line(layers[layer, y], colours[layer, n, c], images, allowed, row, c, first + y, left)
