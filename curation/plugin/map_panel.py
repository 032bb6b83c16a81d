"""The panel that shows embeddings as points, coloured by verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from fiftyone.operators import types

from curation.embedding_map import Places, map_of
from curation.errors import DatabaseError
from curation.plugin.binding import open_view
from curation.plugin.drawing import COLORS, LAYOUT, NONE, InspectionPanel

MOST_POINTS = 20_000
"""More than these take a browser seconds to draw."""
CROWDED = 5_000
"""Of more points than these each is drawn smaller, so that they hide each other less."""


class MapPanel(InspectionPanel):
    """Embeddings in the plane; those with a lasso around them become the view."""

    name, label, icon = "embedding_map", "Map of embeddings", "/assets/map.svg"
    about = (
        "Images of the open view by their embeddings: the two directions in which most differs (PCA). Draw a lasso "
        "around points to see their samples alone; the cross of the view bar shows all again."
    )

    def read(self, ctx: Any) -> dict[str, Any]:
        """The points."""
        points = _points(ctx)
        if not points:
            msg = "No image of this view has an embedding: flawsmith score, then flawsmith curate sync"
            raise DatabaseError(msg)
        return {"points": points}

    def choose(self, ctx: Any) -> None:
        """A lasso was drawn: its samples become the view."""
        chosen = [one["id"] for one in ctx.params["data"]]
        # Plotly tells of an empty one whenever it draws anew.
        if chosen:
            ctx.ops.set_view(open_view(ctx).select(chosen))

    def draw(self, ctx: Any, panel: types.Object, content: dict[str, Any]) -> None:
        """The points."""
        points = content["points"]
        drawn = [points[row] for row in sorted(np.random.default_rng(0).permutation(len(points))[:MOST_POINTS])]
        some = f"{len(drawn)} of " if len(drawn) < len(points) else ""
        panel.md(f"{some}{len(points)} images, those near each other look alike", name="count")
        axis = {"showticklabels": False, "zeroline": False}
        layout = {**LAYOUT, "height": 560, "dragmode": "lasso", "hovermode": "closest", "xaxis": axis, "yaxis": axis}
        panel.plot(
            "map",
            data=_traces(drawn),
            layout=layout,
            config={"displayModeBar": False, "scrollZoom": True},
            on_selected=self.choose,
        )


class _Point(NamedTuple):
    sample: str
    verdict: str
    score: float | None
    part: str
    place: Places


def _points(ctx: Any) -> list[_Point]:
    """Images of the open view that are on the map."""
    place_of = dict(zip(*map_of(ctx.dataset), strict=True))
    columns = open_view(ctx).values(["id", "verdict", "decision_score", "part"])
    return [
        _Point(sample, verdict if verdict in COLORS else NONE, score, part, place_of[sample])
        for sample, verdict, score, part in zip(*columns, strict=True)
        if sample in place_of
    ]


def _traces(points: Sequence[_Point]) -> list[dict[str, Any]]:
    """A trace for each verdict; those without one first, so that they lie below the others."""
    traces, size = [], 4 if len(points) > CROWDED else 6
    for name in reversed(COLORS):
        own = [point for point in points if point.verdict == name]
        texts = [f"{point.part}: {point.score:.4g}" if point.score is not None else point.part for point in own]
        traces.append(
            {
                "type": "scattergl",
                "mode": "markers",
                "name": f"{name} ({len(own)})",
                "x": [float(point.place[0]) for point in own],
                "y": [float(point.place[1]) for point in own],
                "ids": [point.sample for point in own],
                "text": texts,
                "hoverinfo": "text",
                "marker": {"color": COLORS[name], "size": size, "opacity": 0.8},
            }
        )
    return traces
