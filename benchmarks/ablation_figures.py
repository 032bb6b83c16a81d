"""From the scores of the ablation to its figures: pure functions of scores and of what was judged."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.exam import HELD_OUT, TEST, Row
from learning.images.records import GOOD
from learning.intervals import group_bootstrap
from learning.metrics import image_auroc

EVERYTHING, PERLIN_ONLY = "everything", "perlin only"
_PERLIN = "perlin"
_DRAWS = 300

Scores = Mapping[str, NDArray[np.float64]]
"""Scores ``[S, N]`` of each variant: a line for each seed, a column for each image."""
Figure = Callable[[NDArray[np.intp]], float]
"""A figure of one detector, over some of the images, of which some may be repeated; NaN where it has no value."""


def without(family: str) -> str:
    """Name of the variant that is trained on all other families."""
    return f"without {family}"


def variants(families: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Families that each variant is trained on."""
    found = {EVERYTHING: tuple(families), PERLIN_ONLY: (_PERLIN,)}
    return found | {without(left): tuple(name for name in families if name != left) for left in families}


def auroc(rows: Sequence[Row], section: str, labels: Sequence[str], scores: NDArray[np.float64]) -> Figure:
    """Image AUROC of labels against good parts, stratum by stratum, averaged over the strata that have both.

    Args:
        rows: All that is judged.
        section: Which rows count.
        labels: Which labels count as defective, together.
        scores: ``[N]``, of one detector.
    """
    strata = np.unique([row.stratum for row in rows], return_inverse=True)[1]
    good = np.array([row.section == section and row.label == GOOD for row in rows])
    bad = np.array([row.section == section and row.label in labels for row in rows])

    def figure(chosen: NDArray[np.intp]) -> float:
        counted = chosen[good[chosen] | bad[chosen]]
        parts = [counted[strata[counted] == stratum] for stratum in np.unique(strata[bad])]
        return _mean([image_auroc(scores[part], bad[part]) for part in parts])

    return figure


def summarise(rows: Sequence[Row], scores: Scores, families: Sequence[str]) -> dict[str, Any]:
    """All figures of one exam, of the variants that are done.

    Args:
        rows: What was judged.
        scores: Each variant with the same seeds.
        families: All of them.

    Returns:
        ``test``: for each variant the image AUROC on the test set and its ``difference`` from ``everything``.
        ``left_out``: for each family the AUROC on its flaws, and ``others``, the mean over all other families, by the
        detector that was trained without it, by ``perlin only`` and by ``everything``. ``left_out_mean``: over all
        families but Perlin, so those that neither detector was trained on, of the detectors without each family in
        turn, of Perlin only, and the ``difference``. A figure has ``mean``, ``std`` over the seeds, and, but for
        ``left_out``, ``interval``: 95 % of the mean, images drawn by group. None is what cannot be said yet.
    """
    groups = [row.group for row in rows]
    defects = sorted({row.label for row in rows if row.section == TEST} - {GOOD})
    on_test = {name: [auroc(rows, TEST, defects, line) for line in lines] for name, lines in scores.items()}
    on_family = {
        name: {family: [auroc(rows, HELD_OUT, [family], line) for line in lines] for family in families}
        for name, lines in scores.items()
    }

    def left_out(family: str, name: str) -> dict[str, Any] | None:
        if name not in scores:
            return None
        others = [_over([on_family[name][o][i] for o in families if o != family]) for i in range(len(scores[name]))]
        return {**_spread(on_family[name][family], len(rows)), "others": _spread(others, len(rows))}

    def compared(name: str) -> dict[str, Any]:
        reference = on_test.get(EVERYTHING)
        return {
            "auroc": _with_interval(on_test[name], groups),
            "difference": _with_interval(_minus(on_test[name], reference), groups) if reference else None,
        }

    return {
        "test": {name: compared(name) for name in scores},
        "left_out": {
            family: {name: left_out(family, name) for name in (without(family), PERLIN_ONLY, EVERYTHING)}
            for family in families
        },
        "left_out_mean": _left_out_mean(on_family, families, groups),
    }


def _left_out_mean(
    on_family: Mapping[str, Mapping[str, Sequence[Figure]]], families: Sequence[str], groups: Sequence[str]
) -> dict[str, Any] | None:
    unseen = [family for family in families if family != _PERLIN and without(family) in on_family]
    if not unseen or PERLIN_ONLY not in on_family:
        return None
    seeds = range(len(on_family[PERLIN_ONLY][_PERLIN]))
    others = [_over([on_family[without(family)][family][seed] for family in unseen]) for seed in seeds]
    perlin = [_over([on_family[PERLIN_ONLY][family][seed] for family in unseen]) for seed in seeds]
    return {
        "without each": _with_interval(others, groups),
        PERLIN_ONLY: _with_interval(perlin, groups),
        "difference": _with_interval(_minus(others, perlin), groups),
    }


def _over(figures: Sequence[Figure]) -> Figure:
    return lambda chosen: _mean([figure(chosen) for figure in figures])


def _minus(figures: Sequence[Figure], others: Sequence[Figure]) -> list[Figure]:
    """Differences, seed by seed."""

    def pair(figure: Figure, other: Figure) -> Figure:
        return lambda chosen: figure(chosen) - other(chosen)

    return [pair(figure, other) for figure, other in zip(figures, others, strict=True)]


def _spread(figures: Sequence[Figure], count: int) -> dict[str, Any]:
    """Mean and standard deviation over the seeds, over all images."""
    values = [figure(np.arange(count)) for figure in figures]
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}


def _with_interval(figures: Sequence[Figure], groups: Sequence[str]) -> dict[str, Any]:
    low, high = group_bootstrap(lambda chosen: float(np.mean([f(chosen) for f in figures])), groups, draws=_DRAWS)
    return {**_spread(figures, len(groups)), "interval": [low, high]}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
