"""Labels of FiftyOne data sets become verdicts."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.labels import Origin, Reading, import_labels
from curation.labels.of_fiftyone import name_in_export, read_fiftyone
from curation.ledger import Ledger
from curation.mongo import MongoServer
from learning.errors import DataError

pytestmark = pytest.mark.server


@pytest.fixture
def dataset(server: MongoServer, tmp_path: Path) -> Iterator[Any]:
    import fiftyone as fo

    rng = np.random.default_rng(1)
    samples = []
    square = fo.Detection(label="dent", bounding_box=[0.1, 0.2, 0.5, 0.5], mask=np.ones((10, 20), dtype=bool))
    box = fo.Detection(label="crack", bounding_box=[0.1, 0.2, 0.5, 0.5])
    labels = [fo.Detections(detections=[square]), fo.Detections(detections=[box]), fo.Detections(), None]
    for number, label in enumerate(labels):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (20, 40), dtype=np.uint8)).save(path)
        sample = fo.Sample(filepath=str(path), ground_truth=label)
        sample["kind"] = fo.Classification(label="good" if number else "scratch")
        samples.append(sample)
    made = fo.Dataset(f"labels {uuid.uuid4().hex[:6]}")
    made.add_samples(samples, progress=False)
    yield made
    made.delete()


def test_detections_classes_and_exports_are_read(dataset: Any, tmp_path: Path) -> None:
    import fiftyone as fo

    def masks(found: Any) -> dict[str, Any]:
        return {label.image.stem: label.mask and label.mask().sum() for label in found.labels}

    assert masks(read_fiftyone(dataset.name, Reading(), None)) == {"0": 200, "1": None}
    assert masks(read_fiftyone(dataset.name, Reading(boxes=True, unannotated_good=True), None)) == {
        "0": 200, "1": 200, "2": None, "3": None,
    }  # fmt: skip
    kinds = read_fiftyone(dataset.name, Reading(), "kind").labels
    assert [(one.verdict, one.defect_class) for one in kinds] == [("defect", "scratch"), *[("good", None)] * 3]
    before = fo.list_datasets()
    dataset.export(export_dir=str(tmp_path / "out"), dataset_type=fo.types.FiftyOneDataset, progress=False)
    exported = read_fiftyone(str(tmp_path / "out"), Reading(), None)
    assert name_in_export(tmp_path / "out") == dataset.name
    assert masks(exported) == {"0": 200, "1": None}
    assert fo.list_datasets() == before
    origin = Origin("fiftyone", "labels", "ann")
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        first = import_labels(ledger, read_fiftyone(dataset.name, Reading(), None), origin, tmp_path / "masks")
        # The export has the same pictures, at another place.
        second = import_labels(ledger, exported, origin, tmp_path / "masks")
    assert (dict(first.taken), first.without_mask, second.known) == ({"defect": 2}, 1, 2)
    assert first.reasons.total() == 2


def test_unknown_data_sets_and_fields_are_named(dataset: Any) -> None:
    with pytest.raises(DataError, match="neither a data set in FiftyOne"):
        read_fiftyone("nothing", Reading(), None)
    with pytest.raises(DataError, match="ground_truth, kind: 'other' is none"):
        read_fiftyone(dataset.name, Reading(), "other")
    dataset.delete_sample_field("ground_truth")
    dataset.delete_sample_field("kind")
    with pytest.raises(DataError, match=r"label fields \(none\)"):
        read_fiftyone(dataset.name, Reading(), None)


def test_a_mask_without_its_file_and_a_cut_off_export_are_named(dataset: Any, tmp_path: Path) -> None:
    import fiftyone as fo

    out = tmp_path / "out"
    dataset.export(export_dir=str(out), dataset_type=fo.types.FiftyOneDataset, progress=False)
    first = dataset.first()
    first["area"] = fo.Segmentation(mask_path=str(tmp_path / "gone.png"))
    first.save()
    (refused,) = [one for one in read_fiftyone(dataset.name, Reading(), "area").refused if "mask" in one.reason]
    assert (refused.what, refused.reason) == (first.filepath, "the file of its mask cannot be read")
    before = fo.list_datasets()
    for file in (out / "metadata.json", out / "samples.json"):
        whole = file.read_text()
        file.write_text(whole[: len(whole) // 2])
        with pytest.raises(DataError, match="is a damaged export of FiftyOne"):
            read_fiftyone(str(out), Reading(), None)
        file.write_text(whole)
    assert fo.list_datasets() == before


def test_values_of_a_segmentation_are_named_by_its_mask_targets(dataset: Any) -> None:
    import fiftyone as fo

    mask = np.zeros((20, 40), np.uint8)
    mask[2:4, 2:4], mask[8:10, :5], mask[15:] = 1, 7, 9
    for sample in dataset.limit(2):
        sample["area"] = fo.Segmentation(mask=mask)
        sample.save()

    def read() -> tuple[str | None, int]:
        first, second = read_fiftyone(dataset.name, Reading(), "area").labels
        assert first.mask is not None
        assert first.defect_class == second.defect_class
        return first.defect_class, int(first.mask().sum())

    assert read() == (None, 214)
    dataset.default_mask_targets = {1: "dent", 7: "scratch", 9: "good"}
    dataset.save()
    assert read() == ("dent, scratch", 14)
    dataset.mask_targets = {"area": {1: "pit"}}
    dataset.save()
    assert read() == ("pit", 214)
