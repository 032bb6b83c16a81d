"""``flawsmith curate import``: formats are told apart, Label Studio's export is read, and nothing is taken twice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.labels import Reading
from curation.ledger import Ledger
from integrations.cli.console import USER_MISTAKE
from integrations.formats import Format
from integrations.importing import format_of, name_of
from integrations.label_studio.exported import read_exported
from learning.errors import DataError
from tests.integrations.cli.running import mistake, run

SIZE = {"original_width": 40, "original_height": 20}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(8):
        Image.fromarray(rng.integers(0, 255, (20, 40), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def _task(number: int, image: str, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    annotation = {"id": number, "result": list(results), "completed_by": 3, "updated_at": "2026-02-01T10:00:00Z"}
    return {"id": number, "data": {"text": "a", "image": image}, "annotations": [annotation | more]}


def _shape(kind: str, name: str, **value: Any) -> dict[str, Any]:
    return {**SIZE, "type": kind, "from_name": "x", "to_name": "image", "value": {**value, kind: [name]}}


def _choice(*names: str) -> dict[str, Any]:
    return {"type": "choices", "from_name": "verdict", "value": {"choices": list(names)}}


def _export(pictures: Path) -> Path:
    from label_studio_sdk.converter.brush import mask2rle

    brush = np.zeros((20, 40), dtype=np.uint8)
    brush[2:5, 3:9] = 255
    corners = [[10, 10], [50, 10], [50, 50], [10, 50]]
    tasks = [
        _task(0, "/data/upload/1/0a1b2c3d-0.png", _shape("brushlabels", "dent", format="rle", rle=mask2rle(brush))),
        _task(1, "/data/local-files/?d=line/1.png", _shape("polygonlabels", "crack", points=corners)),
        _task(2, "s3://bucket/2.png", _shape("rectanglelabels", "crack", x=10, y=10, width=40, height=40)),
        _task(3, "3.png", _choice("good"), completed_by={"email": "ann@plant"}),
        _task(4, "4.png", _choice("defect")),
        _task(5, "5.png", was_cancelled=True),
        _task(6, "6.png", _choice("unsure")),
        _task(7, "7.png", _choice("good"), _shape("polygonlabels", "crack", points=corners)),
        _task(8, "none.png", _choice("good")),
    ]
    ellipse = _shape("ellipselabels", "pit", x=50, y=50, radiusX=10, radiusY=20, rotation=0)
    tasks[4]["annotations"].append(tasks[4]["annotations"][0] | {"completed_by": 4, "result": [ellipse]})
    file = pictures.parent / "export.json"
    file.write_text(json.dumps(tasks))
    return file


def test_an_export_of_label_studio_is_read(pictures: Path) -> None:
    found = read_exported(_export(pictures), Reading(), pictures)
    labels = {(label.image.stem, label.annotator): label for label in found.labels}
    assert {key: (one.verdict, one.defect_class, one.shapes) for key, one in labels.items()} == {
        ("0", "annotator 3"): ("defect", "dent", ("RLE",)),
        ("1", "annotator 3"): ("defect", "crack", ("polygons",)),
        ("2", "annotator 3"): ("defect", "crack", ("boxes",)),
        ("3", "ann@plant"): ("good", None, ()),
        ("4", "annotator 3"): ("defect", None, ()),
        ("4", "annotator 4"): ("defect", "pit", ("ellipses",)),
        ("6", "annotator 3"): ("unsure", None, ()),
    }
    brush, polygon, ellipse = (labels[key].mask for key in [*list(labels)[:2], ("4", "annotator 4")])
    assert brush is not None
    assert polygon is not None
    assert ellipse is not None
    assert brush().sum() == 3 * 6
    assert polygon()[2:10, 4:20].all()
    assert polygon().sum() == 8 * 16
    assert ellipse().sum() == pytest.approx(np.pi * 4 * 4, rel=0.1)
    assert labels["3", "ann@plant"].at is not None
    assert sorted(one.reason.split(",")[0] for one in found.refused) == [
        "one annotation says good",
        "skipped by its annotator",
        "there is no such file",
    ]
    boxes = {
        label.image.stem: label for label in read_exported(_export(pictures), Reading(boxes=True), pictures).labels
    }
    mask = boxes["2"].mask
    assert mask is not None
    assert mask().sum() == 8 * 16


def test_a_turned_rectangle_lies_where_label_studio_draws_it(pictures: Path) -> None:
    box = _shape("rectanglelabels", "crack", x=50, y=10, width=20, height=50, rotation=90)
    file = pictures.parent / "export.json"
    file.write_text(json.dumps([_task(0, "0.png", box)]))
    (label,) = read_exported(file, Reading(boxes=True), pictures).labels
    assert label.mask is not None
    rows, columns = np.nonzero(label.mask())
    # Turned by 90° about its upper left corner (20, 2): 10 wide goes left by its 8 high, and down by its 10 wide.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((2, 9, 10, 19), abs=2)


def test_formats_are_told_apart(pictures: Path, tmp_path: Path) -> None:
    assert format_of(str(_export(pictures))) == "label-studio"
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')
    assert format_of(str(tmp_path / "coco.json")) == "coco"
    (tmp_path / "mvtec" / "test").mkdir(parents=True)
    assert format_of(str(tmp_path / "mvtec")) == "mvtec"
    (tmp_path / "mvtec" / "data.yaml").write_text("names: [a]")
    with pytest.raises(DataError, match="could be yolo, mvtec"):
        format_of(str(tmp_path / "mvtec"))
    with pytest.raises(DataError, match="is none of"):
        format_of(str(pictures))
    with pytest.raises(DataError, match="no such file"):
        format_of(str(tmp_path / "nothing"))


def test_a_source_keeps_its_name_wherever_it_lies_and_whenever_it_was_exported(tmp_path: Path) -> None:
    exports = [tmp_path / f"project-3-at-2026-0{month}-27-07-30-0a1b2c3d.json" for month in (1, 2)]
    out = tmp_path / "taken out today"
    (out / "samples").mkdir(parents=True)
    (out / "metadata.json").write_text('{"name": "line 3"}')
    for file in (*exports, tmp_path / "coco.json", tmp_path / "yolo.v2" / "data.yaml"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("[]")
    assert {name_of(str(file), Format.LABEL_STUDIO) for file in exports} == {"project-3"}
    assert name_of(str(tmp_path / "coco.json"), Format.COCO) == "coco"
    assert {name_of(str(tmp_path / place), Format.YOLO) for place in ("yolo.v2", "yolo.v2/data.yaml")} == {"yolo.v2"}
    assert {name_of(source, Format.FIFTYONE) for source in ("line 3", str(out))} == {"line 3"}
    (out / "metadata.json").write_text('{"version": "1"}')
    assert name_of(str(out), Format.FIFTYONE) == "taken out today"
    (out / "metadata.json").write_text('{"name": "li')
    with pytest.raises(DataError, match="is damaged"):
        name_of(str(out), Format.FIFTYONE)


def test_labels_under_another_name_are_said_to_count_twice(pictures: Path, tmp_path: Path) -> None:
    options = ("--images", pictures, "--ledger", tmp_path / "ledger.db", "--home", tmp_path / "home")
    assert "one inspector more" not in run("curate", "import", _export(pictures), *options).stderr
    other = _export(pictures).rename(tmp_path / "export of today.json")
    told = run("curate", "import", other, *options, "--dry-run", "--json")
    assert "6 of its images have verdicts imported from label-studio export: if that is this data set" in " ".join(
        told.stderr.split()
    )
    assert json.loads(told.stdout)["other_sources"] == {"imported from label-studio export": 6}
    again = run("curate", "import", other, *options, "--name", "export", "--json")
    assert json.loads(again.stdout)["other_sources"] == {}
    assert json.loads(again.stdout)["known"] == 7


def test_the_command_says_what_it_took_and_takes_nothing_twice(pictures: Path, tmp_path: Path) -> None:
    options = ("--images", pictures, "--ledger", tmp_path / "ledger.db", "--home", tmp_path / "home")
    command = ("curate", "import", _export(pictures), *options)
    planned = run(*command, "--dry-run", "--json")
    expected = {"good": 1, "defect": 5, "unsure": 1}
    assert json.loads(planned.stdout)["taken"] == expected
    assert not (tmp_path / "home").exists()
    assert not (tmp_path / "ledger.db").exists()
    done = run(*command)
    assert "1 good" in done.stderr
    assert "2 defects have no mask" in done.stderr
    assert "skipped by its annotator" in done.stderr
    again = json.loads(run(*command, "--json").stdout)
    assert (again["taken"], again["known"], len(again["refused"])) == ({}, 7, 3)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        assert {row.source for row in ledger.verdicts()} == {"imported from label-studio export"}
        assert len(ledger.images()) == 6
        masks = [row.regions_mask for row in ledger.verdicts() if row.regions_mask]
    assert len(masks) == 3
    assert all(mask.parent == tmp_path / "home" / "masks" / "imported" for mask in masks)
    # With boxes as masks the same label says more: a revision.
    assert json.loads(run(*command, "--boxes", "--json").stdout)["changed"] == 1


def test_mistakes_are_one_line(pictures: Path, tmp_path: Path) -> None:
    options = ("--ledger", tmp_path / "ledger.db", "--home", tmp_path / "home")
    assert "no such file" in mistake("curate", "import", tmp_path / "none", *options)
    assert "is none of" in mistake("curate", "import", pictures, *options)
    assert "no export of Label Studio" in mistake(
        "curate", "import", pictures / "0.png", "--format", "label-studio", *options
    )
    assert "holds no COCO" in mistake("curate", "import", pictures, "--format", "coco", *options)
    (tmp_path / "other.json").write_text("{}")
    assert "is neither COCO" in mistake("curate", "import", tmp_path / "other.json", *options)


def test_an_import_that_takes_nothing_is_a_mistake_that_says_why(pictures: Path, tmp_path: Path) -> None:
    file = pictures.parent / "export.json"
    file.write_text(json.dumps([_task(0, "0.png", was_cancelled=True), _task(1, "none.png", _choice("good"))]))
    command = ("curate", "import", file, "--images", pictures, "--ledger", tmp_path / "l.db", "--home", tmp_path)
    for options in ((), ("--dry-run",)):
        result = run(*command, *options, "--json")
        assert result.exit_code == USER_MISTAKE
        assert json.loads(result.stdout)["taken"] == {}
        last = result.stderr.strip().splitlines()[-1]
        assert "export gave no verdict: none of its 2 labels can be taken" in last
    file.write_text(json.dumps([_task(0, "0.png", _choice("good"))]))
    assert run(*command).exit_code == 0
    # What is there already was taken once.
    assert run(*command).exit_code == 0


@pytest.mark.parametrize("options", [(), ("--format", "coco"), ("--format", "label-studio")])
def test_a_damaged_file_is_called_damaged(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "cut.json").write_text('{"images": [')
    said = mistake("curate", "import", tmp_path / "cut.json", *options, "--ledger", tmp_path / "l.db")
    assert "is damaged" in said
    assert "line 1" in said


def test_a_class_of_good_parts_that_nothing_is_of_is_a_mistake(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "set" / "good").mkdir(parents=True)
    (pictures / "0.png").rename(tmp_path / "set" / "good" / "0.png")
    (tmp_path / "set" / "dent").mkdir()
    (pictures / "1.png").rename(tmp_path / "set" / "dent" / "1.png")
    command = ("curate", "import", tmp_path / "set", "--format", "mvtec", "--ledger", tmp_path / "l.db")
    assert "no image is of class nope" in mistake(*command, "--good", "nope")


def test_a_damaged_task_ends_nothing_and_is_named_in_words(pictures: Path) -> None:
    file = pictures.parent / "export.json"
    brush = {"format": "rle", "rle": [1, 2, 3]}
    tasks = [
        _task(0, "C:\\line\\0.png", _choice("good")),
        _task(1, "1.png", _shape("brushlabels", "dent", **brush)),
        _task(2, "2.png", {"value": {"points": [[1, 1]], "polygonlabels": ["dent"]}}),
        _task(3, "3.png", _choice("good"), updated_at="yesterday"),
        {"id": 4, "data": "4.png", "annotations": []},
    ]
    file.write_text(json.dumps(tasks))
    found = read_exported(file, Reading(), pictures)
    assert [label.image.name for label in found.labels] == ["0.png", "1.png"]
    reasons = {one.what: one.reason for one in found.refused}
    assert reasons == {
        "2.png": "an annotation has no original_height",
        "3.png": "an annotation is damaged",
        "task 4": "its data is no object",
    }
    damaged = found.labels[1].mask
    assert damaged is not None
    with pytest.raises(DataError, match=r"a region \(RLE\) is damaged"):
        damaged()


def test_a_json_that_is_neither_coco_nor_an_export_is_told_what_these_are(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "min.json").write_text('[{"id": 1, "image": "0.png"}]')
    assert "JSON-MIN says too little" in mistake(
        "curate", "import", tmp_path / "min.json", "--ledger", tmp_path / "l.db"
    )
