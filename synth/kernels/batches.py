"""Loops over batches as a whole: ranges, copies, changes, places and means."""

from typing import Any

import numpy as np

from synth.jit import compiled, part_of_others
from synth.kernels.shared import HALF, NEXT_EVEN, ONE, ZERO
from synth.noise import Numbers


@compiled
def in_range(values: Numbers) -> bool:
    """Whether all numbers ``[N]`` lie in 0..1."""
    bad = np.int32(0)
    for i in range(len(values)):
        bad |= np.int32(not ((values[i] >= ZERO) & (values[i] <= ONE)))
    return bad == 0


@compiled
def copy_in_range(values: Numbers, out: Numbers) -> bool:
    """Copy numbers ``[N]``, and say whether all of them lie in 0..1."""
    bad = np.int32(0)
    for i in range(len(values)):
        out[i] = values[i]
        bad |= np.int32(not ((values[i] >= ZERO) & (values[i] <= ONE)))
    return bad == 0


@compiled
def look_at_masks(masks: Numbers, found: Numbers) -> bool:
    """Whether all numbers ``[B, N]`` are 0 or 1; and which rows have another than 0, to ``[B]`` bool."""
    other = np.int32(0)
    for b in range(len(masks)):
        mask, some = masks[b], np.int32(0)
        for i in range(len(mask)):
            some |= np.int32(mask[i] != ZERO)
            other |= np.int32((mask[i] != ZERO) & (mask[i] != ONE))
        found[b] = some != 0
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
        line[:] = ZERO
        for c in range(before.shape[1]):
            old, new = before[row, c, y, left : left + width], after[row, c, y, left : left + width]
            for x in range(width):
                a = (new[x] * levels + NEXT_EVEN) - NEXT_EVEN
                b = (old[x] * levels + NEXT_EVEN) - NEXT_EVEN
                line[x] = max(line[x], ONE if abs(a - b) >= least else ZERO)


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
                        old[x] = min(max(new[x], ZERO), ONE)
                else:
                    share = allowed[n, 0, down + y, right : right + width]
                    for x in range(width):
                        value = min(max(new[x], ZERO), ONE)
                        old[x] = value if share[x] > HALF else old[x]


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
                    total = ZERO
                    for column in range(left, right):
                        total += columns[column]
                    out[b, c, y, x] = total / np.float32((right - left) * (last - first))


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
            count = ZERO
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
                if mask[row, 0, y, x] < HALF:
                    total += 1
                    for c in range(channels):
                        sums[c] += images[row, c, y, x]
        found[n] = total > 0
        for c in range(channels):
            means[n, c] = np.float32(sums[c] / max(total, 1))
