import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from integrations.report import (
    Answered,
    Camera,
    Comparison,
    Decided,
    Figures,
    Measurement,
    Outcome,
    Report,
    Share,
    render_report,
    write_report,
)
from integrations.report.html import by_defect, galleries, write_html
from integrations.report.pictures import histogram, map_picture
from learning.errors import DataError
from tests.integrations.markup import Balance


def picture(path: Path, value: int = 90) -> Path:
    pixels = np.full((64, 64), value, dtype=np.uint8)
    pixels[20:30, 20:30] = 255
    Image.fromarray(pixels).save(path)
    return path


def outcome(folder: Path, name: str, label: str, before: float, after: float) -> Outcome:
    return Outcome(
        part=name,
        kind="tile",
        label=label,
        image=picture(folder / f"{name}.png"),
        map=picture(folder / f"{name}-map.png", 0),
        mask=picture(folder / f"{name}-mask.png", 0) if label != "good" else None,
        before=before,
        after=after,
        rejected_before=before > 0.5,
        rejected_unasked=before > 0.48,
        rejected_after=after > 0.4,
    )


def share(hits: int = 1, of: int = 2) -> Share:
    return Share(value=hits / of, low=0.1, high=0.9, hits=hits, of=of)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    parts = [
        outcome(tmp_path, "caught", "scratch", 0.9, 0.9),
        outcome(tmp_path, "newly", "scratch", 0.45, 0.45),
        outcome(tmp_path, "escaping", "burr", 0.1, 0.1),
        outcome(tmp_path, "fine", "good", 0.1, 0.1),
        outcome(tmp_path, "false", "good", 0.2, 0.6),
    ]
    figures = Figures(false_reject=share(), escape=share(), auroc=Share(value=0.75, low=0.5, high=1.0))
    empty = Figures(
        false_reject=Share(value=None, low=0, high=1, hits=0, of=0),
        escape=share(),
        auroc=Share(value=None, low=None, high=None),
    )
    decided = {"promise": "at most 5 % of good parts rejected", "reason": "", "fallback": None}
    return Report(
        title="A report on <parts> & defects",
        measurement=Measurement(
            stream="the second stream",
            overall=Comparison(name="all together", before=figures, unasked=figures, after=figures),
            cameras=[
                Camera(
                    comparison=Comparison(name="tile", before=empty, unasked=figures, after=figures),
                    before=Decided(version=1, value=0.5, **decided),
                    unasked=Decided(version=0, value=0.48, **decided),
                    after=Decided(version=2, value=0.4, **decided),
                )
            ],
            parts=parts,
            answers=1,
        ),
        answers=[
            Answered(
                at="2026-01-05 06:00:00",
                inspector="<b>Eve</b>",
                part="s1_0001_tile",
                image=parts[0].image,
                reason="borderline",
                probability=0.25,
                score=0.47,
                threshold_version=1,
                verdict="defect",
                defect_class="scratch",
                painted=True,
            )
        ],
        steps=[("train", 12.5)],
        facts=[("Seed", "0")],
        weighed={"value": 0.4},
    )


def test_a_report_is_one_well_formed_file_that_needs_nothing_else(report: Report, tmp_path: Path) -> None:
    html = write_report(report, tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    balance = Balance()
    balance.feed(html)
    assert balance.open == []
    assert len(balance.images) == 2 * 4
    assert all(image.startswith("data:image/jpeg;base64,") for image in balance.images)
    assert not re.search(r"""(src|href)=["'](?!data:)""", html)
    assert not list((tmp_path / "out").glob(".*"))


def test_what_people_wrote_cannot_become_markup(report: Report) -> None:
    html = render_report(report)
    assert "&lt;parts&gt; &amp; defects" in html
    assert "<b>Eve</b>" not in html


def test_figures_intervals_promises_and_answers_are_in_it(report: Report) -> None:
    html = render_report(report)
    for said in (
        "50.0 %",
        "1 of 2, 95 % interval 10.0 to 90.0 %",
        "0.750",
        "at most 5 %",
        "s1_0001_tile",
        "borderline",
        "same promise, no answers",
    ):
        assert said in html


def test_galleries_sort_parts_by_what_changed(report: Report) -> None:
    found = {title: [part.part for part in shown] for title, _, shown, _ in galleries(report.measurement)}
    assert found == {
        "Newly caught": ["newly"],
        "Still escaping": ["escaping"],
        "Caught all along": ["caught"],
        "False rejects now": ["false"],
    }
    assert by_defect(report.measurement.parts) == [("tile", "burr", 1, 0, 0), ("tile", "scratch", 2, 1, 2)]


def test_a_histogram_counts_every_part(report: Report) -> None:
    svg = histogram([0.1, 0.1, 0.2], [0.2, 0.9, 50.0], threshold=0.5)
    assert sum(int(count) for count in re.findall(r"<title>(\d+) good", svg)) == 3
    assert sum(int(count) for count in re.findall(r"<title>(\d+) defective", svg)) == 3
    assert "threshold 0.5" in svg
    assert histogram([1.0], [], threshold=1.0)


def test_the_true_outline_is_drawn_and_a_missing_map_is_borne(tmp_path: Path) -> None:
    part, mask = picture(tmp_path / "part.png"), picture(tmp_path / "mask.png", 0)
    assert map_picture(part, None, mask) != map_picture(part, None, None)


def test_a_report_replaces_a_page_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    write_html("<!doctype html><p>first</p>", page)
    write_html("<!doctype html><p>second</p>", page)
    assert "second" in page.read_text()
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(DataError, match=r"notes\.txt exists and is no HTML page; it is left alone"):
        write_html("<!doctype html>", notes)
    assert notes.read_text() == "mine"
    with pytest.raises(DataError, match="is a folder; name an HTML file"):
        write_html("<!doctype html>", tmp_path)
