"""Loops that paint areas and edges in place: unevenness, ripples, bites, and textures that show through noise.

What they are given is said in ``synth.kernels.shared``.
"""

from typing import Any

import numpy as np

from synth.jit import compiled, part_of_others
from synth.kernels.shared import (
    BAND,
    DARKEST,
    HALF,
    MASK,
    ONE,
    SHADED,
    STEADY,
    STEEP,
    STREAKY,
    THREE,
    TWO,
    ZERO,
    extent_of,
    fill_noise,
    fill_region,
    half_axes,
    lattice_values,
    roll,
    scrambled,
    shade_line,
    shown_of,
    smoothstep,
    three_rolls,
    write_line,
)
from synth.noise import LEAST_PERIOD, SIDE, Numbers

FADING, FADED = np.float32(2.5), np.float32(0.3)


@part_of_others
def _along_line(line: Numbers, start: Any, place: Any) -> Any:
    """See ``synth.noise.profile``: at a place counted in random values."""
    whole = np.floor(place)
    t, cell = place - whole, np.int64(whole) + start
    low, high = line[cell & MASK], line[(cell + 1) & MASK]
    return low + (high - low) * (t * t * (THREE - TWO * t)) - HALF


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
    size = images.shape[2:]
    side = min(size[0], size[1])
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        ground, amount, seed = numbers[9] > 0, np.float32(numbers[10]), np.int64(numbers[6])
        cos, sin = np.cos(numbers[11]), np.sin(numbers[11])
        wide, fine, slope = numbers[12] * side, max(numbers[13] * side, 1.5), np.float32(numbers[14])
        half = numbers[2] * side
        starts = scrambled(seed + 1), scrambled(seed + 2)
        bands, streaks = (starts[0] % SIDE) * SIDE, (starts[1] % SIDE) * SIDE
        band_line, streak_line = flat[bands : bands + SIDE], flat[streaks : streaks + SIDE]
        lines = max(1, min(BAND // width, height))
        inside, values = np.empty((lines, width), np.float32), np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            fill_region(numbers, True, box, size, cosines, sines, inside[:here])
            for y in range(here):
                dy, dx, field = box[0] + y - numbers[1], left - numbers[0], inside[y]
                if ground:
                    start, step = np.float32(dy * cos - dx * sin), np.float32(-sin)
                    to_bands, to_streaks = np.float32(1 / wide), np.float32(1 / fine)
                    for x in range(width):
                        across = start + step * np.float32(x)
                        band = _along_line(band_line, starts[0] // SIDE, across * to_bands) + HALF
                        streak = _along_line(streak_line, starts[1] // SIDE, across * to_streaks)
                        field[x] = smoothstep(field[x]) * band * (streak * STREAKY + STEADY) * amount + ONE
                else:
                    start, step = np.float32((dy * sin + dx * cos) / half), np.float32(cos / half)
                    for x in range(width):
                        along = min(max(start + step * np.float32(x), -ONE), ONE)
                        field[x] = smoothstep(field[x]) * (along * slope + (ONE - slope)) * amount + ONE
                shade_line(field, values, images, allowed, row, top + first + y, left)


@compiled
def paint_ripples(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    levels: Numbers,
    matter: float,
    table: Numbers,
    flat: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.ripple``.

    Region, amount, turns for a pixel, direction, bend, crossed, uneven, fading and crest.
    """
    channels, size, turn = images.shape[1], images.shape[2:], 2 * np.pi
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        amount, turns, seed = np.float32(numbers[9]), numbers[10] / turn, np.int64(numbers[6])
        cos, sin = np.cos(numbers[11]) * turns, np.sin(numbers[11]) * turns
        cells, bent, crossed = turns / 4, np.float32(numbers[12]), numbers[13] > 0
        along, across, whole = np.float32(cos), np.float32(-sin), np.float32(turn)
        apart, high = np.float32(0.7 * numbers[14]), np.float32(1.6 * numbers[14])
        faded, crest = np.float32(numbers[15]), np.float32(numbers[16])
        starts = scrambled(seed + 2), scrambled(seed + 3)
        shifts, heights = (starts[0] % SIDE) * SIDE, (starts[1] % SIDE) * SIDE
        shift_line, height_line = flat[shifts : shifts + SIDE], flat[heights : heights + SIDE]
        level = ZERO
        for c in range(channels):
            level += levels[n, c] / np.float32(channels)
        least = np.float32(matter) * max(level, DARKEST)
        lines = max(1, min(BAND // width, height))
        inside, bend = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        fading, other = np.empty((lines, width), np.float32), np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            fill_region(numbers, True, box, size, cosines, sines, inside[:here])
            # What follows is looked at only where the waves reach.
            up, bottom, begin, end = extent_of(inside[:here])
            if up == bottom:
                continue
            box = box[0] + up, box[1] + begin
            moved, thin, beside = bend[up:bottom, begin:end], fading[up:bottom, begin:end], other[: end - begin]
            down, aside = cells * size[0], cells * size[1]
            fill_noise(seed + 1, down, aside, 2, box, size, cosines, sines, moved)
            fill_noise(seed + 4, down / 1.5, aside / 1.5, 2, box, size, cosines, sines, thin)
            for y in range(bottom - up):
                dx, dy, field = box[1] - numbers[0], box[0] + y - numbers[1], inside[up + y, begin:end]
                start, second = np.float32(dx * cos + dy * sin), np.float32(dy * cos - dx * sin)
                beside[:] = -level
                for c in range(channels):
                    old = images[row, c, top + first + up + y, left + begin : left + end]
                    for x in range(len(beside)):
                        beside[x] += old[x] / np.float32(channels)
                for x in range(len(beside)):
                    if field[x] == ZERO:
                        field[x] = ONE
                        continue
                    shift = moved[y, x] * bent
                    place = start + along * np.float32(x) + shift
                    strength = _along_line(height_line, starts[1] // SIDE, place * HALF) * high + ONE
                    place += _along_line(shift_line, starts[0] // SIDE, place * TWO / THREE) * apart
                    wave = np.sin(place * whole)
                    if crossed:
                        wave *= np.sin((second + across * np.float32(x) - shift) * whole)
                    wave += (wave * wave - HALF) * crest
                    strength *= min(max((thin[y, x] * FADING - FADED) * faded + ONE, ZERO), THREE * HALF)
                    strength /= (beside[x] / least) * (beside[x] / least) + ONE
                    field[x] = wave * strength * field[x] * amount + ONE
                # The room is no longer needed.
                shade_line(field, beside, images, allowed, row, top + first + up + y, left + begin)


@compiled
def paint_bites(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    surfaces: Numbers,
    hollows: Numbers,
    facets: int,
    octaves: int,
    grain_octaves: int,
    finest: float,
    grit: float,
    unevenness: float,
    glossy: float,
    facing: float,
    table: Numbers,
    flat: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.bite``; place, facets, grain, depth and opacity; colours ``[N, C]`` of what is seen."""
    channels, size = images.shape[1], images.shape[2:]
    pace = 1 / max(grit * min(size[0], size[1]), LEAST_PERIOD)
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        longer, shorter = half_axes(numbers, size)
        seed, cells, grains = np.int64(numbers[6]), 1.2 / (0.5 * (longer + shorter)), finest / shorter
        cos, sin, rough = np.cos(numbers[4]), np.sin(numbers[4]), numbers[5]
        planes = np.empty((facets, 5), np.float32)
        sun = 2 * np.pi * three_rolls(flat, seed + 2, 3 * facets)[0]
        for i in range(facets):
            turn, apart, bright = three_rolls(flat, seed + 2, 3 * i)
            angle = 2 * np.pi / facets * (i + 0.3 * (turn - 0.5))
            along, across = np.cos(angle) / longer, np.sin(angle) / shorter
            planes[i, 0], planes[i, 1] = sin * across - cos * along, -sin * along - cos * across
            planes[i, 2], planes[i, 3] = 0.55 + 0.3 * apart, (0.6 + 0.8 * bright) * rough
            planes[i, 4] = facing * np.cos(angle - sun) + (1 - facing) * (2 * bright - 1)
        facet, grain, through = np.float32(numbers[7]), np.float32(numbers[8]), np.float32(numbers[9])
        opacity, steep, moved = np.float32(numbers[10]), np.float32(shorter), np.float32(unevenness)
        lines = max(1, min(BAND // width, height))
        uneven, rough_grain = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        fine = np.empty((lines, width), np.float32)
        shade, gone, share = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
        values = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            fill_noise(seed, cells * size[0], cells * size[1], octaves, box, size, cosines, sines, uneven[:here])
            spare = rough_grain[:here]
            fill_noise(seed + 1, grains * size[0], grains * size[1], grain_octaves, box, size, cosines, sines, spare)
            lattice_values(scrambled(seed + 3), box[0], box[1], pace, pace, flat, fine[:here])
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
                    bumpy = rough_grain[y, x] + fine[y, x]
                    light = light * facet + bumpy * grain
                    shade[x] = light - min(max(inside, ZERO), ONE) * SHADED
                    bent = bumpy * moved
                    gone[x] = min(max((bent + inside - through) * steep + HALF, ZERO), ONE)
                    share[x] = min(max(inside * steep + HALF, ZERO), ONE) * opacity
                for c in range(channels):
                    old = images[row, c, top + first + y, left : left + width]
                    surface, hollow = surfaces[n, c], hollows[n, c]
                    missing = min(surface, ONE - surface) * np.float32(glossy)
                    for x in range(width):
                        new = surface + shade[x] * (missing if shade[x] > ZERO else surface)
                        new += (hollow - new) * gone[x]
                        values[x] = old[x] + (new - old[x]) * share[x]
                    write_line(values, images, allowed, row, c, top + first + y, left)


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
        moved_right, moved_down = np.int64(np.rint(numbers[23] * size[1])), np.int64(np.rint(numbers[24] * size[0]))
        lines = max(1, min(BAND // width, height))
        bands = np.empty((3, lines, width), np.float32)
        values = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            above, below, before, after = 0, here, 0, width
            region = bands[2, :here]
            if local:
                fill_region(numbers, True, (np.float64(top + first), np.float64(left)), size, cosines, sines, region)
                # Noise is worked out only around what the region shows.
                above, below, before, after = extent_of(region)
                if above == below:
                    continue
            share, spare = bands[0, above:below, before:after], bands[1, above:below, before:after]
            box = np.float64(top + first + above), np.float64(left + before)
            cells_y, cells_x = max(numbers[10], least * size[0]), max(numbers[11], least * size[1])
            fill_noise(seed + 1, cells_y, cells_x, 1, box, size, cosines, sines, share)
            if algebra != 0:
                cells_y, cells_x = max(numbers[12], least * size[0]), max(numbers[13], least * size[1])
                fill_noise(seed + 3, cells_y, cells_x, 1, box, size, cosines, sines, spare)
                for y in range(len(share)):
                    one, two = share[y], spare[y]
                    if algebra == 1:
                        for x in range(len(one)):
                            one[x] = min(one[x], two[x])
                    else:
                        for x in range(len(one)):
                            one[x] = max(one[x], two[x])
            for y in range(len(share)):
                one = share[y]
                for x in range(len(one)):
                    one[x] = min(max((one[x] - level) * STEEP, ZERO), ONE) * opacity
                if local:
                    two = region[above + y, before:after]
                    for x in range(len(one)):
                        one[x] *= two[x]
            if kind == 0:
                lattice_values(scrambled(seed + 2), box[0], box[1], 1 / period_y, 1 / period_x, flat, spare)
            for y in range(len(share)):
                begin, end = shown_of(share[y])
                if begin == end:
                    continue
                one, two, new_values = share[y, begin:end], spare[y, begin:end], values[begin:end]
                down, across = top + first + above + y, left + before + begin
                for c in range(channels):
                    old = images[row, c, down, across : across + len(one)]
                    if kind == 0:
                        tint = (roll(flat, seed + 3, c) - HALF) * HALF if channels > 1 else ZERO
                        colour = np.float32(numbers[19]) + tint
                        for x in range(len(one)):
                            new_values[x] = old[x] + (two[x] * amount + colour - old[x]) * one[x]
                    else:
                        new = source[place, c, (down - moved_down) % size[0]]
                        there = (across - moved_right) % size[1]
                        fit = min(len(one), size[1] - there)
                        for x in range(fit):
                            new_values[x] = old[x] + (new[there + x] - old[x]) * one[x]
                        for x in range(fit, len(one)):
                            new_values[x] = old[x] + (new[x - fit] - old[x]) * one[x]
                    write_line(new_values, images, allowed, row, c, down, across)
