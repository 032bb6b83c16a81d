"""The figures are those of the second implementations, over the right images and parts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from learning.bundle import Bundle
from learning.errors import DataError
from learning.evaluation import evaluate
from learning.images.pixels import read_mask
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.intervals import clopper_pearson
from learning.metrics import aupro, pixel_auroc
from learning.scoring import score_records


@pytest.fixture
def records(data: Path) -> list[ImageRecord]:
    return read_data(data)


def test_figures_are_those_of_the_second_implementations(bundle: Bundle, records: list[ImageRecord]) -> None:
    result = evaluate(bundle, records)
    tested = [r for r in records if r.split == "test"]
    found = list(score_records(bundle, tested))
    scores = np.array([item.score for item in found])
    label = np.array([r.label for r in tested])
    assert result["image_auroc"] == pytest.approx(roc_auc_score(label != "good", scores))
    for name in ("bright", "faint"):
        chosen = np.isin(label, ["good", name])
        expected = roc_auc_score(label[chosen] == name, scores[chosen])
        assert result["image_auroc_by_class"][name] == pytest.approx(expected)
    low, high = result["image_auroc_interval"]
    assert low <= result["image_auroc"] <= high
    masks = [
        read_mask(r.mask).numpy() if r.mask else np.zeros(i.map.shape, dtype=bool)
        for r, i in zip(tested, found, strict=True)
    ]
    assert result["pixel_auroc"] == pytest.approx(pixel_auroc([i.map for i in found], masks), abs=1e-3)
    assert result["aupro"] == pytest.approx(aupro([i.map for i in found], masks), abs=1e-3)

    rejected = scores > bundle.thresholds.current().value
    false_rejects, escapes = int(rejected[label == "good"].sum()), int((~rejected[label != "good"]).sum())
    assert result["false_reject_rate"] == pytest.approx(false_rejects / 8)
    assert result["false_reject_rate_interval"] == pytest.approx(list(clopper_pearson(false_rejects, 8)))
    assert result["false_reject_rate_counts"] == {"hits": false_rejects, "n_parts": 8, "n_groups": 8}
    assert result["escape_rate"] == pytest.approx(escapes / 9)
    assert result["escape_rate_interval"] == pytest.approx(list(clopper_pearson(escapes, 9)))
    assert result["escape_rate_by_class"]["bright"]["n_parts"] == 6
    assert result["escape_rate_by_class"]["bright"]["value"] == 0
    assert (result["n_good"], result["n_defective"]) == (8, 9)


def test_the_result_is_json_and_says_what_was_measured(bundle: Bundle, records: list[ImageRecord]) -> None:
    result = json.loads(json.dumps(evaluate(bundle, records), allow_nan=False))
    assert result["weights"] == "scratch"
    assert result["detector"] == "stub"
    assert result["ms_per_image"] > 0
    assert result["threshold"]["version"] == 1
    assert "8 independent calibration groups" in result["threshold"]["promise"]
    assert result["groups_by_class"] == {"bright": 6, "faint": 3, "good": 8}
    assert set(result["machine"]) == {"cpu", "cores", "threads", "torch"}


def test_training_images_are_not_opened(bundle: Bundle, records: list[ImageRecord]) -> None:
    for record in records:
        if record.split == "train":
            record.path.unlink()
    assert evaluate(bundle, records)["n_failed"] == 0


def test_images_without_a_mask_count_for_the_image_only(bundle: Bundle, records: list[ImageRecord]) -> None:
    whole = evaluate(bundle, records)
    masked = [r for r in records if r.mask]
    Image.fromarray(np.zeros(read_mask(masked[0].mask).shape, dtype=np.uint8)).save(masked[0].mask)
    changed = [replace(r, mask=None) if r is masked[1] else r for r in records]
    result = evaluate(bundle, changed)
    assert (result["n_with_mask"], result["n_without_mask"]) == (7, 2)
    assert result["image_auroc"] == whole["image_auroc"]
    none = evaluate(bundle, [replace(r, mask=None) for r in records])
    assert none["pixel_auroc"] is None
    assert none["aupro"] is None
    assert none["image_auroc"] == whole["image_auroc"]


def test_a_mask_of_the_wrong_size_is_refused(bundle: Bundle, records: list[ImageRecord]) -> None:
    mask = next(r.mask for r in records if r.mask)
    Image.fromarray(np.full((9, 9), 255, dtype=np.uint8)).save(mask)
    with pytest.raises(DataError, match=rf"{mask.name} is 9 × 9 pixels"):
        evaluate(bundle, records)


def test_corrupt_images_are_reported_and_left_out(bundle: Bundle, records: list[ImageRecord]) -> None:
    broken = next(r for r in records if r.split == "test" and r.label == "good")
    broken.path.write_bytes(b"broken")
    result = evaluate(bundle, records)
    assert (result["n_failed"], result["n_good"]) == (1, 7)
    assert result["failed"][0]["image"] == str(broken.path)
    with pytest.raises(DataError, match="none of the 1 images"):
        evaluate(bundle, [broken])


def test_a_part_with_several_images_gets_one_decision(bundle: Bundle, records: list[ImageRecord]) -> None:
    def of_one_part(record: ImageRecord) -> ImageRecord:
        return replace(record, part="p", group="g") if record.label == "bright" else record

    result = evaluate(bundle, [of_one_part(record) for record in records])
    assert result["escape_rate_by_class"]["bright"] | {"low": 0, "high": 0} == {
        "value": 0,
        "low": 0,
        "high": 0,
        "hits": 0,
        "n_parts": 1,
        "n_groups": 1,
    }
    assert result["n_defective"] == 9


def test_good_parts_alone_have_a_false_reject_rate_only(bundle: Bundle, records: list[ImageRecord]) -> None:
    result = evaluate(bundle, [r for r in records if r.label == "good"])
    assert result["image_auroc"] is None
    assert result["escape_rate"] is None
    assert result["escape_rate_interval"] == [0, 1]
    assert result["false_reject_rate"] is not None


def test_unlabelled_images_cannot_be_evaluated(bundle: Bundle, records: list[ImageRecord]) -> None:
    with pytest.raises(DataError, match="no labelled images"):
        evaluate(bundle, [replace(r, label="unlabelled", split=None) for r in records])


@pytest.mark.parametrize("which", [0, 13, 20])
def test_images_that_made_the_bundle_are_refused(bundle: Bundle, records: list[ImageRecord], which: int) -> None:
    learnt = [r for r in records if r.split == "train"][which]
    tested = [r for r in records if r.split == "test"]
    with pytest.raises(DataError, match=rf"1 of the 18 images.*{learnt.path.name}.*seed 0"):
        evaluate(bundle, [replace(learnt, split="test"), *tested])
