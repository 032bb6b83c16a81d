"""What loops have in common; compiled with each of them.

Each flaw is painted in its own box, a band of lines at a time, without a copy of it. All loops here
are given:

images: ``[B, C, H, W]``, written to; allowed: ``[B, 1, H, W]``, 0 or 1, empty for everywhere; rows: ``[N]`` which
images; boxes: ``[N, 4]`` left, top, width, height; levels: ``[N, C]`` colour around; table: ``[N, K]`` float64, what
``synth.spots.Spots.table`` puts together: x and y of the centre, then the parameters that the loop's docstring names.
"""

from typing import Any

import numpy as np

from synth.jit import part_of_others
from synth.noise import MOST_CELLS, SIDE, Numbers

MASK = SIDE - 1
NEXT_EVEN = np.float32(12582912.0)
"""1.5 times 2^23: adding it to a smaller number and taking it away again rounds to whole numbers, halves to even."""
ZERO, HALF, ONE = (np.float32(value) for value in (0, 0.5, 1))
TWO, THREE, FOUR = np.float32(2), np.float32(3), np.float32(4)
SIX, TEN, FIFTEEN = np.float32(6), np.float32(10), np.float32(15)
STEEP = np.float32(12)
"""Slope at the edge of Perlin masks."""
DARK, BRIGHT = np.float32(0.12), np.float32(0.88)
DARKEST = np.float32(0.05)
"""Darker surfaces are taken as so bright where others are compared with them."""
FAR, MOST_DENSE = np.float32(40), np.float32(0.97)
TURN = 2 * np.pi
STREAKY, STEADY, SHADED = np.float32(1.6), np.float32(0.4), np.float32(0.4)
BAND = 2**15
"""Pixels of a flaw that are painted at once: few enough to stay in a processor's cache."""


