import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.mongo import MongoServer
from curation.synthetic import ImportReport, import_synthetic
from learning.errors import DataError
from synth.checking import CHECKSUMS
from synth.dataset import MANIFEST, write_dataset
from synth.errors import SynthError
from synth.manifest import read_manifest
from synth.pictures import read_pixels
from tests.synth.even_odd import filled

pytestmark = pytest.mark.server


@pytest.fixture
def name(server: MongoServer) -> str:
    return f"flaws {uuid.uuid4().hex[:6]}"


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    pixels = np.random.default_rng(0).integers(90, 150, (64, 80), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "part.png")
    return [tmp_path / "part.png"]


def load(name: str) -> Any:
    import fiftyone as fo

    return fo.load_dataset(name)


def test_every_flaw_is_shown_with_what_is_known_of_it(good: list[Path], tmp_path: Path, name: str) -> None:
    write_dataset(good, tmp_path / "set", count=5)
    assert import_synthetic(tmp_path / "set", name) == ImportReport(5, 0, 0)
    rows = [row for row in read_manifest(tmp_path / "set" / MANIFEST) if row.area]
    samples = {sample.image: sample for sample in load(name)}
    assert len(samples) == 5
    assert sum(len(sample.flaws.detections) for sample in samples.values()) == len(rows)
    for image, sample in samples.items():
        own = [row for row in rows if row.image == image]
        assert sample.source == str(good[0])
        assert Path(sample.filepath).is_file()
        assert sample.families == sorted({row.family for row in own})
        mask = sample.flaw_mask.get_mask()
        assert np.array_equal(mask, read_pixels(tmp_path / "set" / "masks" / f"{image}.png"))
        for row, flaw in zip(own, sample.flaws.detections, strict=True):
            left, top, width, height = np.array(flaw.bounding_box) * [80, 64, 80, 64]
            assert [left, top, left + width, top + height] == pytest.approx([row.left, row.top, row.right, row.bottom])
            assert (flaw.label, flaw.severity, flaw.contrast) == (row.family, row.severity, row.contrast)


def test_importing_again_writes_what_is_new_and_leaves_tags(good: list[Path], tmp_path: Path, name: str) -> None:
    write_dataset(good, tmp_path / "set", count=3)
    import_synthetic(tmp_path / "set", name)
    load(name).tag_samples("mine")
    assert import_synthetic(tmp_path / "set", name) == ImportReport(0, 3, 0)
    write_dataset(good, tmp_path / "set", count=5)
    assert import_synthetic(tmp_path / "set", name) == ImportReport(2, 3, 0)
    assert load(name).count_sample_tags() == {"mine": 3}


def test_other_sets_and_unfinished_ones_are_refused(good: list[Path], tmp_path: Path, name: str) -> None:
    write_dataset(good, tmp_path / "one", count=1)
    write_dataset(good, tmp_path / "two", count=1)
    import_synthetic(tmp_path / "one", name)
    with pytest.raises(DataError, match="shows something else"):
        import_synthetic(tmp_path / "two", name)
    with pytest.raises(DataError, match="no complete synthetic data set"):
        import_synthetic(tmp_path, name)


def test_a_set_that_lacks_something_is_refused_before_it_is_shown(good: list[Path], tmp_path: Path, name: str) -> None:
    import fiftyone as fo

    folder = tmp_path / "set"
    write_dataset(good, folder, count=2)
    checksums = (folder / CHECKSUMS).read_text(encoding="utf-8")
    (folder / CHECKSUMS).write_text("\n".join(line for line in checksums.splitlines() if "masks/" not in line) + "\n")
    with pytest.raises(DataError, match=r"checksums\.sha256 does not list masks/"):
        import_synthetic(folder, name)
    (folder / CHECKSUMS).write_text(checksums[:30], encoding="utf-8")
    with pytest.raises(SynthError, match=r"checksums\.sha256 is damaged"):
        import_synthetic(folder, name)
    (folder / CHECKSUMS).write_text(checksums, encoding="utf-8")
    next((folder / "masks").iterdir()).unlink()
    with pytest.raises(DataError, match=r"masks/.*\.png is missing"):
        import_synthetic(folder, name)
    assert not fo.dataset_exists(name)


@pytest.mark.parametrize("layout", ["coco", "yolo"])
def test_fiftyone_reads_the_layouts_and_finds_the_masks(
    good: list[Path], tmp_path: Path, name: str, layout: str
) -> None:
    import fiftyone as fo

    out = tmp_path / "set"
    write_dataset(good, out, count=6, format=layout)
    if layout == "coco":
        kind, options = fo.types.COCODetectionDataset, {"label_types": "segmentations", "use_polylines": True}
        paths = {"data_path": str(out / "images"), "labels_path": str(out / "annotations.json")}
    else:
        kind, options = fo.types.YOLOv5Dataset, {"label_type": "polylines"}
        paths = {"dataset_dir": str(out), "yaml_path": "data.yaml", "split": "train"}
    dataset = fo.Dataset.from_dir(dataset_type=kind, name=name, **paths, **options, progress=False)
    assert len(dataset) == 6
    rows = [row for row in read_manifest(out / MANIFEST) if row.area]
    (field,) = dataset.get_field_schema(embedded_doc_type=fo.Polylines)
    for sample in dataset:
        image = Path(sample.filepath).stem
        drawn = np.zeros((64, 80), dtype=bool)
        for polyline in sample[field].polylines:
            for points in polyline.points:
                drawn |= filled((np.array(points) * [80, 64]).round().astype(int), drawn.shape)
        assert np.array_equal(drawn, read_pixels(out / "masks" / f"{image}.png") > 0)
        assert {p.label for p in sample[field].polylines} == {row.family for row in rows if row.image == image}
