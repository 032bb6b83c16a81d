"""The panel that says what a threshold does to images with a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from fiftyone.operators import types

from curation.appearance import AMBER, SLATE
from curation.errors import DatabaseError
from curation.plugin.binding import ledger_of, open_view
from curation.plugin.drawing import COLORS, LAYOUT, InspectionPanel, axis, line
from curation.plugin.scales import on_one_scale
from curation.trends import effect_of, score_histogram, spread_wide

STEPS = 200


class ThresholdPanel(InspectionPanel):
    """Scores with the threshold on them: dragged, it says how many good parts it rejects, how many defects escape."""

    name, label, icon = "threshold", "Threshold", "/assets/threshold.svg"
    about = (
        "Decision scores of the open view. Drag the threshold to see what it would do to images with a verdict. "
        "Nothing is changed by it: flawsmith threshold makes one that keeps a promise."
    )

    def read(self, ctx: Any) -> dict[str, Any]:
        """Histogram, and the threshold that decides now."""
        columns = ["decision_score", "verdict", "model_id", "threshold_version"]
        scores, verdicts, models, versions = open_view(ctx).values(columns)
        scores, left_out = on_one_scale(ctx, scores, models, versions)
        known = [score for score in scores if score is not None]
        logarithmic = spread_wide(known)
        borders, counts = score_histogram(scores, verdicts, logarithmic=logarithmic)
        if not borders:
            msg = "No image of this view has a score: flawsmith score, then flawsmith curate sync"
            raise DatabaseError(msg)
        now = _current(ctx, models, versions)
        # In a view of rejected images alone the threshold lies below all of them.
        ends = known if now is None or (logarithmic and now <= 0) else [*known, now]
        return {
            "scores": scores,
            "verdicts": verdicts,
            "middles": [(low + high) / 2 for low, high in pairwise(borders)],
            "widths": [high - low for low, high in pairwise(borders)],
            "counts": counts,
            "least": min(ends),
            "most": max(ends),
            "now": now,
            "logarithmic": logarithmic,
            "left_out": left_out,
        }

    def move(self, ctx: Any) -> None:
        """The slider was moved; what it does is worked out when the panel is drawn."""
        ctx.panel.set_state(ctx.params["path"], float(ctx.params["value"]))

    def draw(self, ctx: Any, panel: types.Object, content: dict[str, Any]) -> None:
        """Counts, slider and histogram, whose axes are alike."""
        threshold = _threshold(ctx, content)
        effect = effect_of(threshold, content["scores"], content["verdicts"])
        panel.md("  \n".join([f"**Threshold {threshold:.4g}**: {effect.text}", content["left_out"]]), name="effect")
        least, most = _on_slider(content["least"], content), _on_slider(content["most"], content)
        # A logarithm would say nothing to anybody: the number is above the slider.
        label = {"value_label_display": "off" if content["logarithmic"] else "on", "value_precision": 4}
        panel.float(
            _slider(content),
            default=_on_slider(threshold, content),
            min=least,
            max=most,
            multipleOf=(most - least) / STEPS or 1,
            view=types.SliderView(label_position="top", **label),
            on_change=self.move,
        )
        bars = [
            {"type": "bar", "name": name, "x": content["middles"], "width": content["widths"], "y": counts}
            | {"marker": {"color": COLORS[name]}}
            for name, counts in content["counts"].items()
        ]
        lines = [line(threshold, AMBER, "solid")]
        if content["now"] is not None:
            lines.append(line(content["now"], SLATE, "dot"))
        layout = {**LAYOUT, "barmode": "stack", "shapes": lines}
        layout |= {"xaxis": axis("decision score"), "yaxis": axis("images")}
        layout["xaxis"] |= {"type": "log" if content["logarithmic"] else "linear"}
        panel.plot("histogram", data=bars, layout=layout, config={"displayModeBar": False})


def _slider(content: dict[str, Any]) -> str:
    """Name of the slider, one for each scale: FiftyOne remembers where it was put."""
    return "logarithmic" if content["logarithmic"] else "linear"


def _threshold(ctx: Any, content: dict[str, Any]) -> float:
    """Where the slider was put; before that, what decides now."""
    chosen = ctx.panel.get_state(_slider(content))
    if chosen is not None:
        score = float(10**chosen if content["logarithmic"] else chosen)
        # At its ends the slider means the lowest and the highest score, which logarithms and steps round.
        ends = (end for end in (content["least"], content["most"]) if math.isclose(score, end, rel_tol=1e-9))
        return float(next(ends, score))
    return float(content["now"] if content["now"] is not None else content["most"])


def _on_slider(score: float, content: dict[str, Any]) -> float:
    return math.log10(max(score, content["least"])) if content["logarithmic"] else score


def _current(ctx: Any, models: Sequence[str | None], versions: Sequence[int | None]) -> float | None:
    """The threshold of the image that was scored last, of those that are shown."""
    pairs = zip(models, versions, strict=True)
    shown = [(model, version) for model, version in pairs if model is not None and version is not None]
    if not shown:
        return None
    model, version = shown[-1]
    with ledger_of(ctx.dataset) as ledger:
        values = {row.version: row.value for row in ledger.thresholds(model)}
    return values.get(version)
