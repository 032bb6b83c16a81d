"""The plot of the benchmark of drift."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

_COLORS = {"flawsmith": "#2e9e5b", "KS each day": "#d93025", "KS, days known": "#e8a100"}


def plot_delays(false_alarms: Sequence[dict[str, Any]], delays: Sequence[dict[str, Any]], path: Path) -> None:
    """False alarms with their intervals, and median delays with their 90 % quantiles.

    Args:
        false_alarms: Rows of the benchmark.
        delays: Rows of the benchmark.
        path: Of the picture.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot

    ways = list(dict.fromkeys(row["production"] for row in delays))
    figure, axes = pyplot.subplots(1, 1 + len(ways), figsize=(4 + 4.5 * len(ways), 4), layout="constrained")
    _alarms(axes[0], false_alarms)
    for axis, way in zip(axes[1:], ways, strict=True):
        _delays(axis, [row for row in delays if row["production"] == way], f"parts until the alarm, watched by {way}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _alarms(axis: Any, rows: Sequence[dict[str, Any]]) -> None:
    ways = list(dict.fromkeys(row["production"] for row in rows))
    for at, (method, color) in enumerate(_COLORS.items()):
        own = [row for row in rows if row["method"] == method]
        rates = np.array([[row["rate"], row["rate"] - row["low"], row["high"] - row["rate"]] for row in own]).T * 100
        places = np.arange(len(own)) + 0.25 * (at - 1)
        axis.bar(places, rates[0], 0.25, color=color, label=method, yerr=np.maximum(rates[1:], 0), capsize=3)
    axis.axhline(5, color="black", linestyle=":", linewidth=1)
    axis.set(title="streams without drift that have an alarm, %", xticks=range(len(ways)), xticklabels=ways)
    axis.set_ylim(0, 135)
    axis.legend(loc="upper left")


def _delays(axis: Any, rows: Sequence[dict[str, Any]], title: str) -> None:
    names = list(dict.fromkeys(f"{row['drift']} {row['size']:g}" for row in rows))
    most = max(row["at_most"] for row in rows)
    for at, (method, color) in enumerate(_COLORS.items()):
        own = [row for row in rows if row["method"] == method]
        median = np.array([most * 1.1 if row["median"] is None else row["median"] for row in own])
        high = np.array([most * 1.1 if row["q90"] is None else row["q90"] for row in own])
        places = np.arange(len(own)) + 0.2 * (at - 1)
        axis.errorbar(median, places, xerr=[np.zeros(len(own)), high - median], fmt="o", color=color, capsize=3, ms=5)
    axis.axvline(most, color="black", linestyle=":", linewidth=1)
    axis.set(title=title, yticks=range(len(names)), yticklabels=names, xlabel=f"median, 90 %; beyond {most}: not seen")
    axis.set_xlim(left=0)
    axis.invert_yaxis()
