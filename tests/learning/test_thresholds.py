"""Promises hold, by simulation and by the formula, and versions are never lost."""

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest

from learning.errors import BundleError, ConfigError, PromiseError
from learning.sealed import read_sealed, seal, write_sealed
from learning.thresholds import (
    Promise,
    Threshold,
    ThresholdStore,
    conformal_threshold,
    false_reject_bound,
    needed_groups,
    percent,
    smallest_promise,
    smallest_promise_threshold,
)

DRAWS = 2000
SLACK = 3 * np.sqrt(0.05 * 0.95 / DRAWS)


@pytest.mark.parametrize(
    ("limit", "confidence", "needed"),
    [(0.01, 0.95, 299), (0.001, 0.95, 2995), (0.05, 0.95, 59), (0.01, 0.99, 459), (0.5, 0.5, 1), (0.1, 0.9, 22)],
)
def test_needed_groups(limit: float, confidence: float, needed: int) -> None:
    assert needed_groups(limit, confidence) == needed
    assert (1 - limit) ** needed <= (1 - confidence) * (1 + 1e-12)
    assert (1 - limit) ** (needed - 1) > 1 - confidence


@pytest.mark.parametrize(("groups", "text"), [(299, "1 %"), (90, "3.28 %"), (20, "13.92 %"), (18, "15.34 %")])
def test_smallest_promise(groups: int, text: str) -> None:
    assert percent(smallest_promise(groups)) == text
    assert (1 - smallest_promise(groups)) ** groups == pytest.approx(0.05)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_groups_carry_the_smallest_promise_that_they_carry(confidence: float) -> None:
    for groups in [*range(1, 400), 2995, 50_000]:
        limit = smallest_promise(groups, confidence)
        assert needed_groups(limit, confidence) == groups
    value, promise = conformal_threshold(np.arange(90), smallest_promise(90, confidence), confidence)
    assert (value, promise.limit) == (89, smallest_promise(90, confidence))


def test_one_percent_takes_299_groups_and_says_how_many_more() -> None:
    with pytest.raises(PromiseError, match=r"takes 299 .* there are 298.*add 1 more") as refused:
        conformal_threshold(np.arange(298), 0.01)
    assert (refused.value.needed, refused.value.available) == (299, 298)
    value, promise = conformal_threshold(np.arange(299), 0.01)
    assert value == 298
    assert promise == Promise(
        "false_reject",
        0.01,
        0.95,
        299,
        "at most 1 % of good parts rejected, with 95 % confidence, from 299 independent calibration groups",
    )


def test_with_no_groups_all_are_missing() -> None:
    with pytest.raises(PromiseError, match="there are 0: add 59 more"):
        conformal_threshold([], 0.05)
    with pytest.raises(PromiseError, match="at least 1"):
        smallest_promise_threshold([])


@pytest.mark.parametrize("n", [59, 60, 92, 93, 124, 300, 1000])
def test_the_rank_is_the_largest_that_keeps_the_promise(n: int) -> None:
    value, _ = conformal_threshold(np.arange(n), 0.05)
    above = n - 1 - int(value)  # scores above the threshold
    # Exceeding it with above of n: the exact upper bound keeps the limit, with one more it does not.
    assert binomtest(above, n).proportion_ci(0.9, "exact").high <= 0.05
    assert binomtest(above + 1, n).proportion_ci(0.9, "exact").high > 0.05


@pytest.mark.parametrize(("n", "limit"), [(59, 0.05), (100, 0.05), (250, 0.05), (60, 0.1), (200, 0.1)])
def test_the_promise_holds_as_often_as_it_says(n: int, limit: float) -> None:
    rng = np.random.default_rng(n)
    broken = sum(1 - conformal_threshold(rng.random(n), limit)[0] > limit for _ in range(DRAWS)) / DRAWS
    assert broken <= 0.05 + SLACK


@pytest.mark.parametrize("levels", [5, 30])
def test_the_promise_holds_with_ties(levels: int) -> None:
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(DRAWS):
        value, _ = conformal_threshold(rng.integers(0, levels, 100), 0.05)
        broken += (levels - 1 - value) / levels > 0.05  # probability of a new score above the value
    assert broken / DRAWS <= 0.05 + SLACK


def test_the_smallest_promise_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    found = [smallest_promise_threshold(rng.random(18)) for _ in range(DRAWS)]
    broken = np.mean([1 - value > promise.limit for value, promise in found])
    assert abs(broken - 0.05) <= SLACK


def test_the_bound_at_a_value_chosen_elsewhere_holds() -> None:
    rng = np.random.default_rng(0)
    broken = np.mean([false_reject_bound(rng.random(80), 0.9).limit < 0.1 for _ in range(DRAWS)])
    assert broken <= 0.05 + SLACK
    assert false_reject_bound(np.arange(20), 30).limit == pytest.approx(smallest_promise(20))
    assert false_reject_bound(np.arange(20), -1).limit == 1
    theirs = binomtest(3, 20, alternative="less").proportion_ci(0.95, "exact").high
    assert false_reject_bound(np.arange(20), 16).limit == pytest.approx(theirs)


