"""Panels: what the images of the open view say together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from curation.appearance import AMBER, BLUE, GREEN, RED, SLATE
from curation.defect_classes import class_of, severity_of
from curation.drift.cameras import Rules
from curation.drift.watch import watch_ledger
from curation.errors import DatabaseError
from curation.plugin.binding import ledger_of
from curation.trends import by_day, effect_of, pareto, score_histogram
from learning.errors import UserError

SEVERITIES = {"critical": RED, "not critical": BLUE, "not judged": SLATE}
COLORS = {"good": GREEN, "defect": RED, "no verdict": SLATE}
LAYOUT: dict[str, Any] = {
    "margin": {"t": 30, "r": 50, "b": 50, "l": 60},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "showlegend": True,
    "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.15},
    "height": 380,
}
STEPS = 200


class InspectionPanel(foo.Panel, ABC):
    """A panel that is drawn anew when another view is opened; errors of users are shown in it."""

    name: str
    label: str
    icon: str
    about: str

    @property
    def config(self) -> foo.PanelConfig:
        """What the App lists."""
        return foo.PanelConfig(name=self.name, label=self.label, icon=self.icon, help_markdown=self.about)

    def on_load(self, ctx: Any) -> None:
        """Read what is drawn."""
        try:
            ctx.panel.set_state("content", self.read(ctx))
            ctx.panel.set_state("trouble", "")
        except UserError as error:
            ctx.panel.set_state("trouble", str(error))

    def on_change_view(self, ctx: Any) -> None:
        """Read again."""
        self.on_load(ctx)

    def render(self, ctx: Any) -> types.Property:
        """Draw."""
        panel = types.Object()
        trouble, content = ctx.panel.get_state("trouble"), ctx.panel.get_state("content")
        if trouble:
            panel.md(trouble, name="trouble_text")
        elif content:
            self.draw(ctx, panel, content)
        return types.Property(panel, view=types.GridView(orientation="vertical", gap=2, pad=2))

    @abstractmethod
    def read(self, ctx: Any) -> dict[str, Any]:
        """Plain data of what is drawn.

        Raises:
            UserError: There is nothing to draw, and why.
        """

    @abstractmethod
    def draw(self, ctx: Any, panel: types.Object, content: dict[str, Any]) -> None:
        """Add views of the data to the panel."""


class ThresholdPanel(InspectionPanel):
    """Scores with the threshold on them: dragged, it says how many good parts it rejects, how many defects escape."""

    name, label, icon = "threshold", "Threshold", "/assets/threshold.svg"
    about = (
        "Decision scores of the open view. Drag the threshold to see what it would do to images with a verdict. "
        "Nothing is changed by it: flawsmith threshold makes one that keeps a promise."
    )

    def read(self, ctx: Any) -> dict[str, Any]:
        """Histogram, and the threshold that decides now."""
        scores, verdicts = ctx.view.values(["decision_score", "verdict"])
        middles, counts = score_histogram(scores, verdicts)
        if not middles:
            msg = "No image of this view has a score: flawsmith score, then flawsmith curate sync"
            raise DatabaseError(msg)
        known = [score for score in scores if score is not None]
        return {"middles": middles, "counts": counts, "least": min(known), "most": max(known), "now": _current(ctx)}

    def move(self, ctx: Any) -> None:
        """The slider was moved; what it does is worked out when the panel is drawn."""
        ctx.panel.set_state("threshold", ctx.params["value"])

    def draw(self, ctx: Any, panel: types.Object, content: dict[str, Any]) -> None:
        """Slider, counts and histogram."""
        start = content["now"] if content["now"] is not None else content["most"]
        threshold = ctx.panel.get_state("threshold")
        threshold = float(start if threshold is None else threshold)
        scores, verdicts = ctx.view.values(["decision_score", "verdict"])
        panel.md(f"**{threshold:.4g}**: {effect_of(threshold, scores, verdicts).text}", name="effect")
        panel.float(
            "threshold",
            label="Threshold",
            default=threshold,
            min=content["least"],
            max=content["most"],
            multipleOf=(content["most"] - content["least"]) / STEPS,
            view=types.SliderView(label="Threshold"),
            on_change=self.move,
        )
        bars = [
            {"type": "bar", "name": name, "x": content["middles"], "y": counts, "marker": {"color": COLORS[name]}}
            for name, counts in content["counts"].items()
        ]
        lines = [_line(threshold, AMBER, "solid")]
        if content["now"] is not None:
            lines.append(_line(content["now"], SLATE, "dot"))
        layout = {**LAYOUT, "barmode": "stack", "bargap": 0.02, "shapes": lines}
        layout |= {"xaxis": _axis("decision score"), "yaxis": _axis("images")}
        panel.plot("histogram", data=bars, layout=layout, config={"displayModeBar": False})


class DefectClassesPanel(InspectionPanel):
    """Kinds of confirmed defects, the most frequent first, and how many of each are critical."""

    name, label, icon = "defect_classes", "Kinds of defects", "/assets/classes.svg"
    about = (
        "Pareto: critical and non-critical. Kinds of defects in the inspectors' words, among the images of the open "
        "view about which they agree; critical where any of them said so."
    )

    def read(self, ctx: Any) -> dict[str, Any]:
        """Counts by kind."""
        shown = set(ctx.view.values("image_id"))
        with ledger_of(ctx.dataset) as ledger:
            resolved = [one for one in ledger.resolved() if one.state == "defect" and one.image_id in shown]
        if not resolved:
            msg = "No image of this view is a confirmed defect yet"
            raise DatabaseError(msg)
        rows = pareto([class_of(one) for one in resolved], [severity_of(one) for one in resolved])
        return {
            "names": [row.name for row in rows],
            "counts": {
                "critical": [row.critical for row in rows],
                "not critical": [row.not_critical for row in rows],
                "not judged": [row.count - row.critical - row.not_critical for row in rows],
            },
            "cumulative": [100 * row.cumulative for row in rows],
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
        second = {**_axis("%"), "overlaying": "y", "side": "right", "range": [0, 105]}
        layout = {**LAYOUT, "barmode": "stack", "yaxis": _axis("images"), "yaxis2": second}
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
        days = by_day(*ctx.view.values(["time", "decision_score", "decision"]))
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
            **_alarms(ctx),
        }

    def draw(self, ctx: Any, panel: types.Object, content: dict[str, Any]) -> None:
        """A band of scores, bars of rejections below, and a line where a drift began."""
        panel.md("  \n".join(content["alarms"]) or "No drift alarm.", name="alarms")
        band: dict[str, Any] = {"type": "scatter", "x": content["days"], "mode": "lines", "showlegend": False}
        thin = {"line": {"color": SLATE, "width": 1}}
        low = {**band, **thin, "y": content["low"], "name": "5 %"}
        high = {**band, **thin, "y": content["high"], "name": "95 %", "fill": "tonexty"}
        middle = {**band, "y": content["median"], "name": "median score", "showlegend": True, "mode": "lines+markers"}
        middle |= {"text": content["images"], "line": {"color": AMBER}}
        rejected = {"type": "bar", "name": "rejected, %", "x": content["days"], "y": content["rejected"], "yaxis": "y2"}
        rejected |= {"marker": {"color": RED, "opacity": 0.5}}
        layout = {**LAYOUT, "yaxis": {**_axis("decision score"), "domain": [0.35, 1]}}
        layout["shapes"] = [_line(day, RED, "dot") for day in content["since"]]
        layout |= {"yaxis2": {**_axis("rejected, %"), "domain": [0, 0.28]}, "xaxis": {"anchor": "y2"}}
        panel.plot("over_time", data=[low, high, middle, rejected], layout=layout, config={"displayModeBar": False})


PANELS: tuple[Callable[..., InspectionPanel], ...] = (ThresholdPanel, DefectClassesPanel, DriftPanel)


def _axis(title: str) -> dict[str, Any]:
    return {"title": {"text": title}}


def _line(at: float | str, color: str, dash: str) -> dict[str, Any]:
    line = {"color": color, "width": 2, "dash": dash}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _alarms(ctx: Any) -> dict[str, list[str]]:
    """What is said of drift, and the days on which it began; pictures that were never measured are not read here."""
    try:
        with ledger_of(ctx.dataset) as ledger:
            states = watch_ledger(ledger, Rules(), measure=False)
    except UserError as error:
        # The days can be drawn all the same.
        return {"alarms": [str(error)], "since": []}
    found = [one for state in states for one in state.findings]
    return {
        "alarms": [f"**{one.camera or 'drift'}**: {one.text}" for one in found],
        "since": sorted({one.since_at.date().isoformat() for one in found}),
    }


def _current(ctx: Any) -> float | None:
    """The threshold of the image that was scored last, of those that are shown."""
    models, versions = ctx.view.values(["model_id", "threshold_version"])
    shown = [pair for pair in zip(models, versions, strict=True) if pair[0] is not None]
    if not shown:
        return None
    model, version = shown[-1]
    with ledger_of(ctx.dataset) as ledger:
        values = {row.version: row.value for row in ledger.thresholds(model)}
    return values.get(version)
