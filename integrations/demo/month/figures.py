"""Escapes and false rejects of each week, with the loop and without."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.table import Table

from integrations.demo.month.settings import DAYS_OF_A_WEEK
from learning.intervals import rate_by_group

WITH, WITHOUT = "with the loop", "without"
_COLOURS = {WITHOUT: "#888888", WITH: "#1f77b4"}


class PartOfADay(BaseModel):
    """What became of a part.

    Attributes:
        part: Its name.
        label: ``good``, or the kind of its defect.
        without: Whether the first model and threshold reject it.
        with_loop: Whether what decided on that day rejects it.
    """

    model_config = ConfigDict(frozen=True)

    part: str
    label: str
    without: bool
    with_loop: bool


class Share(BaseModel):
    """A rate of parts, with its exact interval at 95 %; None where there are no such parts."""

    model_config = ConfigDict(frozen=True)

    hits: int
    of: int
    value: float | None
    low: float
    high: float


class Week(BaseModel):
    """A week, or the whole month.

    Attributes:
        name: In words.
        escape: Defective parts that were accepted, by ``WITH`` and ``WITHOUT``.
        false_reject: Good parts that were rejected.
        caught_only_with: Defective parts that only the loop rejects.
        caught_only_without: Defective parts that only the first model rejects.
        notes: What happened.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    escape: dict[str, Share]
    false_reject: dict[str, Share]
    caught_only_with: int
    caught_only_without: int
    notes: tuple[str, ...] = ()


def weeks_of(days: Mapping[int, Sequence[PartOfADay]], notes: Mapping[int, Sequence[str]]) -> list[Week]:
    """Put days together to weeks, and all of them to the last entry.

    Args:
        days: Parts by day, from 1.
        notes: What happened, by day.
    """
    numbers = sorted({week_of(day) for day in days})
    weeks = [
        _week(
            f"week {number}",
            [part for day, own in sorted(days.items()) if week_of(day) == number for part in own],
            [text for day, own in sorted(notes.items()) if week_of(day) == number for text in own],
        )
        for number in numbers
    ]
    return [*weeks, _week("all", [part for own in days.values() for part in own])]


def week_of(day: int) -> int:
    """Number of a day's week, from 1."""
    return (day - 1) // DAYS_OF_A_WEEK + 1


def table_of(weeks: Sequence[Week]) -> Table:
    """One row for each week, and one for all."""
    table = Table(title="A month, with the loop and without (95 % intervals)")
    for heading in ("", f"escapes {WITHOUT}", f"escapes {WITH}", "only with / only without caught"):
        table.add_column(heading)
    for heading in (f"false rejects {WITHOUT}", f"false rejects {WITH}"):
        table.add_column(heading)
    for week in weeks:
        table.add_row(
            week.name,
            _text(week.escape[WITHOUT]),
            _text(week.escape[WITH]),
            f"{week.caught_only_with} / {week.caught_only_without}",
            _text(week.false_reject[WITHOUT]),
            _text(week.false_reject[WITH]),
            end_section=week is weeks[-2] if len(weeks) > 1 else False,
        )
    return table


def draw(weeks: Sequence[Week], marks: Mapping[float, str], file: Path) -> None:
    """Plot both rates by week.

    Args:
        weeks: From ``weeks_of``; the last one, of all, is not drawn.
        marks: What is marked, by the day (1.0 is the start of the first).
        file: A PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels: dict[str, Callable[[Week], dict[str, Share]]] = {
        "Escape rate": lambda week: week.escape,
        "False-reject rate": lambda week: week.false_reject,
    }
    for axis, (title, chosen) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for place, name in enumerate((WITHOUT, WITH)):
            shares = [chosen(week)[name] for week in weeks[:-1]]
            known = [(number, share) for number, share in enumerate(shares, 1) if share.value is not None]
            values = [100 * float(share.value or 0) for _, share in known]
            lows = [value - 100 * share.low for value, (_, share) in zip(values, known, strict=True)]
            highs = [100 * share.high - value for value, (_, share) in zip(values, known, strict=True)]
            at = [number + (place - 0.5) * 0.12 for number, _ in known]
            axis.errorbar(at, values, yerr=[lows, highs], marker="o", capsize=4, color=_COLOURS[name], label=name)
        for day, text in marks.items():
            at_week = 0.5 + (day - 1) / DAYS_OF_A_WEEK
            axis.axvline(at_week, color="#c44e52", linestyle=":", linewidth=1)
            axis.annotate(text, (at_week, 0.99), xycoords=("data", "axes fraction"), rotation=90, va="top", fontsize=8)
        axis.set_title(f"{title}, % of the week's parts")
        axis.set_xlabel("week")
        axis.set_xticks(range(1, len(weeks)))
        axis.set_xlim(0.5, len(weeks) - 0.5)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    # Beside the panels: an interval may reach any corner of them.
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(file, dpi=110)


def _week(name: str, parts: Sequence[PartOfADay], notes: Sequence[str] = ()) -> Week:
    good = [part for part in parts if part.label == "good"]
    bad = [part for part in parts if part.label != "good"]
    return Week(
        name=name,
        escape={
            WITH: _share([not part.with_loop for part in bad], bad),
            WITHOUT: _share([not part.without for part in bad], bad),
        },
        false_reject={
            WITH: _share([part.with_loop for part in good], good),
            WITHOUT: _share([part.without for part in good], good),
        },
        caught_only_with=sum(part.with_loop and not part.without for part in bad),
        caught_only_without=sum(part.without and not part.with_loop for part in bad),
        notes=tuple(notes),
    )


def _share(hits: Sequence[bool], parts: Sequence[PartOfADay]) -> Share:
    rate = rate_by_group(hits, [part.part for part in parts])
    value: Any = rate.value if parts else None
    return Share(hits=rate.hits, of=rate.n_parts, value=value, low=rate.low, high=rate.high)


def _text(share: Share) -> str:
    if share.value is None:
        return "–"
    return f"{100 * share.value:.1f} % ({share.hits}/{share.of}), {100 * share.low:.1f} to {100 * share.high:.1f}"
