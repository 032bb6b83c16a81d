"""What synthesis writes in each layout comes back as verdicts with the same masks, each once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from curation.labels import Found, Label, Origin, Reading, import_labels, record
from curation.labels.coco import read_coco
from curation.labels.folders import read_folders
from curation.labels.label import UNREADABLE, Finder, Mask
from curation.labels.record import Imported
from curation.labels.shapes import from_rle
from curation.labels.yolo import read_yolo
from curation.ledger import Ledger, image_id_of
from learning.errors import DataError
from synth.dataset import write_dataset
from synth.settings import SynthesisSettings
from tests.curation.labels.found import by_name

FAMILIES = ("blob", "crack", "perlin", "scratch")
SETTINGS = SynthesisSettings(flaws_per_image=(1, 3)).only(FAMILIES)
READERS = {
    "mvtec": lambda folder, reading: read_folders(folder, reading, None),
    "coco": lambda folder, reading: read_coco(folder, reading, None),
    "yolo": read_yolo,
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("good")
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(64, 80), (70, 50, 3)]):
        Image.fromarray(rng.integers(90, 150, shape, dtype=np.uint8)).save(folder / f"part{i}.png")
    return sorted(folder.iterdir())


def _mask(path: Path | None) -> NDArray[np.bool_]:
    assert path is not None
    return np.asarray(Image.open(path)) > 0


@pytest.mark.parametrize("layout", READERS)
def test_what_synthesis_wrote_comes_back_pixel_by_pixel_and_once(good: list[Path], tmp_path: Path, layout: str) -> None:
    out = tmp_path / "out"
    write_dataset(good, out, count=10, seed=3, format=layout, settings=SETTINGS)
    origin = Origin(layout, "out", "ann")
    masks = tmp_path / "masks"
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        planned = import_labels(ledger, READERS[layout](out, Reading()), origin, masks, dry_run=True)
        assert (ledger.images(), ledger.verdicts(), masks.exists()) == ([], [], False)
        done = import_labels(ledger, READERS[layout](out, Reading()), origin, masks)
        assert planned == done
        assert (dict(done.taken), done.images_added, done.refused) == ({"defect": 10}, 10, [])
        verdicts = {row.image_id: row for row in ledger.verdicts()}
        for image in (out / "images").glob("*.png"):
            row = verdicts[image_id_of(image)]
            assert np.array_equal(_mask(row.regions_mask), _mask(out / "masks" / image.name)), image
            assert (row.inspector, row.ask_id, row.source) == ("ann", None, f"imported from {layout} out")
            assert set((row.defect_class or "").split(", ")) <= {*FAMILIES, "combined"}
        assert {one.state for one in ledger.resolved()} == {"defect"}
        again = import_labels(ledger, READERS[layout](out, Reading()), origin, masks)
        assert (again.known, sum(again.taken.values()), again.images_added) == (10, 0, 0)
        assert len(ledger.verdicts()) == 10


def _coco(pictures: Path, annotations: list[dict[str, object]]) -> Path:
    images = [{"id": n, "file_name": f"{n}.png", "height": 20, "width": 30, "date_captured": None} for n in range(7)]
    file = pictures.parent / "annotations.json"
    categories = [{"id": 1, "name": "dent"}, {"id": 2, "name": "OK"}, {"id": 3, "name": "scratch"}]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


def test_coco_polygons_run_lengths_and_boxes_are_told_apart(pictures: Path) -> None:
    from pycocotools import mask as coco

    truth = np.zeros((20, 30), dtype=bool)
    truth[3:7, 4:9] = True
    code = coco.encode(np.asfortranarray(truth.astype(np.uint8)))
    flat = truth.T.ravel()
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(int)]))).tolist()
    counts = np.diff([0, *changes, flat.size]).tolist()
    box = [4, 3, 5, 4]
    file = _coco(
        pictures,
        [
            {"image_id": 0, "category_id": 1, "segmentation": [[4, 3, 9, 3, 9, 7, 4, 7]]},
            {"image_id": 1, "category_id": 1, "segmentation": {"size": [20, 30], "counts": code["counts"].decode()}},
            {"image_id": 2, "category_id": 1, "segmentation": {"size": [20, 30], "counts": counts}},
            {"image_id": 3, "category_id": 1, "bbox": box},
            {"image_id": 3, "category_id": 3, "segmentation": [[0, 0, 2, 0, 2, 2]]},
            {"image_id": 4, "category_id": 2, "bbox": box},
            {"image_id": 6, "category_id": 1, "bbox": box},
            {"image_id": 9, "category_id": 1, "bbox": box},
        ],
    )
    found = read_coco(file, Reading(), None)
    labels = by_name(found)
    assert {name: (label.verdict, label.shapes) for name, label in labels.items()} == {
        "0": ("defect", ("polygons",)),
        "1": ("defect", ("RLE",)),
        "2": ("defect", ("RLE",)),
        "3": ("defect", ("boxes", "polygons")),
        "4": ("good", ()),
    }
    for name in "012":
        mask = labels[name].mask
        assert mask is not None
        assert np.array_equal(mask(), truth), name
    assert (labels["3"].mask, labels["3"].defect_class) == (None, "dent, scratch")
    reasons = {one.what.rpartition("/")[2]: one.reason for one in found.refused}
    assert "nothing is annotated" in reasons["5.png"]
    assert "no such file" in reasons["6.png"]
    assert "not the image" in reasons["image 9"]
    taken = by_name(read_coco(file, Reading(boxes=True, unannotated_good=True), None))
    assert taken["5"].verdict == "good"
    mask = taken["3"].mask
    assert mask is not None
    assert mask()[3:7, 4:9].all()
    assert mask()[0, 1]


def test_labels_that_cannot_be_are_refused_with_reasons(pictures: Path, tmp_path: Path) -> None:
    polygon = [[4, 3, 9, 3, 9, 7]]
    file = _coco(
        pictures,
        [
            {"image_id": 0, "category_id": 1, "segmentation": polygon},
            {"image_id": 0, "category_id": 2, "bbox": [0, 0, 1, 1]},
            {"image_id": 1, "category_id": 1, "segmentation": [[1, 2, 3]]},
            {"image_id": 2, "category_id": 1, "segmentation": {"size": [9, 9], "counts": "x"}},
            {"image_id": 3, "segmentation": polygon},
            {"image_id": 4, "category_id": 1, "segmentation": polygon},
            {"image_id": 5, "category_id": 3, "segmentation": polygon},
        ],
    )
    (pictures / "4.png").write_bytes(b"damaged")
    (pictures / "5.png").write_bytes((pictures / "1.png").read_bytes())
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        done = import_labels(ledger, read_coco(file, Reading(), None), Origin("coco", "a", "a"), tmp_path / "masks")
        assert not done.taken
        reasons = " | ".join(done.reasons)
        for text in ("another names a defect", "3 coordinates", "9 × 9 pixels", "category_id", "cannot be read"):
            assert text in reasons, text
        # It is called something else beside, where the annotation cannot be read.
        assert "the same picture is labelled" in {Path(one.what).name: one.reason for one in done.refused}["5.png"]
        assert len(done.refused) == 7  # and the picture that has no file


def test_a_picture_that_comes_twice_counts_once(pictures: Path, tmp_path: Path) -> None:
    (pictures / "1.png").write_bytes((pictures / "0.png").read_bytes())
    labels = [Label(pictures / f"{n}.png", "good") for n in range(2)]
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        done = import_labels(ledger, Found(labels), Origin("coco", "a", "a"), tmp_path / "masks")
    assert (dict(done.taken), done.twice, len(done.refused)) == ({"good": 1}, 1, 0)


def test_a_picture_that_is_gone_is_not_called_damaged(pictures: Path, tmp_path: Path) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    labels = [Label(pictures / f"{name}.png", "good") for name in ("gone", "broken")]
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        done = import_labels(ledger, Found(labels), Origin("fiftyone", "a", "a"), tmp_path / "masks")
    assert [one.reason for one in done.refused] == ["there is no such file", UNREADABLE]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
@pytest.mark.parametrize("far_apart", [False, True])
def test_of_two_labels_that_contradict_each_other_neither_is_taken(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...], far_apart: bool
) -> None:
    """Whatever their order, also where the first would be written long before the second is read."""
    monkeypatch.setattr(record, "CHUNK", 1 if far_apart else 200)
    (pictures / "2.png").write_bytes((pictures / "0.png").read_bytes())

    def damaged() -> Mask:
        msg = "damaged"
        raise DataError(msg)

    said = [("good", None, None), ("good", None, None), ("defect", "dent", damaged)]
    labels = [Label(pictures / f"{n}.png", *said[n]) for n in order]  # type: ignore[arg-type]
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        done = import_labels(ledger, Found(labels), Origin("coco", "a", "a"), tmp_path / "masks")
        assert [row.image_id for row in ledger.verdicts()] == [image_id_of(pictures / "1.png")]
    reasons = {Path(one.what).name: one.reason for one in done.refused}
    assert "labelled as defect (dent) and as good, and lies at" in reasons["0.png"]
    assert "2.png too: neither is taken" in reasons["0.png"]
    assert set(reasons) == {"0.png", "2.png"}
    # Two people may see it differently: the ledger knows what to make of that.
    people = [replace(label, mask=None, annotator=f"ann {place}") for place, label in enumerate(labels)]
    with Ledger.open(tmp_path / "people.db") as ledger:
        assert import_labels(ledger, Found(people), Origin("coco", "a", "a"), tmp_path / "masks").refused == []


def test_two_masks_of_one_picture_contradict_each_other(pictures: Path, tmp_path: Path) -> None:
    mask = np.zeros((20, 30), dtype=bool)
    mask[3:9, 4:9] = True
    labels = [Label(pictures / "0.png", "defect", "dent", lambda one=one: one) for one in (mask, ~mask)]
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        done = import_labels(ledger, Found(labels), Origin("coco", "a", "a"), tmp_path / "masks")
    assert not done.taken
    assert [("different masks" in one.reason, "lies at" in one.reason) for one in done.refused] == [(True, False)] * 2


@pytest.mark.parametrize(("height", "width"), [(3, 2), (40, 9), (20, 29)])
def test_a_mask_of_another_size_is_told_by_both_sizes(pictures: Path, tmp_path: Path, height: int, width: int) -> None:
    folder = pictures.parent / "set"
    for place, kind in enumerate(("good", "dent")):
        (folder / "test" / kind).mkdir(parents=True)
        (pictures / f"{place}.png").rename(folder / "test" / kind / "a.png")
    mask = folder / "ground_truth" / "dent" / "a_mask.png"
    mask.parent.mkdir(parents=True)
    Image.fromarray(np.full((height, width), 255, dtype=np.uint8)).save(mask)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        found = read_folders(folder, Reading(), None)
        done = import_labels(ledger, found, Origin("mvtec", "a", "a"), tmp_path / "masks")
    assert dict(done.taken) == {"good": 1}
    assert [one.reason for one in done.refused] == [f"its mask has {width} × {height} pixels, the image 30 × 20"]


def test_a_defect_with_an_empty_mask_is_a_defect_of_which_nobody_says_where(pictures: Path, tmp_path: Path) -> None:
    """Were it refused, a training set of what nobody called defective would take it for good."""
    folder = pictures.parent / "set"
    (folder / "test" / "dent").mkdir(parents=True)
    (pictures / "0.png").rename(folder / "test" / "dent" / "a.png")
    mask = folder / "ground_truth" / "dent" / "a_mask.png"
    mask.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((20, 30), dtype=np.uint8)).save(mask)
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        found = read_folders(folder, Reading(), None)
        done = import_labels(ledger, found, Origin("mvtec", "a", "a"), tmp_path / "masks")
        (verdict,) = ledger.verdicts()
        again = import_labels(ledger, found, Origin("mvtec", "a", "a"), tmp_path / "masks")
    assert (dict(done.taken), done.without_mask, done.refused) == ({"defect": 1}, 1, [])
    assert (verdict.verdict, verdict.defect_class, verdict.regions_mask) == ("defect", "dent", None)
    assert "its mask is empty" in str(verdict.note)
    assert (again.known, dict(again.taken)) == (1, {})


def test_what_was_labelled_anew_is_a_revision_and_can_go_back(pictures: Path, tmp_path: Path) -> None:
    image = pictures / "0.png"
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for verdict, changed in (("good", 0), ("defect", 1), ("good", 1), ("good", 0)):
            found = Found([Label(image, verdict)])  # type: ignore[arg-type]
            assert import_labels(ledger, found, Origin("coco", "a", "a"), tmp_path).changed == changed
            assert [one.state for one in ledger.resolved()] == [verdict]
        assert [row.revision for row in ledger.verdicts()] == ["1", "2", "3"]


def test_of_two_imports_at_once_each_counts_what_it_wrote(pictures: Path, tmp_path: Path) -> None:
    labels = [Label(pictures / f"{number}.png", "good") for number in range(6)]
    origin = Origin("coco", "a", "a")
    faster: list[Imported] = []
    with Ledger.open(tmp_path / "ledger.db") as ledger, Ledger.open(tmp_path / "ledger.db") as other:

        def meanwhile(done: float, total: float, text: str) -> None:
            """Another import, once this one has read what the ledger has; it does not agree about one picture."""
            if not faster:
                said = [*labels[:3], Label(pictures / "3.png", "defect")]
                faster.append(import_labels(other, Found(said), origin, tmp_path))

        slower = import_labels(ledger, Found(labels), origin, tmp_path, progress=meanwhile)
        assert (dict(faster[0].taken), faster[0].images_added) == ({"good": 3, "defect": 1}, 4)
        assert (dict(slower.taken), slower.images_added, slower.known) == ({"good": 2}, 2, 3)
        assert [one.what for one in slower.refused] == [str(pictures / "3.png")]
        assert "run it again" in slower.refused[0].reason
        assert (len(ledger.verdicts()), len(ledger.images())) == (6, 6)
        again = import_labels(ledger, Found(labels), origin, tmp_path)
        assert (dict(again.taken), again.changed, again.known) == ({"good": 1}, 1, 5)


def test_what_lies_outside_of_its_image_was_written_wrongly_and_what_juts_out_is_cut_off(pictures: Path) -> None:
    file = _coco(
        pictures,
        [
            {"image_id": 0, "category_id": 1, "bbox": [300, 3, 5, 4]},
            {"image_id": 1, "category_id": 1, "segmentation": [[4, 20, 9, 20, 9, 27]]},
            {"image_id": 2, "category_id": 1, "bbox": [-3, 18, 5, 400]},
        ],
    )
    found = read_coco(file, Reading(boxes=True), None)
    outside = [one.what.rpartition("/")[2] for one in found.refused if "outside of the image of 30 × 20" in one.reason]
    assert outside == ["0.png", "1.png"]
    mask = by_name(found)["2"].mask
    assert mask is not None
    assert (np.argwhere(mask()) == [[18, 0], [18, 1], [19, 0], [19, 1]]).all()


def test_one_bad_entry_of_coco_ends_nothing_and_is_named(pictures: Path) -> None:
    file = _coco(
        pictures,
        [
            {"image_id": 0, "category_id": 1, "segmentation": [[4, 3, 9, 3, 9, 7]]},
            {"image_id": 1, "category_id": [1], "bbox": [1, 1, 2, 2]},
            {"category_id": 1},
        ],
    )
    content = json.loads(file.read_bytes())
    del content["images"][2]["file_name"]
    content["images"].append("x")
    file.write_text(json.dumps(content))
    found = read_coco(file, Reading(), None)
    assert by_name(found)["0"].verdict == "defect"
    named = {one.what.rpartition("/")[2].partition(" of ")[0] for one in found.refused}
    assert {"1.png", "annotation 2", "image 2", "image 7"} <= named
    content["annotations"] = "x"
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="annotations is no list"):
        read_coco(file, Reading(), None)


def test_yolo_boxes_polygons_and_what_is_neither(pictures: Path) -> None:
    folder = pictures.parent
    (folder / "labels").mkdir()
    (folder / "data.yaml").write_text("names: [dent, good]\n")
    lines = {
        "0": "0 0.5 0.5 0.2 0.2\n",
        "1": "0 0.1 0.1 0.5 0.1 0.5 0.5\n",
        "2": "1 0.5 0.5 1 1",
        "3": "0 0.1 0.2 0.3\n",
    }
    for name, text in {**lines, "4": "", "5": "0 0.1 nan 0.2 0.2"}.items():
        (folder / "labels" / f"{name}.txt").write_text(text)
    found = read_yolo(folder, Reading())
    labels = by_name(found)
    assert {name: (label.verdict, label.shapes, label.mask is None) for name, label in labels.items()} == {
        "0": ("defect", ("boxes",), True),
        "1": ("defect", ("polygons",), False),
        "2": ("good", (), True),
    }
    named = ["3.txt, line 1", "4.png", "5.txt, line 1"]
    assert sorted(one.what.rpartition("/")[2] for one in found.refused) == named
    boxes = by_name(read_yolo(folder, Reading(boxes=True)))["0"].mask
    assert boxes is not None
    assert boxes().sum() == 6 * 4
    (folder / "labels" / "0.txt").write_text("99 0.5 0.5 0.2 0.2")
    assert any("no class 99" in one.reason for one in read_yolo(folder, Reading()).refused)
    (folder / "data.yaml").unlink()
    with pytest.raises(DataError, match="which name the classes"):
        read_yolo(folder, Reading())


def test_class_folders_give_good_parts_too(pictures: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name, number in (("good", 0), ("Defect", 1), ("crack", 2)):
        (data / name).mkdir(parents=True)
        (data / name / f"{number}.png").write_bytes((pictures / f"{number}.png").read_bytes())
    labels = by_name(read_folders(data, Reading(), None))
    assert {name: (one.verdict, one.defect_class) for name, one in labels.items()} == {
        "0": ("good", None),
        "1": ("defect", None),
        "2": ("defect", "crack"),
    }


@pytest.mark.parametrize(
    "written", ["sub/0.png", "sub\\0.png", "C:\\old\\sub\\0.png", "SUB\\0.PNG", "/gone/sub/0.png", "{root}/sub/0.png"]
)
def test_names_of_files_are_found_as_windows_and_other_machines_wrote_them(tmp_path: Path, written: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "0.png").touch()
    assert Finder(tmp_path).find(written.format(root=tmp_path)) == tmp_path / "sub" / "0.png"


def test_names_are_found_as_label_studio_and_macos_spell_them(tmp_path: Path) -> None:
    for name in ("part 1 (new).png", "Riß ü.png", "a b.png", "a_b.png"):
        (tmp_path / name).touch()
    finder = Finder(tmp_path)
    assert finder.find("upload/3/part_1_new.png") == tmp_path / "part 1 (new).png"
    assert finder.find("x/Riß_u\u0308.png") == tmp_path / "Riß ü.png"
    assert finder.find("x/a b.png") == tmp_path / "a b.png"
    assert finder.find("x/a_b.png") == tmp_path / "a_b.png"
    assert finder.find("x/a  b!.png") is None


def test_a_name_that_two_files_have_finds_neither_unless_its_case_tells(tmp_path: Path) -> None:
    for folder, name in (("a", "0.png"), ("b", "0.PNG"), ("c", "1.png"), ("d", "1.png")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    finder = Finder(tmp_path)
    assert finder.find("x/0.PNG") == tmp_path / "b" / "0.PNG"
    assert finder.find("x/1.png") is None


def test_run_lengths_that_are_cut_off_are_refused_and_whole_ones_are_as_pycocotools_has_them() -> None:
    from pycocotools import mask as coco

    rng = np.random.default_rng(0)
    for height, width, share in ((40, 60, 0.5), (1, 1, 1.0), (30, 7, 0.02), (20, 30, 0.0)):
        mask = np.asfortranarray(rng.random((height, width)) < share)
        code = coco.encode(mask.astype(np.uint8))
        lengths = np.diff(
            np.flatnonzero(np.diff(mask.ravel("F"), prepend=False, append=~mask.ravel("F")[-1])), prepend=0
        )
        for counts in (code["counts"], code["counts"].decode(), lengths.tolist()):
            assert np.array_equal(from_rle({"size": [height, width], "counts": counts}, height, width), mask)
        for cut in range(len(code["counts"])):
            with pytest.raises(DataError, match="run lengths"):
                from_rle({"size": [height, width], "counts": code["counts"][:cut]}, height, width)
    for counts in ([10, 10], [10, -10, 2400], ["x"], None, "~~", 7):
        with pytest.raises(DataError, match="run lengths"):
            from_rle({"size": [40, 60], "counts": counts}, 40, 60)


def test_coco_ids_sizes_and_classes_may_be_written_otherwise_or_be_missing(pictures: Path) -> None:
    polygon = [[4, 3, 9, 3, 9, 7]]
    annotations = [
        {"image_id": "0", "category_id": 1.0, "segmentation": polygon},
        {"image_id": 1.0, "category_id": "3", "segmentation": polygon},
        {"image_id": 2, "category_id": 9, "segmentation": polygon},
        {"image_id": 3, "category_id": 1, "segmentation": [], "bbox": []},
        {"image_id": 4, "category_id": 1, "segmentation": [], "bbox": [1, 1, 0, 4]},
        {"image_id": 5, "category_id": 1, "segmentation": polygon},
    ]
    file = _coco(pictures, annotations)
    content = json.loads(file.read_bytes())
    del content["images"][0]["height"], content["images"][0]["width"]
    content["images"].append({**content["images"][5], "file_name": "6.png"})
    file.write_text(json.dumps(content))
    found = read_coco(file, Reading(), None)
    labels = by_name(found)
    assert [labels[name].defect_class for name in "01"] == ["dent", "scratch"]
    mask = labels["0"].mask
    assert mask is not None
    assert mask().shape == (20, 30)
    reasons = {one.what: one.reason for one in found.refused}
    assert "class 9, which is not among" in reasons["2.png"]
    assert "neither an outline nor a box" in reasons["3.png"]
    assert "above 0" in reasons["4.png"]
    assert "several images have its id" in reasons["5.png"]


def test_a_damaged_file_beside_others_ends_the_import(pictures: Path) -> None:
    _coco(pictures, [])
    (pictures / "val.json").write_text('{"images": [')
    with pytest.raises(DataError, match=r"val.json is damaged"):
        read_coco(pictures, Reading(unannotated_good=True), None)


def test_yolo_labels_without_a_picture_in_pixels_or_with_odd_classes_are_named(pictures: Path) -> None:
    folder = pictures.parent / "set"
    (folder / "labels").mkdir(parents=True)
    (folder / "classes.yaml").write_text("\ufeffnames: {0: dent}")
    lines = {
        "0": "\ufeff0.0 0.5 0.5 0.2 0.2\r\n",
        "1": "0 10 10 4 4",
        "2": "0 0.5 0.5 0 0.2",
        "3": "dent 0.5 0.5 0.2 0.2",
        "lost": "0 0.5 0.5 0.2 0.2",
    }
    for name, text in lines.items():
        (folder / "labels" / f"{name}.txt").write_text(text)
    (folder / "labels" / "4.txt").write_bytes(b"\xff\xfe0")
    found = read_yolo(folder / "classes.yaml", Reading(unannotated_good=True), pictures)
    assert by_name(found)["0"].defect_class == "dent"
    reasons = {one.what.rpartition("/")[2].partition(".")[0]: one.reason for one in found.refused}
    for name, text in (
        ("1", "no fractions"),
        ("2", "no extent"),
        ("3", "are numbers"),
        ("4", "no text"),
        ("lost", "no picture"),
    ):
        assert text in reasons[name], name
    for text in ("names:", "names: dent", "- dent", "names: {a: dent}"):
        (folder / "classes.yaml").write_text(text)
        with pytest.raises(DataError, match=r"names no classes|cannot be read"):
            read_yolo(folder / "classes.yaml", Reading(), pictures)
