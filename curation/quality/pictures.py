"""Checks of single pictures: exposure, contrast, focus, and files that hold nothing."""

from collections.abc import Sequence

import numpy as np

from curation.quality.findings import Check, Finding
from curation.quality.table import Table
from learning.tails import FEWEST, outlying

_MEAN_STEP, _CONTRAST_STEP, _CLIPPED_STEP, _SHARPNESS_STEP = 0.02, 0.2, 0.01, 0.25
"""Smallest differences worth a word: 2 % of the range that the set uses, a fifth of the contrast, 1 % of the area, a
quarter less energy in the finer of two octaves."""
_BY_LOGARITHM = ("low_contrast", "blurred")


def check_exposure(table: Table, rate: float) -> Check:
    """Too dark, too bright, too little contrast, or clipped more than is usual for the camera.

    What is usual is learnt from the set: a dark product is not too dark, and a white background is not clipped.

    Args:
        table: Of the whole set.
        rate: Probability that an ordinary picture is found, for each kind.
    """
    span = float(np.nanquantile(table.column("highest"), 0.95)) if table.readable.any() else 1.0
    contrast = np.log(np.maximum(table.column("contrast"), 1e-5))
    mean, step = table.column("mean"), _MEAN_STEP * span
    words = "{:.1%} of the pixels at the VALUE value, usual is below {:.1%}"
    return _gathered(
        [
            _unusual(table, "too_dark", mean, rate, step, False, "mean brightness {:.3f}, usual is above {:.3f}"),
            _unusual(table, "too_bright", mean, rate, step, True, "mean brightness {:.3f}, usual is below {:.3f}"),
            _unusual(
                table,
                "low_contrast",
                contrast,
                rate,
                _CONTRAST_STEP,
                False,
                "contrast {:.3f}, usual is above {:.3f}",
            ),
            *(
                _unusual(table, kind, table.column(kind), rate, _CLIPPED_STEP, True, words.replace("VALUE", value))
                for kind, value in (("clipped_dark", "lowest"), ("clipped_bright", "highest"))
            ),
        ]
    )


def check_focus(table: Table, rate: float) -> Check:
    """Less detail than is usual for the camera.

    The energy of an octave over that of the next coarser one does not depend on brightness and contrast. The finest
    octave shows slight blur, and sensor noise; the second is nearly free of noise. Half of the rate goes to each.
    """
    words = "{:.2f} of the energy of the coarser one, usual is above {:.2f}"
    found = [
        _unusual(table, "blurred", table.column(name), rate / 2, _SHARPNESS_STEP, False, f"{octave} has {words}")
        for name, octave in (("sharpness", "the second octave"), ("fine", "the finest octave"))
    ]
    both = _gathered(found)
    seen: dict[int, Finding] = {}
    for finding in sorted(both.findings, key=lambda one: (one.value or 0) - (one.limit or 0)):
        seen.setdefault(finding.images[0], finding)
    return Check(list(seen.values()), both.judged, both.notes)


def check_files(table: Table) -> Check:
    """Files that cannot be read, and pictures of one value only."""
    findings = [Finding("unreadable", [place], reason) for place, reason in table.problems.items()]
    flat = np.flatnonzero(table.column("contrast") == 0)
    findings += [
        Finding("flat", [int(place)], f"every pixel is {float(table.column('mean')[place]):.3f} of the range")
        for place in flat
    ]
    return Check(findings, {"unreadable": len(table.records), "flat": int(table.readable.sum())})


def _unusual(table: Table, kind: str, values: np.ndarray, rate: float, least: float, above: bool, words: str) -> Check:
    # A picture of one value is a finding of its own, and nothing else about it means anything.
    some = np.where(table.column("contrast") > 0, values, np.nan)
    found = outlying(some, table.strata, rate, least, above)
    # What is judged by its logarithm is told as it is.
    told = np.exp if kind in _BY_LOGARITHM else np.asarray
    pairs = zip(told(values[found.index]).tolist(), told(found.limits).tolist(), strict=True)
    findings = [
        Finding(kind, [int(place)], words.format(value, limit), value, limit)
        for place, (value, limit) in zip(found.index, pairs, strict=True)
    ]
    notes = [f"{_named(stratum)}: too few pictures (under {FEWEST}) to tell what is usual" for stratum in found.few]
    return Check(findings, {kind: found.judged}, notes)


def _named(stratum: str) -> str:
    return f"camera {stratum}" if stratum else "brightness, contrast and focus"


def _gathered(checks: Sequence[Check]) -> Check:
    return Check(
        [finding for check in checks for finding in check.findings],
        {kind: count for check in checks for kind, count in check.judged.items()},
        list(dict.fromkeys(note for check in checks for note in check.notes)),
    )
