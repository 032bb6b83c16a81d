"""Scores are those of the detector, in order, with failures in their place and maps at the image's size."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from learning import scoring
from learning.bundle import Bundle
from learning.errors import BundleError
from learning.fusion import Scale, fuse
from learning.images.image_set import ImageSet
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.scoring import ImageScore, ScoreFailure, decide, save_map, score_records
from learning.supervised.fallback import Fallback
from learning.supervised.linear import fit_logistic
from learning.thresholds import Threshold


@pytest.fixture
def records(data: Path) -> list[ImageRecord]:
    return [record for record in read_data(data) if record.split == "test"]


@pytest.mark.parametrize("batch", [1, 5, 100])
def test_scores_are_those_of_the_detector_in_order(bundle: Bundle, records: list[ImageRecord], batch: int) -> None:
    images = ImageSet(records, bundle.preprocessing)
    prediction = bundle.detector.predict(images.batch(range(len(images))))
    found = list(score_records(bundle, records, batch=batch))
    assert [item.record for item in found] == records
    np.testing.assert_allclose([item.score for item in found], prediction.scores.numpy(), rtol=1e-6)
    assert all(item.decision_score == item.score and item.fallback_score is None for item in found)
    expected = bundle.detector.embed(images.batch([3]))[0].numpy()
    np.testing.assert_allclose(found[3].embedding, expected, rtol=1e-6)


def test_calibration_scores_are_exactly_what_scoring_gives(bundle: Bundle) -> None:
    """Else good parts that are scored would not be exchangeable with those that calibrated."""
    again = score_records(bundle, [ImageRecord(Path(path)) for path in bundle.calibration["image"]], batch=8)
    assert [item.score for item in again] == bundle.calibration["score"].tolist()


def test_maps_have_the_size_of_their_image(bundle: Bundle, records: list[ImageRecord]) -> None:
    for item in score_records(bundle, records):
        with Image.open(item.record.path) as image:
            assert item.map.shape == (image.height, image.width)
        assert item.map.dtype == np.float32
        assert item.seconds > 0


def test_corrupt_and_missing_images_fail_in_their_place(bundle: Bundle, records: list[ImageRecord]) -> None:
    records[2].path.write_bytes(b"broken")
    records[5].path.unlink()
    found = list(score_records(bundle, records, batch=3))
    assert [type(item) is ScoreFailure for item in found] == [i in (2, 5) for i in range(len(records))]
    assert "cannot be read" in found[2].reason
    assert "does not exist" in found[5].reason
    broken = [ImageRecord(records[2].path)] * 4
    assert all(isinstance(item, ScoreFailure) for item in score_records(bundle, broken, batch=3))
    assert list(score_records(bundle, [])) == []


def test_only_so_many_images_are_read_ahead(bundle: Bundle, records: list[ImageRecord], monkeypatch) -> None:
    read: list[Path] = []
    original = scoring.read_image
    monkeypatch.setattr(scoring, "read_image", lambda path: (read.append(path), original(path))[1])
    scores = score_records(bundle, records * 10, batch=2)
    next(scores)
    scores.close()
    assert len(read) <= 8


def test_progress_reaches_the_end(bundle: Bundle, records: list[ImageRecord]) -> None:
    told: list[tuple[float, float]] = []
    list(score_records(bundle, records, batch=4, progress=lambda done, total, text: told.append((done, total))))
    assert told[-1] == (17, 17)
    assert told == sorted(told)


def image_score(part: str, score: float, image: str = "a.png", group: str = "g") -> ImageScore:
    nothing = np.zeros((1, 1), dtype=np.float32)
    return ImageScore(ImageRecord(Path(image), part=part, group=group), -score, nothing, nothing, None, score, 0.1)


def test_a_part_is_decided_on_by_its_highest_image(bundle: Bundle) -> None:
    threshold = bundle.thresholds.current().model_copy(update={"value": 1.0})
    scores = [image_score("p", 0.5), image_score("q", 1.0), image_score("p", 1.5, "b.png"), image_score("p", 0.1)]
    failure = ScoreFailure(ImageRecord(Path("c.png"), part="r"), "broken")
    p, q = decide(iter([*scores, failure]), threshold)
    assert (p.part, p.score, p.rejected, p.image, p.group) == ("p", 1.5, True, Path("b.png"), "g")
    assert (q.part, q.rejected) == ("q", False)  # at the threshold is not above it


@pytest.fixture
def with_fallback(bundle: Bundle) -> tuple[Bundle, Fallback]:
    rng = np.random.default_rng(0)
    _, good = bundle.embeddings("train")
    embeddings = np.concatenate([good, good + rng.random(good.shape)])
    model = fit_logistic(embeddings.astype(np.float64), np.arange(len(embeddings)) >= len(good))
    fallback = Fallback(model, scale=Scale((0.1, 0.2), (-1.0, 2.0)))
    folder = bundle.fallback_folder("0001")
    folder.mkdir(parents=True)
    fallback.save(folder)
    promise = bundle.thresholds.current().promise
    bundle.thresholds.add(Threshold(value=1.0, promise=promise, fallback="0001"))
    return bundle, fallback


def test_with_a_fallback_both_decide(with_fallback: tuple[Bundle, Fallback], records: list[ImageRecord]) -> None:
    bundle, fallback = with_fallback
    folder = bundle.fallback_folder("0001")
    # Who may read the bundle may score with it.
    assert {file.stat().st_mode & 0o666 for file in folder.iterdir()} == {folder.stat().st_mode & 0o666}
    found = list(score_records(Bundle.load(bundle.folder), records))
    second = fallback.predict(np.stack([item.embedding for item in found]))
    np.testing.assert_allclose([item.fallback_score for item in found], second)
    fused = fuse([item.score for item in found], second, fallback.scale)
    np.testing.assert_allclose([item.decision_score for item in found], fused)
    first = bundle.thresholds.get(1)
    assert next(score_records(bundle, records, threshold=first)).fallback_score is None


def test_a_fallback_that_cannot_be_used_is_a_clear_error(
    with_fallback: tuple[Bundle, Fallback], records: list[ImageRecord]
) -> None:
    bundle, fallback = with_fallback
    Fallback(fallback.classifier).save(bundle.fallback_folder("0001"))
    with pytest.raises(BundleError, match="no scale"):
        next(score_records(bundle, records))


def test_maps_are_saved_over_a_fixed_range(tmp_path: Path) -> None:
    values = np.array([[-1.0, 0.0, 0.5], [1.0, 2.0, 0.25]], dtype=np.float32)
    save_map(values, tmp_path / "maps/a.png", (0.0, 1.0))
    with Image.open(tmp_path / "maps/a.png") as image:
        assert image.mode == "L"
        assert np.asarray(image).tolist() == [[0, 0, 128], [255, 255, 64]]
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["a.png"]


def test_scoring_does_not_train(bundle: Bundle, records: list[ImageRecord], make_bundle: Callable[..., Bundle]) -> None:
    before = bundle.detector.mean.clone()
    list(score_records(bundle, records))
    assert torch.equal(bundle.detector.mean, before)
