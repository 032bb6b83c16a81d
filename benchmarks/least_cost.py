"""``python -m benchmarks.least_cost``: what the value of least cost costs in truth, over many simulated lines.

On each line good parts score N(0, 1) and defective ones N(d, s), so that the true cost of any threshold is known. The
threshold in use keeps 5 % with 95 % confidence by 100 good calibration parts; of the stream some parts are asked about,
drawn as ``review push`` draws asks, and true verdicts set the value of least cost. As in ``flawsmith retrain`` the
threshold may rise to it, and never falls below what keeps the promise. Compared are: never to rise; the value of least
cost with defects counted where they were met; and with their scores smoothed (``learning.costs``). Each is told the
scores as they are, as probabilities and as distances: what the detector's scores mean must not matter.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.table import Table
from scipy.special import expit
from scipy.stats import norm

from benchmarks.console import Clock, show
from learning.costs import least_cost_value
from learning.sampling import ask_probabilities, systematic_sample
from learning.thresholds import conformal_threshold

_CALIBRATION = 100
_REJECTED = 0.05
_CONFIDENCE = 0.95
_MIN_DEFECTS = 3

Floats = NDArray[np.float64]
Scale = Callable[[Any], Floats]

SCALES: dict[str, Scale] = {
    "as they are": lambda z: np.asarray(z, dtype=np.float64),
    "probabilities": lambda z: np.asarray(expit(1.2 * (np.asarray(z) - 3))),
    "distances": lambda z: np.asarray(np.exp(z)),
}
RULES = ("promise alone", "counted", "smoothed")


@dataclass(frozen=True)
class Line:
    """A line and what mistakes cost on it.

    Attributes:
        separation: Mean score of defective parts; good parts have 0.
        deviation: Of their scores; good parts have 1.
        defective: Share of the parts.
        parts: Of the stream.
        asked: How many of them.
        escape: Cost of an escape.
        false_reject: Cost of a false reject.
    """

    separation: float
    deviation: float = 1.0
    defective: float = 0.03
    parts: int = 1050
    asked: int = 525
    escape: float = 20.0
    false_reject: float = 1.0

    def costs(self, values: ArrayLike) -> Floats:
        """True cost of a part at each threshold."""
        at = np.asarray(values, dtype=np.float64)
        escapes: Floats = self.defective * norm.cdf((at - self.separation) / self.deviation)
        return self.escape * escapes + self.false_reject * (1 - self.defective) * norm.sf(at)


LINES = (
    Line(2.5),
    Line(3.5),
    Line(5.0),
    Line(6.0),
    Line(3.0, deviation=1.5),
    Line(3.5, defective=0.01),
    Line(3.5, parts=300, asked=100),
    Line(3.0, defective=0.2, parts=400, asked=200),
    Line(3.5, escape=2.0),
    Line(4.0, defective=0.05, parts=200, asked=60, escape=1.0),
    Line(5.0, parts=300, asked=100, escape=1.0, false_reject=3.0),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    clock = Clock()
    rows = [
        {"line": vars(line), "scale": name} | measure(line, scale, options.lines, options.seed)
        for line in LINES
        for name, scale in SCALES.items()
    ]
    result = {"benchmark": "least_cost", "lines": options.lines, "seed": options.seed, "rows": rows, **clock.read()}
    show(result, table(rows), options.json, width=150)


def measure(line: Line, scale: Scale, lines: int, seed: int) -> dict[str, Any]:
    """Let each rule choose on every line.

    Returns:
        For each rule ``cost`` (mean true cost of a part), ``raised`` (share of the lines); ``difference`` (smoothed
        less counted, with the 95 % interval of its mean), ``least`` (mean cost of the best value that keeps the
        promise), and ``drawn``: lines that it took, those of fewer than three confirmed defects being passed over.
    """
    found: list[list[float]] = []
    raised: list[list[bool]] = []
    drawn = 0
    while len(found) < lines:
        generator, drawn = np.random.default_rng([seed, drawn]), drawn + 1
        lowest, _ = conformal_threshold(generator.normal(size=_CALIBRATION), _REJECTED, _CONFIDENCE)
        defective = generator.random(line.parts) < line.defective
        own = generator.normal(size=line.parts)
        scores = np.where(defective, line.separation + line.deviation * own, own)
        probabilities = ask_probabilities(scores, lowest, line.asked)
        asked = systematic_sample(probabilities, generator)
        if defective[asked].sum() < _MIN_DEFECTS:
            continue
        told, labels, weights = scale(scores[asked]), defective[asked], 1 / probabilities[asked]
        values = [lowest]
        for rule in (counted_value, least_cost_value):
            value = rule(told, labels, weights, line.escape, line.false_reject)
            values.append(max(lowest, _untold(value, scores[asked], told)))
        best = line.costs(np.linspace(lowest, lowest + line.separation + 3, 300)).min()
        found.append([*line.costs(values), best])
        raised.append([value > lowest for value in values])
    costs, rose = np.array(found), np.array(raised)
    differences = costs[:, 2] - costs[:, 1]
    margin = norm.ppf(0.975) * differences.std(ddof=1) / np.sqrt(len(differences))
    return {
        "drawn": drawn,
        "rules": {
            rule: {"cost": float(costs[:, k].mean()), "raised": float(rose[:, k].mean())}
            for k, rule in enumerate(RULES)
        },
        "difference": [float(differences.mean() + side * margin) for side in (0, -1, 1)],
        "least": float(costs[:, -1].mean()),
    }


def counted_value(scores: Floats, labels: NDArray[np.bool_], weights: Floats, escape: float, reject: float) -> float:
    """The lowest value of the least cost, defects being counted where they were met; a gap is parted by the costs."""
    order = np.argsort(scores)
    levels, change = scores[order], np.where(labels, escape, -reject)[order] * weights[order]
    costs = np.concatenate([[0.0], np.cumsum(change)])
    best = int(np.argmin(costs))
    if best == 0 or best == len(levels):
        return float(np.nextafter(levels[0], -np.inf) if best == 0 else levels[-1])
    return float(levels[best - 1] + (levels[best] - levels[best - 1]) * reject / (escape + reject))


def _untold(value: float, scores: Floats, told: Floats) -> float:
    """The value on the line's own scale, between the scores that it lies between."""
    order = np.argsort(scores)
    return float(np.interp(value, told[order], scores[order]))


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """One row for each line and scale."""
    drawn = Table(title="true cost of a part (share of the lines on which the threshold rises)")
    for heading in ("line", "scores", *RULES, "smoothed less counted, 95 %", "least"):
        drawn.add_column(heading, justify="right")
    for row in rows:
        line = row["line"]
        text = (
            f"N({line['separation']:g}, {line['deviation']:g}), {100 * line['defective']:g} %, {line['asked']} of "
            f"{line['parts']}, {line['escape']:g}:{line['false_reject']:g}"
        )
        cells = [f"{r['cost']:.4f} ({100 * r['raised']:.0f} %)" for r in row["rules"].values()]
        mean, low, high = row["difference"]
        drawn.add_row(text, row["scale"], *cells, f"{mean:+.4f} ({low:+.4f} to {high:+.4f})", f"{row['least']:.4f}")
    return drawn


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.least_cost", description=__doc__)
    parser.add_argument(
        "--lines", type=int, choices=range(2, 10001), metavar="N", help="simulated lines of each row (300; quick: 40)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="fewer lines, under two minutes")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    options = parser.parse_args(arguments)
    options.lines = options.lines or (40 if options.quick else 300)
    return options


if __name__ == "__main__":
    main()
