import numpy as np
import pytest

from curation.actions import mark
from curation.errors import LedgerError
from curation.ledger import Ledger
from curation.likeness import Seen, nearest_other, usual_of
from curation.lookalikes import nearest_known, why_decided
from tests.curation.exposures_ledger import PARTS, ids, ledger  # noqa: F401


def test_good_parts_differ_by_as_much_in_every_direction_once_whitened() -> None:
    rng = np.random.default_rng(0)
    scales = np.geomspace(0.01, 100, 12)
    good = rng.normal(size=(4000, 12)) * scales + 50
    usual = usual_of(good)
    white = (good - usual.mean) @ usual.whitening
    # Shrinkage towards the mean variance leaves the smallest directions smaller.
    assert white[:, -1].std() == pytest.approx(1, rel=0.05)
    assert np.abs(np.corrcoef(white.T) - np.eye(12)).max() < 0.1
    assert np.linalg.norm(usual.unusual(good), axis=1) == pytest.approx(1, abs=1e-5)


def test_under_twenty_good_parts_embeddings_are_left_as_they_are() -> None:
    good = np.random.default_rng(0).normal(size=(19, 4)).astype(np.float32) + 10
    assert np.allclose(usual_of(good).unusual(good), good / np.linalg.norm(good, axis=1, keepdims=True))


def test_the_nearest_is_of_another_group() -> None:
    first = np.array([[1.0, 0.0], [0.0, 1.0]])
    second = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    rows, away = nearest_other(first, second, np.array(["a", "b"]), np.array(["a", "c", "b"]))
    assert (rows.tolist(), away.tolist()) == ([1, 1], pytest.approx([0.4, 0.2]))
    assert np.isinf(nearest_other(first[:1], second[:1], np.array(["a"]), np.array(["a"]))[1]).all()


def test_why_and_the_task_page_know_the_same_neighbours(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    bad = ids[2 * PARTS :]
    mark(ledger, [*ids[:80:2], ids[1]], "good", "ann")
    mark(ledger, bad[:20], "defect", "ann")
    near = nearest_known(ledger, [ids[0], bad[40]], "m")
    for key, (good, defect) in near.items():
        reasons = why_decided(ledger, key)
        assert good is not None
        assert defect is not None
        assert reasons.good is not None
        assert reasons.defect is not None
        assert (reasons.good.image_id, reasons.defect.image_id) == (good.image_id, defect.image_id)
    good, _ = near[ids[0]]
    assert good is not None
    # Its other exposure has a verdict, and is the same part.
    assert good.image_id != ids[1]


def test_words_are_said_where_the_difference_means_something(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    bad = ids[2 * PARTS :]
    mark(ledger, ids[: 2 * PARTS : 4], "good", "ann")
    mark(ledger, bad[:10], "defect", "ann")
    assert "too few images have a verdict" in why_decided(ledger, bad[40]).text
    mark(ledger, bad[10:30], "defect", "ann")
    reasons = why_decided(ledger, bad[40])
    assert reasons.good is not None
    assert reasons.defect is not None
    # Raw cosines of these differ by less than 0.001.
    assert reasons.good.distance - reasons.defect.distance > 0.2
    assert reasons.leaning is not None
    assert (reasons.leaning.towards, reasons.leaning.agreed) == ("defect", reasons.leaning.judged)
    assert "it looks more like the confirmed defect" in reasons.text
    assert "it looks more like the good part" in why_decided(ledger, ids[2]).text


def test_verdicts_that_contradict_each_other_say_little(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    bad = ids[2 * PARTS :]
    mark(ledger, [*ids[: 2 * PARTS : 4], *bad[:40:4], *bad[1:40:4]], "good", "ann")
    mark(ledger, [*ids[2 : 2 * PARTS : 4], *bad[2:40:4], *bad[3:40:4]], "defect", "ann")
    text = why_decided(ledger, bad[50]).text
    assert "says little" in text
    assert "it looks more like" not in text


def test_embeddings_of_some_are_taken_from_the_files_that_hold_the_latest(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    place = ledger.embedded("m")
    _, before = ledger.embeddings("m")
    assert np.array_equal(place.take([ids[7], ids[3]]), before[[7, 3]])
    newer = before[[3, 5]] + 1
    path = ledger.images()[0].path.parent / "newer.npy"
    np.save(path, newer)
    ledger.record_embeddings("m", path, [ids[3], ids[5]])
    assert np.array_equal(ledger.embedded("m").take([ids[5], ids[7], ids[3]]), [newer[1], before[7], newer[0]])
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(LedgerError, match="were changed"):
        Seen(ledger, "m")
