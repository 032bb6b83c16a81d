"""Charts that compare two samples, as SVG; colours come from the page's style."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

_WIDTH, _HEIGHT = 360.0, 130.0


def distributions(
    made: ArrayLike, real: ArrayLike, edges: NDArray[np.floating], ticks: Sequence[tuple[float, str]], label: str
) -> str:
    """Shares of two samples in bins: one as bars, the other as a line over them.

    Args:
        made: Values drawn as bars.
        real: Values drawn as a line; none where empty.
        edges: ``[N + 1]`` ends of the bins, drawn equally wide; what lies outside is counted in the outer ones.
        ticks: Values between the ends, and what is written below them.
        label: What is told to those who cannot see it.
    """
    bars, line = (_shares(values, edges) for values in (made, real))
    highest = max(float(bars.max(initial=0)), float(line.max(initial=0)), 1e-9)
    step = _WIDTH / (len(edges) - 1)
    drawn = []
    for place, share in enumerate(bars):
        tall = 0.94 * _HEIGHT * share / highest
        drawn.append(
            f'<rect class="good" x="{place * step + 0.5:.1f}" y="{_HEIGHT - tall:.1f}" width="{step - 1:.1f}" '
            f'height="{tall:.1f}"><title>{100 * share:.0f} % of the synthetic flaws</title></rect>'
        )
    if line.any():
        corners = [f"0,{_HEIGHT:.1f}"]
        for place, share in enumerate(line):
            y = _HEIGHT - 0.94 * _HEIGHT * share / highest
            corners += [f"{place * step:.1f},{y:.1f}", f"{(place + 1) * step:.1f},{y:.1f}"]
        corners.append(f"{_WIDTH:.1f},{_HEIGHT:.1f}")
        drawn.append(f'<polyline class="real" points="{" ".join(corners)}"/>')
    written = [_tick(float(np.interp(value, edges, np.arange(len(edges)))) * step, text) for value, text in ticks]
    return _svg(drawn + written, label, f'<line class="axis" x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}"/>')


def counts(values: ArrayLike, label: str, bins: int = 40) -> str:
    """How many values fall into each of equally wide bins, as bars.

    Args:
        values: Those that are not finite are left out; a few very far ones are counted in the outer bins.
        label: What is told to those who cannot see it.
        bins: Bars.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return ""
    low, high = (float(end) for end in np.quantile(known, [0.002, 0.998]))
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    found = np.histogram(np.clip(known, low, high), edges)[0]
    step = _WIDTH / bins
    drawn = []
    for place, count in enumerate(found):
        tall = 0.94 * _HEIGHT * count / found.max()
        drawn.append(
            f'<rect class="good" x="{place * step + 0.5:.1f}" y="{_HEIGHT - tall:.1f}" width="{step - 1:.1f}" '
            f'height="{tall:.1f}"><title>{count} from {edges[place]:.3g} to {edges[place + 1]:.3g}</title></rect>'
        )
    drawn += [_tick(0, f"{low:.3g}"), _tick(_WIDTH / 2, f"{(low + high) / 2:.3g}"), _tick(_WIDTH, f"{high:.3g}")]
    return _svg(drawn, label, f'<line class="axis" x1="0" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}"/>')


def places(made: Sequence[tuple[float, float]], real: Sequence[tuple[float, float]], label: str) -> str:
    """Where in the part defects lie: a square for the part, a dot for each.

    Args:
        made: (x, y) in 0..1, drawn as small dots.
        real: The same, drawn as larger ones over them.
        label: What is told to those who cannot see it.
    """
    side = 200.0
    dots = [f'<circle class="good" cx="{x * side:.1f}" cy="{y * side:.1f}" r="2.4"/>' for x, y in made]
    dots += [f'<circle class="bad" cx="{x * side:.1f}" cy="{y * side:.1f}" r="3.6"/>' for x, y in real]
    return (
        f'<svg class="places" viewBox="-4 -4 {side + 8:.0f} {side + 8:.0f}" role="img" aria-label="{label}">'
        f'<rect class="part" width="{side:.0f}" height="{side:.0f}" rx="3"/>{"".join(dots)}</svg>'
    )


def intervals(rows: Sequence[tuple[str, float, float | None]], limit: float | None, label: str) -> str:
    """Values with their errors on one axis from 0, a row each.

    Args:
        rows: What it is, the value, and its standard error, drawn twice to either side; None draws the value alone.
        limit: End of a band from 0, drawn behind, or None.
        label: What is told to those who cannot see it.
    """
    if not rows:
        return ""
    name, width, step = 150.0, 760.0, 34.0
    ends = [value + sign * 2 * (error or 0) for _, value, error in rows for sign in (-1, 1)]
    low, high = min(0.0, *ends), max(limit or 0, 1e-6, *ends)
    low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    height = step * len(rows)

    def at(value: float) -> float:
        return name + (width - name) * (value - low) / (high - low)

    drawn = []
    if limit is not None:
        left, right = sorted((at(0), at(limit)))
        drawn.append(f'<rect class="band" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{height}"/>')
    drawn.append(f'<line class="axis" x1="{at(0):.1f}" y1="0" x2="{at(0):.1f}" y2="{height}"/>')
    for row, (text, value, error) in enumerate(rows):
        y = step * (row + 0.5)
        drawn.append(f'<text x="0" y="{y + 4:.1f}">{text}</text>')
        if error is not None:
            x1, x2 = at(value - 2 * error), at(value + 2 * error)
            drawn.append(f'<line class="error" x1="{x1:.1f}" y1="{y}" x2="{x2:.1f}" y2="{y}"/>')
        drawn.append(f'<circle class="bad" cx="{at(value):.1f}" cy="{y}" r="5"/>')
    drawn.append(f'<text x="{at(0):.1f}" y="{height + 16}" text-anchor="middle">0</text>')
    return (
        f'<svg class="intervals" viewBox="0 0 {width + 4:.0f} {height + 22:.0f}" role="img" aria-label="{label}">'
        + "".join(drawn)
        + "</svg>"
    )


def _shares(values: ArrayLike, edges: NDArray[np.floating]) -> NDArray[np.float64]:
    clipped = np.clip(np.asarray(values, dtype=np.float64), edges[0], edges[-1])
    counts = np.histogram(clipped, edges)[0].astype(np.float64)
    return counts / max(counts.sum(), 1)


def _tick(x: float, text: str) -> str:
    anchor = "start" if x < 0.05 * _WIDTH else "end" if x > 0.95 * _WIDTH else "middle"
    return f'<text x="{x:.1f}" y="{_HEIGHT + 17}" text-anchor="{anchor}">{text}</text>'


def _svg(drawn: Sequence[str], label: str, axis: str) -> str:
    return (
        f'<svg class="histogram" viewBox="0 -4 {_WIDTH:.0f} {_HEIGHT + 26:.0f}" role="img" aria-label="{label}">'
        + "".join(drawn)
        + axis
        + "</svg>"
    )
