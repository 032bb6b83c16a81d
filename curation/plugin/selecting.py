"""Selecting samples of a view that the App has yet to show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import fiftyone.operators as foo

PAUSE_SECONDS = 0.5
TRIES = 40


class SelectShown(foo.Operator):
    """Selects samples once the view that selects them is open: FiftyOne 1.22 clears the selection as it comes up.

    It looks at what the App says is open and calls itself until that is so.
    """

    name = "select_shown"

    @property
    def config(self) -> foo.OperatorConfig:
        """Not in any list: other operators call it."""
        return foo.OperatorConfig(name=self.name, label="Select shown", icon="/assets/spread.svg", unlisted=True)

    def execute(self, ctx: Any) -> None:
        """Select them, or try again."""
        ids, left = list(ctx.params["ids"]), int(ctx.params["left"])
        opened = _opens(ctx.request_params.get("view") or [], ids)
        if (opened and set(ctx.selected or []) == set(ids)) or not left:
            return
        if opened:
            ctx.ops.set_selected_samples(ids)
        time.sleep(PAUSE_SECONDS)
        ctx.trigger(self.uri, {"ids": ids, "left": left - 1})


def show_selected(ctx: Any, view: Any, ids: Sequence[str]) -> None:
    """Open a view of some samples, in which some are selected.

    Args:
        ctx: FiftyOne's execution context.
        view: That ``dataset.select`` has made.
        ids: Of those to be selected.
    """
    ctx.ops.set_view(view)
    ctx.trigger("@flawsmith/inspection/select_shown", {"ids": list(ids), "left": TRIES})


def _opens(stages: Sequence[dict[str, Any]], ids: Sequence[str]) -> bool:
    """Whether a view, as the App sends it, is of these samples."""
    chosen = [dict(stage["kwargs"]).get("sample_ids") for stage in stages]
    return any(set(ids) <= set(one) for one in chosen if one)
