"""The realism report as one HTML file that needs nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from integrations.report.charts import distributions, intervals, places
from integrations.report.html import page_environment, write_html
from integrations.report.pictures import spot_picture
from learning.realism import Example, Realism, Space

_SHOWN = 24
"""Real defects beside their neighbours; the ones that nothing synthetic is like come first."""

_LENGTHS: NDArray[np.floating] = np.geomspace(0.005, 1.5, 21)
_AREAS: NDArray[np.floating] = np.geomspace(1e-5, 1.0, 21)
_PERCENT = [(0.0001, "0.01 %"), (0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %")]
_PLACES: NDArray[np.floating] = np.linspace(0, 1, 13)


@dataclass(frozen=True)
class FamilyRow:
    """What is said of a flaw family.

    Attributes:
        name: Of the family.
        flaws: How many were measured.
        length: Median longer side, over the image's shorter side.
        area: Median share of the image.
        contrast: Median contrast, without its sign.
        change: Median change of its pixels.
        closest: How often it was the nearest to a real defect; None where that is not known.
        charts: Lengths and contrasts beside those of all real defects.
    """

    name: str
    flaws: int
    length: float
    area: float
    contrast: float
    change: float
    closest: int | None
    charts: list[tuple[str, Markup]]


def write_realism_report(realism: Realism, path: Path, title: str = "Realism of synthetic flaws") -> Path:
    """Write the report; the file appears whole or not at all, and replaces one that is there."""
    return write_html(render_realism_report(realism, title), path)


def render_realism_report(realism: Realism, title: str = "Realism of synthetic flaws") -> str:
    """The report as HTML, pictures included."""
    made, real = realism.synthetic.defects, realism.real.defects
    environment = page_environment()
    environment.filters["distance"] = _distance
    return environment.get_template("realism.html.j2").render(
        title=title,
        realism=realism,
        space=realism.space,
        real_parts=len({one.group for one in real}),
        intervals=Markup(intervals(*_interval_rows(realism.space), label="kernel distances")),
        charts=[(name, _chart(made, real, name)) for name in _CHARTS],
        places=Markup(places(_places(made), _places(real), "places on the part")),
        families=_families(realism),
        matches=[] if realism.space is None else realism.space.matches[:_SHOWN],
        picture=spot_picture,
        span=_span,
    )


def _span(real: Example) -> float:
    """Side of the pictures of a defect and its neighbours, all at one scale, over the image's shorter side."""
    return min(max(3 * real.measured.length, 0.25), 1.0)


def _lengths(examples: Sequence[Example]) -> list[float]:
    return [one.measured.length for one in examples]


def _areas(examples: Sequence[Example]) -> list[float]:
    return [one.measured.area for one in examples]


def _contrasts(examples: Sequence[Example]) -> list[float]:
    return [one.measured.contrast for one in examples]


def _places(examples: Sequence[Example]) -> list[tuple[float, float]]:
    return [(one.measured.across, one.measured.down) for one in examples]


def _changes(examples: Sequence[Example]) -> list[float]:
    return [one.change for one in examples if one.change is not None]


def _contrast_edges(made: Sequence[Example], real: Sequence[Example]) -> NDArray[np.floating]:
    """Symmetric about 0, so wide that all but the strongest have a bin of their own."""
    widest = max(0.04, float(np.quantile(np.abs(_contrasts([*made, *real])), 0.98)))
    return np.linspace(-widest, widest, 22)


_CHARTS: dict[str, Callable[[Sequence[Example]], list[float]]] = {
    "Longer side, over the image's shorter side": _lengths,
    "Area, over the image's": _areas,
    "Contrast against the surroundings, grey levels of 255": _contrasts,
    "Visibility: change of the good image, grey levels of 255": _changes,
    "Place from left to right of the part": lambda examples: [x for x, _ in _places(examples)],
    "Place from top to bottom of the part": lambda examples: [y for _, y in _places(examples)],
}

_BY_FAMILY = list(zip(("longer side", "contrast"), list(_CHARTS)[:3:2], strict=True))


def _chart(made: Sequence[Example], real: Sequence[Example], name: str) -> Markup:
    values = _CHARTS[name]
    if values is _lengths:
        edges, ticks = _LENGTHS, _PERCENT[1:]
    elif values is _areas:
        edges, ticks = _AREAS, [_PERCENT[0], _PERCENT[1], _PERCENT[3]]
    elif values is _contrasts:
        edges = _contrast_edges(made, real)
        ticks = [(edges[0], f"{255 * edges[0]:.0f}"), (0.0, "0"), (edges[-1], f"+{255 * edges[-1]:.0f}")]
    elif values is _changes:
        edges = np.linspace(0, max(0.04, float(np.quantile(_changes(made), 0.98))), 22)
        ticks = [(0.0, "0"), (edges[-1], f"{255 * edges[-1]:.0f}")]
    else:
        edges, ticks = _PLACES, [(0.0, "0"), (0.5, "½"), (1.0, "1")]
    return Markup(distributions(values(made), values(real), edges, ticks, name))


def _families(realism: Realism) -> list[FamilyRow]:
    made, real = realism.synthetic.defects, realism.real.defects
    known = realism.space is not None and bool(real)
    rows = []
    for name in sorted({one.kind for one in made}):
        own = [one for one in made if one.kind == name]
        rows.append(
            FamilyRow(
                name=name,
                flaws=len(own),
                length=float(np.median(_lengths(own))),
                area=float(np.median(_areas(own))),
                contrast=float(np.median(np.abs(_contrasts(own)))),
                change=float(np.median([one.change or 0.0 for one in own])),
                closest=realism.space.closest.get(name, 0) if known and realism.space else None,
                charts=[(below, _chart(own, real, chart)) for below, chart in _BY_FAMILY],
            )
        )
    return rows


def _interval_rows(space: Space | None) -> tuple[list[tuple[str, float, float | None]], float | None]:
    if space is None:
        return [], None
    named = (
        ("real to synthetic", space.real_synthetic),
        ("real to good", space.real_good),
        ("synthetic to good", space.synthetic_good),
    )
    rows = [(name, measured.value, measured.error) for name, measured in named if measured is not None]
    return rows, None if space.real_real is None else space.real_real.high


def _distance(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