@pytest.mark.parametrize(("limit", "confidence"), [(0, 0.95), (1, 0.95), (0.1, 0), (0.1, 1), (-1, 0.95), (0.1, 95)])
def test_shares_out_of_range_are_refused(limit: float, confidence: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        conformal_threshold(np.arange(500), limit, confidence)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        conformal_threshold([0.1, float("nan")], 0.5)


def test_percent_never_promises_more_than_holds() -> None:
    assert [percent(x) for x in (0.01, 0.012341, 0.95, 0.999, 0.03)] == ["1 %", "1.24 %", "95 %", "99.9 %", "3 %"]


def threshold(value: float = 1.5, **others: object) -> Threshold:
    return Threshold(value=value, promise=false_reject_bound(np.arange(20), 18), reason="a test", **others)


def test_versions_are_kept_and_name_their_parents(tmp_path: Path) -> None:
    store = ThresholdStore(tmp_path / "thresholds")
    assert [store.add(threshold(v)) for v in (1.0, 2.0)] == [1, 2]
    store.use(1)
    assert store.current().value == 1.0
    assert store.add(threshold(3.0, fallback="f-1")) == 3
    assert [(t.version, t.parent, t.value) for t in store.all()] == [(1, None, 1.0), (2, 1, 2.0), (3, 1, 3.0)]
    assert store.current() == ThresholdStore(store.folder).get(3)
    assert store.current().promise == threshold().promise
    assert not [file.name for file in store.folder.iterdir() if file.name.startswith(".")]
    with pytest.raises(BundleError, match="no threshold 9; there are: 1, 2, 3"):
        store.use(9)


def test_every_changed_byte_of_a_threshold_matters(tmp_path: Path) -> None:
    store = ThresholdStore(tmp_path)
    store.add(threshold(1.0))
    store.add(threshold(2.0))
    for file in (tmp_path / "0002.json", tmp_path / "current.json"):
        good = file.read_bytes()
        for at in range(0, len(good), 3):
            if good[at : at + 1].isspace():
                continue
            file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            with pytest.raises(BundleError):
                store.current()
        file.write_bytes(good)
    assert store.current().value == 2.0


def test_missing_and_foreign_files_are_clear_errors(tmp_path: Path) -> None:
    store = ThresholdStore(tmp_path / "none")
    with pytest.raises(BundleError, match="missing"):
        store.current()
    store.add(threshold())
    (store.folder / "0001.json").rename(store.folder / "0002.json")
    with pytest.raises(BundleError, match="no threshold 1"):
        store.current()
    with pytest.raises(BundleError, match="holds version 1"):
        store.get(2)


def test_a_kill_before_a_version_is_made_current_leaves_the_old_one(tmp_path: Path, monkeypatch) -> None:
    store = ThresholdStore(tmp_path)
    store.add(threshold(1.0))
    with monkeypatch.context() as patch:
        patch.setattr(ThresholdStore, "use", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            store.add(threshold(2.0))
    assert store.current().value == 1.0
    assert store.add(threshold(3.0)) == 3


def test_thresholds_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    store = ThresholdStore(tmp_path)
    store.add(threshold())
    # As it was written before promises stated a reading error and thresholds a review zone.
    content = read_sealed(tmp_path / "0001.json")
    del content["review_up_to"], content["review_promise"], content["promise"]["reading_error"]
    write_sealed(tmp_path / "0001.json", content)
    write_sealed(tmp_path / "current.json", {"version": 1, "threshold": seal(content)})
    assert store.current().promise == threshold().promise
    assert store.add(threshold(2.0)) == 2
    store.use(1)
    assert store.current().value == 1.5


def test_a_person_decides_between_two_thresholds() -> None:
    zone = threshold(review_up_to=2.0)
    assert [zone.needs_review(score) for score in (1.5, 1.6, 2.0, 2.1)] == [False, True, True, False]
    assert not threshold().needs_review(1.6)


def _add_ten(folder: Path) -> None:
    for _ in range(10):
        ThresholdStore(folder).add(threshold())


def test_processes_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    processes = [multiprocessing.get_context("fork").Process(target=_add_ten, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [t.version for t in ThresholdStore(tmp_path).all()] == list(range(1, 31))
    assert ThresholdStore(tmp_path).current().version == 30


def test_of_two_that_add_at_once_the_newer_is_current_where_the_older_is_slower(tmp_path: Path, monkeypatch) -> None:
    use, slower, quicker = ThresholdStore.use, ThresholdStore(tmp_path), ThresholdStore(tmp_path)

    def overtaken(store: ThresholdStore, version: int) -> None:
        if store is slower and version == 2:
            assert quicker.add(threshold(3.0)) == 3
        use(store, version)

    slower.add(threshold(1.0))
    monkeypatch.setattr(ThresholdStore, "use", overtaken)
    assert slower.add(threshold(2.0)) == 2
    assert (slower.current().version, slower.current().value) == (3, 3.0)


@pytest.mark.parametrize("wrong", [{"value": float("inf")}, {"fallback": "../../x"}, {"valeu": 1}])
def test_wrong_thresholds_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        Threshold.model_validate({**threshold().model_dump(), **wrong})


def test_files_can_be_read_by_people(tmp_path: Path) -> None:
    ThresholdStore(tmp_path).add(threshold())
    content = json.loads((tmp_path / "0001.json").read_text())
    assert content["promise"]["text"].startswith("at most")
    assert content["value"] == 1.5
