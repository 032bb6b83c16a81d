"""From decision scores after some answers to curves, bands and the figures that the bars are about."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.answering import Floats, Rows, Stage
from learning.fusion import weighted_threshold
from learning.metrics import image_auroc

Curves = dict[str, dict[int, list[dict[str, float]]]]
"""Figures by strategy and number of answers, one for each split."""

_BAND = (10, 90)
"""Percentiles over splits; halves of one set overlap, so that they are no confidence interval."""
_DRAWS = 2000
_CONFIDENCE = 0.95


def measure(at: Stage, scores: Floats, measured: Rows, false_reject: float) -> dict[str, float]:
    """Image AUROC, and the share of defective images that escape at this rate of false rejects, both of these rows."""
    own, defective = scores[measured], at.defective[measured]
    bad = measured[defective]
    return {
        "image_auroc": image_auroc(own, defective),
        "escape": 1 - float(recall(at, scores, bad, measured, false_reject).mean()),
    }


def recall(at: Stage, scores: Floats, rows: Rows, measured: Rows, false_reject: float) -> NDArray[np.float64]:
    """Which rows are rejected, 0 or 1, by the threshold that rejects this share of the good ones that are measured."""
    good = scores[measured[~at.defective[measured]]]
    threshold = weighted_threshold(good, np.ones(len(good)), false_reject)
    return (scores[rows] > threshold).astype(np.float64)


def summarise(curves: Curves) -> dict[str, Any]:
    """Mean and band of every figure: ``{figure: {strategy: {answers: {mean, low, high}}}}``."""
    found: dict[str, Any] = {}
    for strategy, by_answers in curves.items():
        for answers, rows in by_answers.items():
            for name in rows[0]:
                values = [row[name] for row in rows]
                low, high = np.percentile(values, _BAND)
                found.setdefault(name, {}).setdefault(strategy, {})[str(answers)] = {
                    "mean": float(np.mean(values)),
                    "low": float(low),
                    "high": float(high),
                }
    return found


def answers_ratio(curves: Curves, strategy: str, other: str, after: int) -> dict[str, float | None]:
    """Answers that a strategy takes for the escape rate that another one reaches after some, over those.

    Between waves the mean curve is taken as straight. The first wave is the least: without an answer nothing is learnt,
    and where the other one has learnt nothing either, all that can be said is that it took no more than that.

    Returns:
        ``ratio`` (None where it is never reached), ``high``: the upper end of a bootstrap over splits, ``other``: the
        escape rate of the other after so many answers, and ``none``: without any answer.
    """
    own = _by_split(curves[strategy])
    others = _by_split(curves[other])[after]
    generator = np.random.default_rng(0)
    splits = len(others)
    drawn = [
        _ratio({count: values[chosen] for count, values in own.items()}, others[chosen], after)
        for chosen in generator.integers(0, splits, (_DRAWS, splits))
    ]
    ratio = _ratio(own, others, after)
    high = float(np.quantile(drawn, _CONFIDENCE, method="higher"))  # some may never reach it
    return {
        "ratio": ratio if np.isfinite(ratio) else None,
        "high": high if np.isfinite(high) else None,
        "other": float(others.mean()),
        "none": float(own[0].mean()),
    }


def _by_split(by_answers: Mapping[int, Sequence[Mapping[str, float]]]) -> dict[int, Floats]:
    return {count: np.array([row["escape"] for row in rows]) for count, rows in sorted(by_answers.items())}


def _ratio(own: Mapping[int, Floats], others: Floats, after: int) -> float:
    wanted = others.mean()
    counts = [count for count in own if count]
    means = [own[count].mean() for count in counts]
    if means[0] <= wanted:
        return counts[0] / after
    for place in range(1, len(counts)):
        if means[place] <= wanted:
            share = (means[place - 1] - wanted) / (means[place - 1] - means[place])
            return float(counts[place - 1] + share * (counts[place] - counts[place - 1])) / after
    return float("inf")


def left_out_change(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Change in the recall of a kind that was left out, all kinds counting alike.

    Returns:
        ``mean``, ``low`` (lower bound, 95 %, by drawing groups of parts anew within their kinds), ``by_kind`` and
        ``groups`` by kind.
    """
    kinds = sorted({row["kind"] for row in rows})
    of_group: dict[str, list[float]] = {}
    for kind in kinds:
        groups: dict[str, list[float]] = {}
        for row in rows:
            if row["kind"] == kind:
                groups.setdefault(row["group"], []).append(row["change"])
        of_group[kind] = [float(np.mean(changes)) for changes in groups.values()]
    if not kinds:
        return {"mean": None, "low": None, "by_kind": {}, "groups": {}}
    generator = np.random.default_rng(0)
    drawn = [
        np.mean([generator.choice(changes, len(changes)).mean() for changes in of_group.values()])
        for _ in range(_DRAWS)
    ]
    return {
        "mean": float(np.mean([np.mean(changes) for changes in of_group.values()])),
        "low": float(np.quantile(drawn, 1 - _CONFIDENCE)),
        "by_kind": {kind: float(np.mean(changes)) for kind, changes in of_group.items()},
        "groups": {kind: len(changes) for kind, changes in of_group.items()},
    }


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Draw the curves, a table for each place and figure."""
    drawn = []
    for place in ("data", "line"):
        if not result[place]:
            continue
        for name, title in _TITLES.items():
            curves = _shown(result[place], name)
            counts = sorted({count for by_answers in curves.values() for count in by_answers}, key=int)
            table = Table(title=f"{result[place]['name']}: {title} (10th to 90th percentile over splits)")
            for heading in ("questions", *(f"{count} answers" for count in counts)):
                table.add_column(heading, justify="right")
            for strategy, by_answers in curves.items():
                table.add_row(strategy, *(_cell(by_answers.get(count)) for count in counts))
            drawn.append(table)
    return drawn


_TITLES = {
    "image_auroc": "image AUROC",
    "escape": "escapes at 5 % false rejects",
    "fallback": "fallback on",
    "defects": "defects confirmed",
}


_PLOTTED = ("defects", "image_auroc", "escape")


def _shown(place: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Curves of one figure, those of challengers beside the others."""
    tuned = (place["challenger"] or {}).get(name, {})
    return place[name] | {f"{strategy}, challenger": curve for strategy, curve in tuned.items()}


