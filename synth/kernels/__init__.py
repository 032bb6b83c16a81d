"""Loops over pixels, compiled by Numba at their first call and kept in a cache from then on; see ``synth.compiled``.

Images are float32 and contiguous, ``[B, C, H, W]``. Nothing is reordered for speed (no ``fastmath``), so that the same
input gives the same bits on every machine. The interpreter is free for other threads meanwhile (``nogil``).
"""

from synth.kernels.areas import paint_bites, paint_ripples, paint_through_noise, paint_unevenness
from synth.kernels.batches import (
    copy_in_range,
    cut,
    find_changes,
    in_range,
    look_at_masks,
    mean_levels,
    mean_outside,
    mix,
    place,
    place_at_border,
    put_back,
    shrink,
)
from synth.kernels.breaks import lay_dots, paint_openings, paint_spalls
from synth.kernels.fields import (
    draw_dots,
    gradient_noise,
    in_two_colours,
    inside_regions,
    lay,
    nearest_points,
    sample,
    uncover,
    values_at,
    values_between,
)
from synth.kernels.marks import paint_blobs, paint_dents, paint_dots, paint_scratches, paint_stains

__all__ = [
    "copy_in_range",
    "cut",
    "draw_dots",
    "find_changes",
    "gradient_noise",
    "in_range",
    "in_two_colours",
    "inside_regions",
    "lay",
    "lay_dots",
    "look_at_masks",
    "mean_levels",
    "mean_outside",
    "mix",
    "nearest_points",
    "paint_bites",
    "paint_blobs",
    "paint_dents",
    "paint_dots",
    "paint_openings",
    "paint_ripples",
    "paint_scratches",
    "paint_spalls",
    "paint_stains",
    "paint_through_noise",
    "paint_unevenness",
    "place",
    "place_at_border",
    "put_back",
    "sample",
    "shrink",
    "uncover",
    "values_at",
    "values_between",
]