@part_of_others
def noise_octave(
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
        fade[x] = t * t * t * (t * (SIX * t - FIFTEEN) + TEN)
    points = np.int64(cell[width - 1]) + 2
    spare = np.empty((2, points), np.float32)
    # Noise is linear in what a line of lattice points gives to each column: its slope along x, and along y.
    given = np.empty((4, width), np.float32)
    upper_x, upper_y, lower_x, lower_y = given[0], given[1], given[2], given[3]
    here = np.int64(-2)
    for y in range(height):
        place = (top + (y + 0.5)) * down
        row = np.int64(np.floor(place))
        ty = np.float32(place - row)
        fade_y = ty * ty * ty * (ty * (SIX * ty - FIFTEEN) + TEN)
        if y == 0 or row != here:
            if y > 0 and row == here + 1:
                upper_x, upper_y, lower_x, lower_y = lower_x, lower_y, upper_x, upper_y
            else:
                _given(start, row, first, cosines, sines, cell, part, fade, spare, upper_x, upper_y)
            _given(start, row + 1, first, cosines, sines, cell, part, fade, spare, lower_x, lower_y)
            here = row
        near, far = strength * (ONE - fade_y), strength * fade_y
        near_y, far_y = near * ty, far * (ty - ONE)
        line = out[y]
        if octave == 0:
            for x in range(width):
                line[x] = (near * upper_x[x] + near_y * upper_y[x]) + (far * lower_x[x] + far_y * lower_y[x])
        else:
            for x in range(width):
                line[x] += (near * upper_x[x] + near_y * upper_y[x]) + (far * lower_x[x] + far_y * lower_y[x])


@part_of_others
def _given(
    start: Any,
    row: Any,
    first: Any,
    cosines: Numbers,
    sines: Numbers,
    cell: Numbers,
    part: Numbers,
    fade: Numbers,
    spare: Numbers,
    along: Numbers,
    across: Numbers,
) -> None:
    """What a line of lattice points gives to each column: by its distance along x, and for each cell along y."""
    line = ((start // SIDE + row) & MASK) * SIDE
    cosine, sine = spare[0], spare[1]
    for p in range(len(cosine)):
        column = (start + first + p) & MASK
        cosine[p], sine[p] = cosines[line + column], sines[line + column]
    cosine_after, sine_after = cosine[1:], sine[1:]
    for x in range(len(along)):
        p, t = cell[x], part[x]
        before = cosine[p] * t
        along[x] = before + fade[x] * (cosine_after[p] * (t - ONE) - before)
        across[x] = sine[p] + fade[x] * (sine_after[p] - sine[p])


@part_of_others
def lattice_values(start: Any, top: Any, left: Any, down: Any, across: Any, table: Numbers, out: Numbers) -> None:
    """Random values of a lattice in a plane, less a half, in between bilinear."""
    height, width = out.shape
    cell, part = np.empty(width, np.uint32), np.empty(width, np.float32)
    first = np.int64(np.floor((left + 0.5) * across))
    for x in range(width):
        place = (left + (x + 0.5)) * across
        whole = np.floor(place)
        cell[x], part[x] = np.uint32(np.int64(whole) - first), np.float32(place - whole)
    values = np.empty(np.int64(cell[width - 1]) + 2, np.float32)
    between = np.empty((2, width), np.float32)
    upper, lower = between[0], between[1]
    here = np.int64(-2)
    for y in range(height):
        place = (top + (y + 0.5)) * down
        row = np.int64(np.floor(place))
        t = np.float32(place - row)
        if y == 0 or row != here:
            if y > 0 and row == here + 1:
                upper, lower = lower, upper
            else:
                _along_lattice(start, row, first, table, cell, part, values, upper)
            _along_lattice(start, row + 1, first, table, cell, part, values, lower)
            here = row
        line = out[y]
        for x in range(width):
            line[x] = upper[x] + t * (lower[x] - upper[x])


@part_of_others
def _along_lattice(
    start: Any, row: Any, first: Any, table: Numbers, cell: Numbers, part: Numbers, values: Numbers, out: Numbers
) -> None:
    """Random values of a line of lattice points, less a half, in between linear."""
    line = ((start // SIDE + row) & MASK) * SIDE
    for p in range(len(values)):
        values[p] = table[line + ((start + first + p) & MASK)] - HALF
    after = values[1:]
    for x in range(len(out)):
        p = cell[x]
        out[x] = values[p] + part[x] * (after[p] - values[p])


@part_of_others
def inside_region(frame: Numbers, cut: bool, field: Numbers) -> None:
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
                line[x] = min(max(line[x], ZERO), ONE)


@part_of_others
def sample_place(picture: Numbers, across: Any, down: Any, out: Numbers, x: int) -> None:
    """A picture at one place, the outermost pixels beyond its border; to ``out[:, x]``."""
    channels, height, width = picture.shape
    across = min(max(across, ZERO), np.float32(width - 1))
    down = min(max(down, ZERO), np.float32(height - 1))
    left, top = int(across), int(down)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    tx, ty = across - np.float32(left), down - np.float32(top)
    for c in range(channels):
        upper = picture[c, top, left] + tx * (picture[c, top, right] - picture[c, top, left])
        lower = picture[c, bottom, left] + tx * (picture[c, bottom, right] - picture[c, bottom, left])
        out[c, x] = upper + ty * (lower - upper)


@part_of_others
def scrambled(seed: Any) -> Any:
    """See ``synth.noise``."""
    x = np.uint32(seed)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.int64((x ^ (x >> np.uint32(16))) & np.uint32(SIDE * SIDE - 1))


@part_of_others
def roll(table: Numbers, seed: Any, number: Any) -> Any:
    """See ``synth.noise.uniforms`` and ``normals``, by the table."""
    return table[(scrambled(seed) + number) & (SIDE * SIDE - 1)]


@part_of_others
def three_rolls(table: Numbers, seed: Any, first: Any) -> Any:
    """Three that follow each other; see ``roll``."""
    return roll(table, seed, first), roll(table, seed, first + 1), roll(table, seed, first + 2)


@part_of_others
def fill_noise(
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
        start = scrambled(seed + 0x9E37 * octave)
        down = min(cells_y * 2.0**octave, MOST_CELLS) / size[0]
        across = min(cells_x * 2.0**octave, MOST_CELLS) / size[1]
        noise_octave(start, box[0], box[1], down, across, octave, cosines, sines, out)


@part_of_others
def noise_at(
    seed: Any,
    steps: Numbers,
    y: Any,
    x: Any,
    cosines: Numbers,
    sines: Numbers,
) -> Any:
    """As ``fill_noise``, at one place (from a pixel's corner): for flaws that are few of the pixels of their box.

    Steps are ``[octaves, 2]`` float64, cells for a pixel along height and width.
    """
    total = ZERO
    for octave in range(len(steps)):
        start = scrambled(seed + 0x9E37 * octave)
        down, across = (y + 0.5) * steps[octave, 0], (x + 0.5) * steps[octave, 1]
        row, column = np.int64(np.floor(down)), np.int64(np.floor(across))
        ty, tx = np.float32(down - row), np.float32(across - column)
        fade_y = ty * ty * ty * (ty * (SIX * ty - FIFTEEN) + TEN)
        fade_x = tx * tx * tx * (tx * (SIX * tx - FIFTEEN) + TEN)
        above = ((start // SIDE + row) & MASK) * SIDE
        below = ((start // SIDE + row + 1) & MASK) * SIDE
        strength = np.float32(2**0.5 * 0.5**octave)
        left, right = (start + column) & MASK, (start + column + 1) & MASK
        before = _gradient(above + left, below + left, ty, fade_y, tx, strength, cosines, sines)
        after = _gradient(above + right, below + right, ty, fade_y, tx - ONE, strength, cosines, sines)
        total += before + fade_x * (after - before)
    return total


@part_of_others
def _gradient(
    above: Any, below: Any, ty: Any, fade: Any, tx: Any, strength: Any, cosines: Numbers, sines: Numbers
) -> Any:
    """What the two lattice points on one side of a place give to it."""
    slope = strength * (cosines[above] + fade * (cosines[below] - cosines[above]))
    high, low = sines[above] * ty, sines[below] * (ty - ONE)
    return slope * tx + strength * (high + fade * (low - high))


@part_of_others
def half_axes(numbers: Numbers, size: Any) -> Any:
    """See ``synth.masks.half_axes``."""
    longer = max(numbers[2] * min(size[0], size[1]), 1.5)
    return longer, max(longer * numbers[3], 1.5)


@part_of_others
def fill_region(
    numbers: Numbers, soft: bool, box: Any, size: Any, cosines: Numbers, sines: Numbers, out: Numbers
) -> None:
    """As ``fill_ragged_region``, with an outline that is bent by one octave of noise."""
    fill_ragged_region(numbers, soft, 1, box, size, cosines, sines, out)


@part_of_others
def fill_ragged_region(
    numbers: Numbers, soft: bool, octaves: int, box: Any, size: Any, cosines: Numbers, sines: Numbers, out: Numbers
) -> None:
    """See ``synth.masks.region`` (soft) and ``inwardness``.

    Numbers begin with centre (2), size, aspect, angle, roughness, seed, softness and square.
    """
    longer, shorter = half_axes(numbers, size)
    cells = 1.2 / (0.5 * (longer + shorter))
    fill_noise(np.int64(numbers[6]), cells * size[0], cells * size[1], octaves, box, size, cosines, sines, out)
    scale = 1 / max(numbers[7], 1 / shorter) if soft else 1.0
    cos, sin = np.cos(numbers[4]), np.sin(numbers[4])
    along, across = scale / longer, scale / shorter
    frame = np.empty(9)
    frame[0], frame[1] = box[1] - numbers[0], box[0] - numbers[1]
    frame[2], frame[3], frame[4], frame[5] = cos * along, sin * along, -sin * across, cos * across
    frame[6], frame[7], frame[8] = numbers[5] * scale, scale + (0.5 if soft else 0.0), numbers[8]
    inside_region(frame, soft, out)


@part_of_others
def brightens(levels: Numbers, amount: float) -> Any:
    """See ``synth.families.base.brightens``: 1 or 0."""
    level = ZERO
    for c in range(len(levels)):
        level += levels[c]
    level /= np.float32(len(levels))
    return ONE if level < DARK else ZERO if level > BRIGHT else ONE if amount > 0 else ZERO


@part_of_others
def extent_of(share: Numbers) -> Any:
    """First and last line and column, the latter beyond, in which a share is above 0; all 0 if there are none."""
    top, bottom, left, right = len(share), 0, share.shape[1], 0
    for y in range(len(share)):
        begin, end = shown_of(share[y])
        if begin < end:
            top, bottom, left, right = min(top, y), y + 1, min(left, begin), max(right, end)
    return (top, bottom, left, right) if bottom else (0, 0, 0, 0)


@part_of_others
def shown_of(share: Numbers) -> Any:
    """First and last place of a line, the latter beyond, at which a share is above 0; equal if there is none."""
    begin, end = 0, len(share)
    while begin < end and share[begin] <= ZERO:
        begin += 1
    while begin < end and share[end - 1] <= ZERO:
        end -= 1
    return begin, end


@part_of_others
def smoothstep(value: Any) -> Any:
    """0 below 0, 1 above 1, and smooth in between."""
    t = min(max(value, ZERO), ONE)
    return t * t * (THREE - TWO * t)


@part_of_others
def write_line(values: Numbers, images: Numbers, allowed: Numbers, row: Any, channel: Any, y: Any, left: Any) -> None:
    """A line, cut to 0..1, where flaws are allowed."""
    target = images[row, channel, y, left : left + len(values)]
    if allowed.shape[0] == 0:
        for x in range(len(values)):
            target[x] = min(max(values[x], ZERO), ONE)
        return
    there = allowed[row, 0, y, left : left + len(values)]
    for x in range(len(values)):
        target[x] = min(max(values[x], ZERO), ONE) if there[x] > HALF else target[x]


@part_of_others
def shade_line(field: Numbers, values: Numbers, images: Numbers, allowed: Numbers, row: Any, y: Any, left: Any) -> None:
    """Multiply a line of all channels by a field, cut to 0..1, where flaws are allowed; ``values`` is room for it."""
    for c in range(images.shape[1]):
        old = images[row, c, y, left : left + len(field)]
        for x in range(len(field)):
            values[x] = old[x] * field[x]
        write_line(values, images, allowed, row, c, y, left)


@part_of_others
def mix_line(
    share: Numbers, target: Any, images: Numbers, allowed: Numbers, row: Any, channel: Any, y: Any, left: Any
) -> None:
    """Move a line towards a colour, by shares in 0..1, where flaws are allowed."""
    old = images[row, channel, y, left : left + len(share)]
    if allowed.shape[0] == 0:
        for x in range(len(share)):
            old[x] = min(max(old[x] + (target - old[x]) * share[x], ZERO), ONE)
        return
    there = allowed[row, 0, y, left : left + len(share)]
    for x in range(len(share)):
        old[x] = min(max(old[x] + (target - old[x]) * (share[x] * there[x]), ZERO), ONE)