def _cell(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    return f"{figure['mean']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"


def draw(result: Mapping[str, Any], file: Path) -> None:
    """Plot confirmed defects, AUROC and escape rate with their bands, a line of plots for each place."""
    from matplotlib.figure import Figure

    places = [place for place in ("data", "line") if result[place]]
    figure = Figure(figsize=(13, 3.6 * len(places)), layout="constrained")
    axes = figure.subplots(len(places), len(_PLOTTED), squeeze=False)
    for row, place in zip(axes, places, strict=True):
        for axis, name in zip(row, _PLOTTED, strict=True):
            for strategy, by_answers in _shown(result[place], name).items():
                counts = [int(count) for count in by_answers]
                means = [by_answers[str(count)]["mean"] for count in counts]
                (drawn,) = axis.plot(counts, means, marker="o", label=strategy)
                lows, highs = ([by_answers[str(count)][end] for count in counts] for end in ("low", "high"))
                axis.fill_between(counts, lows, highs, color=drawn.get_color(), alpha=0.1)
            axis.set_xlabel("answers")
            axis.set_title(f"{result[place]['name']}: {_TITLES[name]}")
            axis.grid(alpha=0.3)
    labels = dict(pair[::-1] for axis in axes[:, 0] for pair in zip(*axis.get_legend_handles_labels(), strict=True))
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=5)
    figure.savefig(file, dpi=110)
