"""The report on the quality of a data set as one HTML file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from curation.quality import KINDS, Finding, QualityReport
from integrations.report.charts import counts
from integrations.report.html import page_environment, write_html
from integrations.report.pictures import thumbnail
from learning.images.records import UNLABELLED

_SHOWN = 24
"""Pictures of a kind; of families, a third as many families are shown."""
_OF_FAMILY = 6
_CHARTS = {
    "mean": "Brightness, 0 to 1",
    "contrast": "Contrast, standard deviation of a picture",
    "sharpness": "Sharpness, logarithm of fine over coarse detail",
    "width": "Width in pixels",
}


@dataclass(frozen=True)
class Shown:
    """A picture in the report.

    Attributes:
        name: Its path, below the folder that all lie in.
        address: Its pixels, or None where they cannot be read.
        about: Label, split, group, lot and camera, as far as they are known.
    """

    name: str
    address: str | None
    about: str


@dataclass(frozen=True)
class Section:
    """All findings of a kind.

    Attributes:
        kind: One of ``KINDS``.
        title: Of the section.
        text: What the kind means.
        count: Findings.
        by_chance: How many there would be in a set without flaws, or None.
        single: Whether each finding is one picture.
        items: Those that are shown: the finding, its pictures, and how many more it has.
    """

    kind: str
    title: str
    text: str
    count: int
    by_chance: float | None
    single: bool
    items: Sequence[tuple[Finding, Sequence[Shown], int]]


def write_quality_report(report: QualityReport, path: Path, title: str) -> Path:
    """Write the report; the file appears whole or not at all, and replaces one that is there."""
    return write_html(render_quality_report(report, title), path)


def render_quality_report(report: QualityReport, title: str) -> str:
    """The report as HTML, pictures included."""
    some, shown = report.table.readable.any(), _Pictures(report)
    suspects = {place for finding in report.findings.get("suspect", ()) for place in finding.images}
    return (
        page_environment()
        .get_template("quality.html.j2")
        .render(
            title=title,
            report=report,
            sections=_sections(report, shown),
            first=[shown(place) for place in report.ranking if place not in suspects][:_SHOWN],
            named=_named,
            clean=[KINDS[kind][0] for kind in KINDS if kind not in report.findings and report.judged.get(kind)],
            charts=[(name, Markup(counts(report.table.column(at), name))) for at, name in _CHARTS.items() if some],
        )
    )


def _sections(report: QualityReport, shown: "_Pictures") -> list[Section]:
    sections = []
    for kind, findings in report.findings.items():
        single = all(len(finding.images) == 1 for finding in findings)
        items = [
            (finding, [shown(place) for place in finding.images[:_OF_FAMILY]], max(0, len(finding.images) - _OF_FAMILY))
            for finding in findings[: _SHOWN if single else _SHOWN // 3]
        ]
        title, text = KINDS[kind]
        sections.append(Section(kind, title, text, len(findings), report.by_chance(kind), single, items))
    return sections


class _Pictures:
    """Shows images by their places; each is read once.

    Args:
        report: Whose images.
    """

    def __init__(self, report: QualityReport) -> None:
        self._records = report.table.records
        self._root = _common_folder([record.path for record in self._records])
        self._gain = _gain(report)
        self._seen: dict[int, Shown] = {}

    def __call__(self, place: int) -> Shown:
        if place not in self._seen:
            self._seen[place] = self._show(place)
        return self._seen[place]

    def _show(self, place: int) -> Shown:
        record = self._records[place]
        about = [_named(record.label), record.split]
        if record.group not in (record.part, record.path.as_posix()):
            about.append(f"group {record.group}")
        about += [f"{what} {name}" for what, name in (("lot", record.lot), ("camera", record.camera)) if name]
        name = record.path.relative_to(self._root).as_posix()
        return Shown(name, thumbnail(record.path, self._gain), " · ".join(word for word in about if word))


def _named(label: str) -> str:
    return "no label, taken for good" if label == UNLABELLED else label


def _gain(report: QualityReport) -> float:
    """Brightens sets of 16 bit of which the camera uses a part only."""
    highest, deep = report.table.column("highest"), report.table.column("depth")
    readable = report.table.readable
    if not readable.any() or (deep[readable] != 16).any():
        return 1.0
    return 1 / max(float(np.nanquantile(highest, 0.99)), 1e-3)


def _common_folder(paths: Sequence[Path]) -> Path:
    first = paths[0].parent
    return next(folder for folder in (first, *first.parents) if all(path.is_relative_to(folder) for path in paths))
