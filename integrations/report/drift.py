"""The report on drift as one HTML file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from markupsafe import Markup

from curation.drift.cameras import Rules
from curation.drift.states import CameraState, Finding, State
from curation.drift.words import plain
from integrations.report.html import page_environment, write_html
from integrations.report.pictures import thumbnail

_WIDTH, _HEIGHT, _BAND = 760.0, 150.0, 60.0
_MOST_DOTS = 1500


@dataclass(frozen=True)
class Shown:
    """A picture: its file, and its pixels or None where they are gone."""

    path: Path
    address: str | None


@dataclass(frozen=True)
class Section:
    """An alarm with its pictures and its curve."""

    finding: Finding
    title: str
    shown: Sequence[Shown]
    usual: Sequence[Shown]
    chart: Markup


def write_drift_report(states: Sequence[CameraState], path: Path, rules: Rules) -> Path:
    """Write the report; the file appears whole or not at all, and replaces one that is there."""
    return write_html(render_drift_report(states, rules), path)


def render_drift_report(states: Sequence[CameraState], rules: Rules) -> str:
    """The report as HTML, pictures included."""
    return (
        page_environment()
        .get_template("drift.html.j2")
        .render(
            states=states,
            rules=rules,
            plain=plain,
            isfinite=np.isfinite,
            sections={state.camera: [_section(state, found) for found in state.findings] for state in states},
            charts={
                state.camera: [
                    (plain(one.statistic), Markup(timeline(one, plain(one.statistic))))
                    for one in state.states
                    if one.count and one.finding is None
                ]
                for state in states
            },
        )
    )


def timeline(state: State, label: str) -> str:
    """Values of a statistic over the units, in their order, and below it how far the evidence is from an alarm, as SVG.

    Args:
        state: The statistic.
        label: What is told to those who cannot see it.
    """
    count = state.count
    step = _WIDTH / max(1, count)
    drawn = []
    for place in range(0, count, max(1, count // _MOST_DOTS)):
        x = (place + 0.5) * step
        y = _HEIGHT * (1 - _height(state.values, float(state.values[place])))
        drawn.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2"/>')
    base = _HEIGHT + 14 + _BAND
    evidence = np.clip(state.curve, 0, 1.2) / 1.2
    corners = " ".join(f"{(i + 0.5) * step:.1f},{base - _BAND * e:.1f}" for i, e in enumerate(evidence))
    limit = base - _BAND / 1.2
    drawn.append(f'<line class="limit" x1="0" x2="{_WIDTH}" y1="{limit:.1f}" y2="{limit:.1f}"/>')
    drawn.append(f'<polyline class="evidence" points="{corners}"/>')
    if state.finding is not None:
        for at, name in ((state.finding.since_at, "since"), (state.finding.raised_at, "raised")):
            x = _place_of(state.at, at) * step
            drawn.append(f'<line class="{name}" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{base:.1f}"/>')
    first, last = (f"{when:%Y-%m-%d %H:%M}" for when in (state.at[0], state.at[-1]))
    drawn.append(f'<text x="0" y="{base + 16:.0f}">{first}</text>')
    drawn.append(f'<text x="{_WIDTH}" y="{base + 16:.0f}" text-anchor="end">{last}</text>')
    return (
        f'<svg class="timeline" viewBox="0 -4 {_WIDTH:.0f} {base + 22:.0f}" role="img" aria-label="{label}">'
        + "".join(drawn)
        + "</svg>"
    )


def _height(values: np.ndarray, value: float) -> float:
    """Where a value lies between the lowest and the highest, a few far ones aside, 0..1."""
    low, high = np.quantile(values, [0.01, 0.99])
    return float(np.clip((value - low) / (high - low), 0, 1)) if high > low else 0.5


def _place_of(at: Sequence[datetime], when: datetime) -> int:
    return next((place for place, one in enumerate(at) if one >= when), len(at))


def _section(state: CameraState, found: Finding) -> Section:
    own = next(one for one in state.states if one.statistic == found.statistic)
    return Section(
        finding=found,
        title=f"{plain(found.statistic)} is {found.direction}",
        shown=[Shown(path, thumbnail(path)) for path in found.paths],
        usual=[Shown(path, thumbnail(path)) for path in found.usual],
        chart=Markup(timeline(own, plain(found.statistic))),
    )
