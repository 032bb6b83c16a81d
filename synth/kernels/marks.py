"""Loops that paint marks in place: blobs, dents, stains, scratches and dots.

What they are given is said in ``synth.kernels.shared``.
"""

from typing import Any

import numpy as np

from synth.jit import compiled, part_of_others
from synth.kernels.shared import (
    BAND,
    DARKEST,
    FAR,
    FOUR,
    HALF,
    MOST_DENSE,
    ONE,
    SIX,
    TEN,
    THREE,
    TURN,
    ZERO,
    brightens,
    fill_noise,
    fill_ragged_region,
    fill_region,
    half_axes,
    mix_line,
    roll,
    sample_place,
    smoothstep,
    three_rolls,
    write_line,
)
from synth.noise import Numbers


@part_of_others
def _fill_cluster(
    numbers: Numbers,
    octaves: int,
    box: Any,
    size: Any,
    bell: Numbers,
    cosines: Numbers,
    sines: Numbers,
    out: Numbers,
    spare: Numbers,
) -> None:
    """See ``synth.families.blob``."""
    fill_ragged_region(numbers, True, octaves, box, size, cosines, sines, out)
    longer, _ = half_axes(numbers, size)
    other, seed = numbers[:9].copy(), np.int64(numbers[6])
    for i in range(1, np.int64(numbers[11])):
        far = 0.5 * longer * numbers[12]
        other[0] = numbers[0] + roll(bell, seed + i, 0) * far
        other[1] = numbers[1] + roll(bell, seed + i, 1) * far
        other[2] = numbers[2] * np.exp(0.3 * roll(bell, seed + i, 2))
        other[6] = seed + 1 + i
        fill_ragged_region(other, True, octaves, box, size, cosines, sines, spare)
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
    octaves: int,
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
        target = brightens(levels[n], numbers[9])
        step = max(0.2 * half_axes(numbers, size)[1], 1.0)
        sun_x, sun_y = np.cos(numbers[13]) * step, np.sin(numbers[13]) * step
        lines = max(1, min(BAND // width, height))
        inside, spare = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        lit = np.empty((lines if relief > 0 else 1, width), np.float32)
        values = np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            _fill_cluster(numbers, octaves, box, size, bell, cosines, sines, inside[:here], spare[:here])
            if relief > 0:
                box = box[0] + sun_y, box[1] + sun_x
                _fill_cluster(numbers, octaves, box, size, bell, cosines, sines, lit[:here], spare[:here])
            for y in range(here):
                within, share = inside[y], spare[y]
                for x in range(width):
                    share[x] = (within[x] + rim * (ONE - within[x]) * within[x]) * depth
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
                            goal = ONE if slope[x] > ZERO else ZERO
                            values[x] += (goal - values[x]) * abs(slope[x])
                    write_line(values, images, allowed, row, c, top + first + y, left)


@part_of_others
def _fill_height(
    numbers: Numbers, rim_width: Any, box: Any, size: Any, cosines: Numbers, sines: Numbers, out: Numbers
) -> None:
    """See ``synth.families.dent``."""
    fill_region(numbers, False, box, size, cosines, sines, out)
    steep, rim, deep = np.float32(1 / numbers[7]), np.float32(numbers[11]), np.float32(1 + numbers[11])
    outer = np.float32(1 / rim_width)
    for y in range(out.shape[0]):
        line = out[y]
        for x in range(len(line)):
            wall, border = smoothstep(line[x] * steep), smoothstep(line[x] * outer + ONE)
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
        _, shorter = half_axes(numbers, size)
        step = max(0.15 * shorter, 0.75)
        sun_x, sun_y = np.cos(numbers[10]) * step, np.sin(numbers[10]) * step
        steepest = np.float32(numbers[9] * shorter * numbers[7] / (3 * step))
        steep, warp = np.float32(1 / numbers[7]), np.float32(numbers[12])
        # The texture is drawn from what was there before, as far away as a share of the box.
        margin = np.int64(np.ceil(abs(numbers[12]) * max(width, height))) + 1
        x0, y0 = max(left - margin, 0), max(top - margin, 0)
        x1, y1 = min(left + width + margin, size[1]), min(top + height + margin, size[0])
        before = images[row, :, y0:y1, x0:x1].copy() if warp != 0 else images[row, :, :1, :1]
        lines = max(1, min(BAND // width, height))
        near, far = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        share, values = np.empty((lines, width), np.float32), np.empty((channels, width), np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            _fill_height(numbers, rim_width, (box[0] + sun_y, box[1] + sun_x), size, cosines, sines, near[:here])
            _fill_height(numbers, rim_width, (box[0] - sun_y, box[1] - sun_x), size, cosines, sines, far[:here])
            if warp != 0:
                fill_region(numbers, False, box, size, cosines, sines, share[:here])
            for y in range(here):
                slope, other = near[y], far[y]
                for x in range(width):
                    slope[x] = min(max((slope[x] - other[x]) * steepest, -ONE), ONE)
                if warp != 0:
                    down = np.float32(top + first + y - numbers[1])
                    for x in range(width):
                        by = smoothstep(share[y, x] * steep) * warp
                        from_x = np.float32(left + x - numbers[0]) * by + np.float32(left + x - x0)
                        from_y = down * by + np.float32(top + first + y - y0)
                        sample_place(before, from_x, from_y, values, x)
                else:
                    for c in range(channels):
                        values[c] = images[row, c, top + first + y, left : left + width]
                for c in range(channels):
                    line = values[c]
                    for x in range(width):
                        goal = ONE if slope[x] > ZERO else ZERO
                        line[x] += (goal - line[x]) * abs(slope[x])
                    write_line(line, images, allowed, row, c, top + first + y, left)


@part_of_others
def _fill_runs(
    numbers: Numbers, box: Any, size: Any, flat: Numbers, cosines: Numbers, sines: Numbers, out: Numbers, wave: Numbers
) -> None:
    """See ``synth.families.stain``: the higher of the field and its runs, in place."""
    longer, shorter = half_axes(numbers, size)
    seed = np.int64(numbers[6])
    fill_noise(seed + 3, size[0] / longer, size[1] / longer, 1, box, size, cosines, sines, wave)
    cos, sin, bend = np.float32(np.cos(numbers[16])), np.float32(np.sin(numbers[16])), np.float32(0.15 * shorter)
    for i in range(np.int64(numbers[15])):
        place, thick, length = three_rolls(flat, seed + 2, 3 * i)
        wide = np.float32(max((0.08 + 0.14 * thick) * shorter, 0.8))
        end = np.float32(longer * numbers[17] * (1 if i == 0 else 0.4 + 0.6 * length))
        aside, rise = np.float32((place - 0.5) * shorter), np.float32(wide / shorter)
        for y in range(out.shape[0]):
            dy, line, moved = np.float32(box[0] + y - numbers[1]), out[y], wave[y]
            for x in range(len(line)):
                dx = np.float32(box[1] + x - numbers[0])
                along, across = dx * cos + dy * sin, dy * cos - dx * sin + moved[x] * bend
                beyond = max(along - end, ZERO) + max(-along, ZERO)
                if (ONE - beyond / wide) * rise <= line[x]:  # the distance across only takes from it
                    continue
                drop = (along - end) / (THREE * wide)
                side = (across - aside) / (ONE + SIX / TEN * np.exp(-drop * drop))
                line[x] = max(line[x], (ONE - np.sqrt(side * side + beyond * beyond) / wide) * rise)


@compiled
def paint_stains(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    levels: Numbers,
    octaves: int,
    rim_width: float,
    creep: float,
    denser: float,
    table: Numbers,
    flat: Numbers,
    cosines: Numbers,
    sines: Numbers,
) -> None:
    """See ``synth.families.stain``; region, density, rim, cloud, tint (3), runs, direction, length and soak."""
    channels, size = images.shape[1], images.shape[2:]
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        numbers, row = table[n], rows[n]
        _, shorter = half_axes(numbers, size)
        seed, cells = np.int64(numbers[6]), 1.6 / shorter
        target = brightens(levels[n], numbers[9])
        dense, rim = np.float32(abs(numbers[9])), np.float32(numbers[10])
        clouded, clear = np.float32(0.7 * numbers[11]), np.float32(1 - 0.5 * numbers[11])
        steep, peak = np.float32(1 / max(numbers[7], 1 / shorter)), np.float32(max(0.6 / shorter, rim_width))
        soak, level = np.float32(numbers[18]), ZERO
        for c in range(channels):
            level += levels[n, c] / np.float32(channels)
        crept, soaked, least = np.float32(creep), np.float32(denser), max(level, DARKEST)
        lines = max(1, min(BAND // width, height))
        inside, cloud = np.empty((lines, width), np.float32), np.empty((lines, width), np.float32)
        share, darker = np.empty(width, np.float32), np.empty(width, np.float32)
        for first in range(0, height, lines):
            here = min(lines, height - first)
            box = np.float64(top + first), np.float64(left)
            fill_ragged_region(numbers, False, octaves, box, size, cosines, sines, inside[:here])
            if numbers[15] > 0:
                _fill_runs(numbers, box, size, flat, cosines, sines, inside[:here], cloud[:here])
            fill_noise(seed + 1, cells * size[0], cells * size[1], 2, box, size, cosines, sines, cloud[:here])
            for y in range(here):
                within, thin = inside[y], cloud[y]
                darker[:] = level
                for c in range(channels):
                    old = images[row, c, top + first + y, left : left + width]
                    for x in range(width):
                        darker[x] -= old[x] / np.float32(channels)
                for x in range(width):
                    darker[x] = min(max(darker[x] / least, -ONE), ONE) * soak
                    within[x] += darker[x] * crept
                for x in range(width):
                    off = (within[x] - peak) / peak
                    off = off * off * HALF
                    body = min(max(within[x] * steep + HALF, ZERO), ONE)
                    dried = np.exp(-off) * rim if off < TEN + TEN else ZERO
                    value = (body + dried) * (thin[x] * clouded + clear) * dense * (darker[x] * soaked + ONE)
                    share[x] = min(max(value, ZERO), MOST_DENSE)
                for c in range(channels):
                    tint = np.float32(numbers[12 + c]) if channels == 3 else ONE
                    old = within  # no longer needed
                    for x in range(width):
                        old[x] = share[x] * tint
                    mix_line(old, target, images, allowed, row, c, top + first + y, left)


@compiled
def paint_scratches(
    images: Numbers,
    allowed: Numbers,
    rows: Numbers,
    boxes: Numbers,
    levels: Numbers,
    waves: tuple[float, float],
    contacts: tuple[float, float],
    taper: float,
    burr_place: float,
    table: Numbers,
    grooves: Numbers,
) -> None:
    """See ``synth.families.scratch``; cosine, sine, length, deviation, bend, depth, grooves, pitch, wander, fading.

    Args:
        images: See above.
        allowed: See above.
        rows: See above.
        boxes: See above.
        levels: See above.
        waves: Turns of the waves by which scratches wander.
        contacts: Turns of those by which they fade.
        taper: How soon a groove is as deep as it gets.
        burr_place: Distance of the burr from its groove, in deviations.
        table: See above.
        grooves: ``[N, 3, 6]`` float32, of each groove: two phases, start, end, depth, and pitches beside the first.
    """
    channels = images.shape[1]
    wave, contact = np.float32(TURN * waves[0]), np.float32(TURN * contacts[0])
    other_wave, other_contact = np.float32(TURN * waves[1]), np.float32(TURN * contacts[1])
    soon = np.float32(taper)
    for n in range(len(rows)):
        left, top, width, height = boxes[n]
        row = rows[n]
        cos, sin, length, sigma, bend, depth = table[n, 2:8]
        number, pitch, wander = np.int64(table[n, 8]), np.float32(table[n, 9]), np.float32(table[n, 10])
        fading, burr = np.float32(table[n, 11]), np.float32(abs(table[n, 12]))
        target, dark = brightens(levels[n], depth), np.float32(abs(depth))
        aside = np.float32(burr_place if table[n, 12] > 0 else -burr_place)
        # Beyond these there is neither groove nor burr.
        far = np.float32(1.5) * wander + np.float32(burr_place) + np.float32(4)
        widest = grooves[n, number - 1, 5] * pitch + far
        along_x, across_x, arched = (
            np.float32(cos / length),
            np.float32(-sin / sigma),
            np.float32(-4 * bend * length / sigma),
        )
        share, raised = np.empty(width, np.float32), np.empty(width, np.float32)
        x0 = np.float32(left - table[n, 0])
        phase, other_phase = np.float32(TURN) * grooves[n, 0, 0], np.float32(TURN) * grooves[n, 0, 1]
        for y in range(top, top + height):
            dy = y - table[n, 1]
            along_y, across_y = np.float32(0.5 + dy * sin / length), np.float32(dy * cos / sigma)
            seen = False
            for x in range(width):
                share[x], raised[x] = ZERO, ZERO
                dx = x0 + np.float32(x)
                along = along_y + dx * along_x
                arch = (ONE - along) * along
                across = across_y + dx * across_x + arch * arched
                if arch <= ZERO or across < -far or across > widest:
                    continue
                seen = True
                swing = np.sin(along * wave + phase) + HALF * np.sin(along * other_wave + other_phase)
                across -= swing * wander
                for i in range(number):
                    own = grooves[n, i]
                    beside = across - own[5] * pitch
                    burred = beside - aside
                    nearest = min(beside * beside, burred * burred) if burr > ZERO else beside * beside
                    deep = min((along - own[2]) * (own[3] - along) * soon, ONE) * own[4]
                    if deep <= ZERO or nearest > FAR:
                        continue
                    faded = np.sin(along * contact + np.float32(TURN) * own[0])
                    faded += np.sin(along * other_contact + np.float32(TURN) * own[1])
                    deep *= min(max(ONE - fading * (HALF * faded + FOUR / TEN), ZERO), ONE) * dark
                    share[x] = max(share[x], np.exp(-HALF * beside * beside) * deep)
                    if burr > ZERO:
                        raised[x] = max(raised[x], np.exp(-HALF * burred * burred) * deep * burr)
            if seen:
                for c in range(channels):
                    mix_line(share, target, images, allowed, row, c, y, left)
                    if burr > ZERO:
                        mix_line(raised, ONE - target, images, allowed, row, c, y, left)


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
        lines = max(1, min(BAND // width, height))
        layers = np.empty((2, lines, width), np.float32)
        seen = np.empty((2, lines), np.bool_)
        for first in range(top, top + height, lines):
            here = min(lines, top + height - first)
            layers[:] = ZERO
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
                        value = min(max(far - np.sqrt(dx * dx + dy * dy), ZERO), ONE) * strength
                        line[x] = max(line[x], value)
            for layer in range(2):
                for y in range(here):
                    if seen[layer, y]:
                        for c in range(channels):
                            mix_line(layers[layer, y], colours[layer, n, c], images, allowed, row, c, first + y, left)
