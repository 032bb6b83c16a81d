"""Full multigrid as loops compiled by Numba; see ``synth.blending`` and ``synth.compiled``."""

from typing import Any

import numpy as np

from synth.jit import compiled, part_of_others
from synth.noise import Numbers

_ZERO, _ONE, _QUARTER, _FOUR = (np.float32(value) for value in (0, 1, 0.25, 4))
_JACOBI = (np.float32(1.39 / 4), np.float32(0.562 / 4))
_LEAST = np.float32(1e-9)


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


@part_of_others
def _plane(flat: Numbers, starts: Numbers, heights: Numbers, widths: Numbers, level: int) -> Any:
    """A grid out of the array that holds all of them."""
    return flat[starts[level] : starts[level + 1]].reshape((heights[level], widths[level]))


@part_of_others
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


@part_of_others
def _relax(value: Numbers, right: Numbers, weight: Numbers, rest: Numbers) -> None:
    """A pair of Jacobi steps."""
    for step in _JACOBI:
        _residual(value, right, weight, rest)
        for y in range(value.shape[0]):
            for x in range(value.shape[1]):
                value[y, x] += step * rest[y, x]


@part_of_others
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


@part_of_others
def _halve(fine: Numbers, coarse: Numbers) -> None:
    """Means of two by two cells, of fewer at the end of an odd number of lines."""
    height, width = fine.shape
    for y in range(coarse.shape[0]):
        below = min(2 * y + 1, height - 1)
        upper, lower = fine[2 * y], fine[below]
        for x in range(coarse.shape[1]):
            beside = min(2 * x + 1, width - 1)
            coarse[y, x] = _QUARTER * (upper[2 * x] + upper[beside] + lower[2 * x] + lower[beside])


@part_of_others
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


@part_of_others
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


@part_of_others
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


@part_of_others
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
