"""What all panels share: how they are read, drawn and coloured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import fiftyone.operators as foo
from fiftyone.operators import types

from curation.appearance import AMBER, GREEN, RED
from curation.connection import database_errors
from learning.errors import UserError

NONE = "no verdict"
GREY, FAINT = "#8a8f96", "rgba(128,128,128,0.3)"
COLORS = {"good": GREEN, "defect": RED, "unresolved": AMBER, NONE: GREY}
LAYOUT: dict[str, Any] = {
    "margin": {"t": 30, "r": 50, "b": 50, "l": 60},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "showlegend": True,
    "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.15},
    "height": 380,
}


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
        """Draw for the first time."""

    def on_change_view(self, ctx: Any) -> None:
        """Draw again."""

    def render(self, ctx: Any) -> types.Property:
        """Read and draw, after each event; what a panel keeps makes FiftyOne 1.22 undo the sidebar's filters."""
        panel = types.Object()
        try:
            with database_errors():
                self.draw(ctx, panel, self.read(ctx))
        except UserError as error:
            panel.md(str(error), name="trouble")
        return types.Property(panel, view=types.GridView(orientation="vertical", columns=1, gap=2, pad=2))

    @abstractmethod
    def read(self, ctx: Any) -> dict[str, Any]:
        """Plain data of what is drawn.

        Raises:
            UserError: There is nothing to draw, and why.
        """

    @abstractmethod
    def draw(self, ctx: Any, panel: types.Object, content: dict[str, Any]) -> None:
        """Add views of the data to the panel."""


def axis(title: str) -> dict[str, Any]:
    """An axis with a title; FiftyOne gives its colours to the first axes only."""
    return {"title": {"text": title, "font": {"size": 14, "color": GREY}}, "gridcolor": FAINT, "zerolinecolor": FAINT}


def line(at: float | str, color: str, dash: str) -> dict[str, Any]:
    """A line from the bottom of a plot to its top."""
    drawn = {"color": color, "width": 2, "dash": dash}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": drawn}
