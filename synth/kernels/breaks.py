"""Loops that paint breaks in place: spalls and open cracks, and lay the dots that cracks are made of.

What they are given is said in ``synth.kernels.shared``.
"""

from typing import Any

import numpy as np

from synth.jit import compiled, part_of_others
from synth.kernels.shared import (
    BAND,
    HALF,
    ONE,
    THREE,
    ZERO,
    brightens,
    extent_of,
    fill_ragged_region,
    half_axes,
    lattice_values,
    noise_at,
    scrambled,
    write_line,
)
from synth.noise import LEAST_PERIOD, MOST_CELLS, Numbers

MOST_DARK, DARK_FROM = np.float32(0.97), np.float32(0.4)
DARKER = np.float32(1.3)


@part_of_others
def _sunken(inside: Any, wall: Any) -> Any:
    """See ``synth.families.shading.sunken``."""
    inside = max(inside, ZERO)
    return inside / (inside + wall)


@part_of_others
def _lit(value: Any, slope: Any) -> Any:
    """See ``synth.families.shading.light``."""
    goal = ONE if slope > ZERO else ZERO
    return value + (goal - value) * abs(slope)


@compiled
def paint_spalls(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    floors: Numbers,
    octaves: int,
    coarser: float,
    steepest: float,
    table: Numbers,
    flat: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.spall``; region, grain, grit, light, relief and opacity; colours ``[N, C]`` of the floor."""
    channels, size = images.shape[1], images.shape[2:]
    side = min(size[0], size[1])
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        _, shorter = half_axes(numbers, size)
        seed, wall, grain = np.int64(numbers[6]), np.float32(numbers[7]), np.float32(numbers[9])
        fine = max(numbers[10] * side, 1.5)
        step = max(0.6 * numbers[7] * shorter, 1.0)
        sun_x, sun_y = np.cos(numbers[11]) * step, np.sin(numbers[11]) * step
        relief, opacity, steep = np.float32(steepest * numbers[12]), np.float32(numbers[13]), np.float32(shorter)
        starts = scrambled(seed + 1), scrambled(seed + 2)
        steps = 1 / max(fine, LEAST_PERIOD), 1 / max(coarser * fine, LEAST_PERIOD)
        lines = max(1, min(BAND // width, height))
        inside, share = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        slope, grains = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        coarse, values = np.empty((lines, width), np.float32), np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            fill_ragged_region(numbers, False, octaves, box, size, cosines, sines, inside[:here])
            for y in range(here):
                within, part = inside[y], share[y]
                for x in range(width):
                    part[x] = min(max(within[x] * steep + HALF, ZERO), ONE) * opacity
            # What follows is looked at only where something is broken out.
            up, down, begin, end = extent_of(share[:here])
            if up == down:
                continue
            y0, x0 = box[0] + up, box[1] + begin
            lit, rough, large = slope[up:down, begin:end], grains[up:down, begin:end], coarse[up:down, begin:end]
            box = y0 + sun_y, x0 + sun_x
            fill_ragged_region(numbers, False, octaves, box, size, cosines, sines, lit)
            lattice_values(starts[0], y0, x0, steps[0], steps[0], flat, rough)
            lattice_values(starts[1], y0, x0, steps[1], steps[1], flat, large)
            new = values[: end - begin]
            for y in range(down - up):
                within, part = inside[up + y, begin:end], share[up + y, begin:end]
                sun, shade, other = lit[y], rough[y], large[y]
                for x in range(len(new)):
                    bend = (_sunken(sun[x], wall) - _sunken(within[x], wall)) * relief
                    sun[x] = min(max(bend, -ONE), ONE)
                    shade[x] = (shade[x] + other[x]) * grain + ONE
                for c in range(channels):
                    old = images[row, c, top + first + up + y, left + begin : left + end]
                    floor = floors[n, c]
                    for x in range(len(new)):
                        value = _lit(min(max(floor * shade[x], ZERO), ONE), sun[x])
                        new[x] = old[x] + (value - old[x]) * part[x]
                    write_line(new, images, allowed, row, c, top + first + up + y, left + begin)


@compiled
def lay_dots(knots: Numbers, between: Numbers, out: Numbers) -> None:
    """Dots along walks, so many from each knot to the next.

    Args:
        knots: ``[N, W, K, 3]`` float32: x, y and radius; a walk that begins with a radius of 0 has no dots.
        between: ``[N]`` int64.
        out: ``[D, 3]`` float32.
    """
    place = 0
    for n in range(len(knots)):
        for w in range(knots.shape[1]):
            walk = knots[n, w]
            if walk[0, 2] <= ZERO:
                continue
            for k in range(len(walk) - 1):
                for i in range(between[n]):
                    share = np.float32(i) / np.float32(between[n])
                    for d in range(3):
                        out[place, d] = walk[k, d] + share * (walk[k + 1, d] - walk[k, d])
                    place += 1


@part_of_others
def _draw_cones(dots: Numbers, left: float, top: float, canvas: Numbers) -> None:
    """See ``synth.stamps.stamp_cones``; on a canvas that begins there."""
    height, width = canvas.shape
    for d in range(len(dots)):
        far = dots[d, 2]
        if far <= ZERO:
            continue
        px, py, steep = np.float32(dots[d, 0] - left), np.float32(dots[d, 1] - top), ONE / far
        for y in range(max(int(np.floor(py - far)), 0), min(int(np.ceil(py + far)) + 1, height)):
            line, dy = canvas[y], np.float32(y) - py
            for x in range(max(int(np.floor(px - far)), 0), min(int(np.ceil(px + far)) + 1, width)):
                dx = np.float32(x) - px
                line[x] = max(line[x], min(max((far - np.sqrt(dx * dx + dy * dy)) * steep, ZERO), ONE))


@part_of_others
def _gap(around: Any, ragged: Any, reach: Any, rough: Any) -> Any:
    """See ``synth.families.crack``."""
    return rough * ragged * min(THREE * around, ONE) + around * reach - (reach - ONE)


@compiled
def paint_openings(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    levels: Numbers,
    reach: float,
    octaves: int,
    ends: Numbers,
    dots: Numbers,
    table: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.crack``, open ones; half width, depth, wall, light, relief, ragged and seed.

    Args:
        images: See above.
        allowed: See above.
        rows: See above.
        boxes: See above.
        levels: See above.
        reach: How far dots reach, in half widths.
        octaves: Of the noise that the rim is broken by.
        ends: ``[N]`` int64, where the dots of each flaw end.
        dots: ``[D, 3]`` float32: x and y from the centre, and where a dot has run out, in pixels; 0 draws nothing.
        table: See above.
        cosines: Of the table.
        sines: Of the table.
    """
    channels, size = images.shape[1], images.shape[2:]
    steps = np.empty((octaves, 2))
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        half, wall, wide = numbers[2], np.float32(numbers[4]), np.float32(numbers[2])
        target, amount = brightens(levels[n], numbers[3]), min(DARKER * np.float32(abs(numbers[3])), MOST_DARK)
        step = max(0.5 * numbers[4] * half, 0.75)
        sun_x, sun_y = np.cos(numbers[5]) * step, np.sin(numbers[5]) * step
        relief, ragged, seed = np.float32(2 * numbers[6]), np.float32(numbers[7]), np.int64(numbers[8])
        far = np.float32(reach)
        for octave in range(octaves):
            for axis in range(2):
                cells = max(size[axis] / (1.2 * half), 1.0)
                steps[octave, axis] = min(cells * 2.0**octave, MOST_CELLS) / size[axis]
        own = dots[ends[n - 1] if n else 0 : ends[n]]
        lines = max(1, min(BAND // width, height))
        near, lit = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        share, dark, slope = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
        values = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            y0, x0 = top + first - numbers[1], left - numbers[0]
            near[:here], lit[:here] = ZERO, ZERO
            _draw_cones(own, x0, y0, near[:here])
            _draw_cones(own, x0 + sun_x, y0 + sun_y, lit[:here])
            for y in range(here):
                begin, end = width, 0
                for x in range(width):
                    share[x] = ZERO
                    if near[y, x] <= ZERO:
                        continue
                    down, across = np.float64(top + first + y), np.float64(left + x)
                    inside = _gap(near[y, x], ragged, far, noise_at(seed, steps, down, across, cosines, sines))
                    share[x] = min(max(inside * wide + HALF, ZERO), ONE)
                    if share[x] <= ZERO:
                        continue
                    begin, end = min(begin, x), x + 1
                    towards = ZERO
                    if lit[y, x] > ZERO:
                        rough = noise_at(seed, steps, down + sun_y, across + sun_x, cosines, sines)
                        towards = _gap(lit[y, x], ragged, far, rough)
                    dark[x] = min(max(inside / wall - DARK_FROM, ZERO), ONE)
                    bend = (_sunken(towards, wall) - _sunken(inside, wall)) * relief * (ONE - dark[x])
                    slope[x] = min(max(bend, -ONE), ONE)
                if begin >= end:
                    continue
                for c in range(channels):
                    old, new = images[row, c, top + first + y, left + begin : left + end], values[: end - begin]
                    for x in range(len(new)):
                        at = begin + x
                        new[x] = old[x]
                        if share[at] > ZERO:
                            value = _lit(old[x] + (target - old[x]) * (dark[at] * amount), slope[at])
                            new[x] += (value - old[x]) * share[at]
                    write_line(new, images, allowed, row, c, top + first + y, left + begin)
