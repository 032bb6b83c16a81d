"""The report as one HTML file that needs nothing else."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from integrations.report.content import Measurement, Outcome, Report, Share
from integrations.report.pictures import histogram, map_picture, part_picture
from integrations.report.place import check_page

COLUMNS = (("before", "before"), ("same promise, no answers", "unasked"), ("after", "after"))
"""Heading and name of the three decisions about the same parts."""

_SHOWN = 8
"""Parts in each gallery."""


def write_report(report: Report, path: Path) -> Path:
    """Write a report; the file appears whole or not at all.

    Args:
        report: What it says.
        path: An HTML file; one that is there is replaced.

    Returns:
        The file.
    """
    return write_html(render_report(report), path)


def write_html(html: str, path: Path) -> Path:
    """Write a page; the file appears whole or not at all, and its folder is made.

    Raises:
        DataError: As ``check_page``.
    """
    check_page(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(html, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def page_environment() -> Environment:
    """Where the pages' templates are found, and how figures are written in them."""
    environment = Environment(
        loader=PackageLoader("integrations.report", "."),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "share": share_in_words, "decimal": decimal}
    return environment


def render_report(report: Report) -> str:
    """The report as HTML."""
    return (
        page_environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            measurement=report.measurement,
            galleries=galleries(report.measurement),
            histograms=_histograms(report.measurement),
            columns=COLUMNS,
            defects=by_defect(report.measurement.parts),
            part_picture=lambda outcome: part_picture(outcome.image),
            map_picture=lambda outcome: map_picture(outcome.image, outcome.map, outcome.mask),
        )
    )


def galleries(measurement: Measurement) -> list[tuple[str, str, list[Outcome], int]]:
    """Title, explanation, parts to show and number of all such parts, of each gallery that is not empty."""
    defective = sorted((part for part in measurement.parts if part.defective), key=lambda part: -part.after)
    good = sorted((part for part in measurement.parts if not part.defective), key=lambda part: -part.after)
    found = [
        (
            "Newly caught",
            "Defective, escaped before the inspectors answered, caught since.",
            [part for part in defective if not part.rejected_before and part.rejected_after],
        ),
        (
            "Still escaping",
            "Defective and accepted, before and after: what to work on next.",
            [part for part in defective if not part.rejected_before and not part.rejected_after],
        ),
        (
            "Lost",
            "Defective, caught before, escaping since: the price of the change.",
            [part for part in defective if part.rejected_before and not part.rejected_after],
        ),
        (
            "Caught all along",
            "Defective and rejected, before and after.",
            [part for part in defective if part.rejected_before and part.rejected_after],
        ),
        (
            "False rejects now",
            "Good parts that are rejected since.",
            [part for part in good if part.rejected_after],
        ),
        (
            "False rejects before",
            "Good parts that were rejected and no longer are.",
            [part for part in good if part.rejected_before and not part.rejected_after],
        ),
    ]
    return [(title, text, _spread(parts), len(parts)) for title, text, parts in found if parts]


def by_defect(parts: Sequence[Outcome]) -> list[tuple[str, str, int, int, int]]:
    """Kind, defect, number of parts, caught before and caught after."""
    rows: dict[tuple[str, str], list[Outcome]] = {}
    for part in parts:
        if part.defective:
            rows.setdefault((part.kind, part.label), []).append(part)
    return [
        (kind, label, len(found), sum(p.rejected_before for p in found), sum(p.rejected_after for p in found))
        for (kind, label), found in sorted(rows.items())
    ]


def percent(value: float | None) -> str:
    """A share in percent."""
    return "–" if value is None else f"{100 * value:.1f} %"


def decimal(value: float | None) -> str:
    """A figure between 0 and 1 with three digits."""
    return "–" if value is None else f"{value:.3f}"


def share_in_words(share: Share) -> str:
    """Interval and counts of a rate."""
    if share.value is None or share.low is None or share.high is None:
        return "nothing to count"
    if share.hits is None:
        return f"95 % interval {share.low:.3f} to {share.high:.3f}"
    return f"{share.hits} of {share.of}, 95 % interval {100 * share.low:.1f} to {100 * share.high:.1f} %"


def _histograms(measurement: Measurement) -> list[tuple[str, Any]]:
    """Title and picture of each camera, before and after."""
    found = []
    for camera in measurement.cameras:
        name = camera.comparison.name
        good = [part for part in measurement.parts if part.kind == name and not part.defective]
        defective = [part for part in measurement.parts if part.kind == name and part.defective]
        for when, threshold in (("before", camera.before), ("after", camera.after)):
            title = f"{name}, {when}"
            of_good, of_defective = ([getattr(part, when) for part in parts] for parts in (good, defective))
            found.append((title, Markup(histogram(of_good, of_defective, threshold.value, label=title))))
    return found


def _spread(parts: list[Outcome]) -> list[Outcome]:
    """Some of the parts, evenly over their scores."""
    if len(parts) <= _SHOWN:
        return parts
    return [parts[round(i * (len(parts) - 1) / (_SHOWN - 1))] for i in range(_SHOWN)]
