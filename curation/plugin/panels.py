"""Panels: what the images of the open view say together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fiftyone.operators import types

from curation.appearance import AMBER, BLUE, RED, SLATE
from curation.defect_classes import kinds_of_defects
from curation.drift.cameras import Rules
from curation.drift.states import CameraState
from curation.drift.watch import watch_ledger
from curation.errors import DatabaseError
from curation.plugin.binding import ledger_of, open_view
from curation.plugin.drawing import LAYOUT, InspectionPanel, axis, line
from curation.plugin.map_panel import MapPanel
from curation.plugin.scales import on_one_scale
from curation.plugin.threshold_panel import ThresholdPanel
from curation.trends import by_day
from learning.errors import UserError

FEW = 8
SEVERITIES = {"critical": RED, "not critical": BLUE, "not judged": SLATE}


class DefectClassesPanel(InspectionPanel):
    """Kinds of confirmed defects, the most frequent first, and how many of each are critical."""

    name, label, icon = "defect_classes", "Kinds of defects", "/assets/classes.svg"
    about = (
        "Pareto: critical and non-critical. Kinds of defects in the inspectors' words, among the images of the open "
        "view about which they agree; critical where any of them said so."
    )

    def read(self, ctx: Any) -> dict[str, Any]:
        """Counts by kind."""
        with ledger_of(ctx.dataset) as ledger:
            rows = kinds_of_defects(ledger, set(open_view(ctx).values("image_id")))
        if not rows:
            msg = "No image of this view is a confirmed defect yet"
            raise DatabaseError(msg)
        return {
            "names": [row.name for row in rows],
            "counts": {
                "critical": [row.critical for row in rows],
                "not critical": [row.not_critical for row in rows],
                "not judged": [row.not_judged for row in rows],
            },
            "cumulative": [100 * row.cumulative for row in rows],
            "most": rows[0].count,
        }

    def draw(self, ctx: Any, panel: types.Object, content: dict[str, Any]) -> None:
        """Bars and the cumulative share."""
        bars = [
            {"type": "bar", "name": name, "x": content["names"], "y": counts, "marker": {"color": SEVERITIES[name]}}
            for name, counts in content["counts"].items()
            if any(counts)
        ]
        line = {"type": "scatter", "name": "up to here, %", "x": content["names"], "y": content["cumulative"]}
        line |= {"yaxis": "y2", "mode": "lines+markers", "line": {"color": AMBER}}
        second = {**axis("%"), "overlaying": "y", "side": "right", "range": [0, 105], "showgrid": False}
        layout = {**LAYOUT, "barmode": "stack", "yaxis": axis("images"), "yaxis2": second}
        # Half an image is no count.
        layout["yaxis"] |= {"dtick": 1} if content["most"] < FEW else {}
        panel.plot("pareto", data=[*bars, line], layout=layout, config={"displayModeBar": False})


class DriftPanel(InspectionPanel):
    """Scores and rejections by day."""

    name, label, icon = "drift", "Over time", "/assets/drift.svg"
    about = (
        "Median and 5 to 95 % of the decision scores of each day, the share that was rejected, and alarms of flawsmith "
        "drift with the day on which each drift began."
    )

    def read(self, ctx: Any) -> dict[str, Any]:
        """Figures by day."""
        columns = ["time", "decision_score", "decision", "model_id", "threshold_version"]
        times, scores, decisions, models, versions = open_view(ctx).values(columns)
        scores, left_out = on_one_scale(ctx, scores, models, versions)
        days = by_day(times, scores, decisions)
        if not days:
            msg = "No image of this view has both a time and a score: times come in by a CSV with a column time"
            raise DatabaseError(msg)
        return {
            "days": [day.day.isoformat() for day in days],
            "low": [day.low for day in days],
            "median": [day.median for day in days],
            "high": [day.high for day in days],
            "rejected": [100 * day.rejected for day in days],
            "images": [f"{day.images} images" for day in days],
            "left_out": left_out,
            **_alarms(ctx),
        }

    def draw(self, ctx: Any, panel: types.Object, content: dict[str, Any]) -> None:
        """A band of scores, bars of rejections below, and a line where a drift began."""
        said = "  \n".join([*content["alarms"], *content["quiet"]]) or "No picture is watched."
        panel.md("  \n".join([said, content["left_out"]]), name="alarms")
        band: dict[str, Any] = {"type": "scatter", "x": content["days"], "mode": "lines", "showlegend": False}
        thin = {"line": {"color": SLATE, "width": 1}}
        low = {**band, **thin, "y": content["low"], "name": "5 %"}
        high = {**band, **thin, "y": content["high"], "name": "95 %", "fill": "tonexty"}
        middle = {**band, "y": content["median"], "name": "median score", "showlegend": True, "mode": "lines+markers"}
        middle |= {"text": content["images"], "line": {"color": AMBER}}
        rejected = {"type": "bar", "name": "rejected, %", "x": content["days"], "y": content["rejected"], "yaxis": "y2"}
        rejected |= {"marker": {"color": RED, "opacity": 0.5}}
        layout = {**LAYOUT, "yaxis": {**axis("decision score"), "domain": [0.35, 1]}}
        layout["shapes"] = [line(day, RED, "dot") for day in content["since"]]
        layout |= {
            "yaxis2": {**axis("rejected, %"), "domain": [0, 0.28], "rangemode": "nonnegative"},
            "xaxis": {"anchor": "y2"},
        }
        panel.plot("over_time", data=[low, high, middle, rejected], layout=layout, config={"displayModeBar": False})


PANELS: tuple[Callable[..., InspectionPanel], ...] = (ThresholdPanel, MapPanel, DefectClassesPanel, DriftPanel)


_told: dict[str, tuple[tuple[object, ...], dict[str, list[str]]]] = {}
"""The last alarms by ledger, and its stamp: the App asks for them at every change of the view."""


def _alarms(ctx: Any) -> dict[str, list[str]]:
    """What is said of drift, and the days on which it began; pictures that were never measured are not read here."""
    try:
        with ledger_of(ctx.dataset) as ledger:
            now = ledger.stamp()
            known = _told.get(ledger.place)
            if known is None or known[0] != now:
                states = watch_ledger(ledger, Rules(), measure=False)
                known = _told[ledger.place] = now, _words(states)
    except UserError as error:
        # The days can be drawn all the same.
        return {"alarms": [str(error)], "quiet": [], "since": []}
    return known[1]


def _words(states: Sequence[CameraState]) -> dict[str, list[str]]:
    findings = [one for state in states for one in state.findings]
    return {
        "alarms": [f"**{one.camera or 'drift'}**: {one.text}" for one in findings],
        # That nothing can be seen yet is no all-clear.
        "quiet": [state.text for state in states if not state.findings],
        "since": sorted({one.since_at.date().isoformat() for one in findings}),
    }
