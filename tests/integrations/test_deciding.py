"""Scores of a ledger under thresholds that shift them differently are compared on one scale only."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.drift.reading import read_stream
from curation.ledger import ImageEntry, Ledger, SetMember
from integrations import succession
from integrations.asking import Asking, top_up_each
from integrations.challengers import origins_known, record_of
from integrations.deciding import comparable_scores, decision_scores
from integrations.labelled import labelled_parts
from integrations.recording import record_model, score_images
from integrations.shadow import run_shadow
from learning.bundle import Bundle
from learning.challenge import ChallengeConfig
from learning.challenge.sitting import Confirmed as Judged
from learning.errors import DataError
from learning.fusion import Scale, fuse
from learning.images.records import ImageRecord
from learning.supervised.fallback import Fallback
from learning.supervised.linear import fit_logistic
from learning.thresholds import OriginLimit, Origins, Threshold
from tests.integrations.test_labelled import say
from tests.learning.conftest import data, make_bundle, stub

__all__ = ["data", "make_bundle", "stub"]

CAMERAS = ("left", "right", None)


@pytest.fixture
def bundle(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle()


@pytest.fixture
def records(tmp_path: Path) -> list[ImageRecord]:
    rng = np.random.default_rng(3)
    (tmp_path / "line").mkdir()
    found = []
    for i in range(9):
        path = tmp_path / "line" / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8)).save(path)
        found.append(ImageRecord(path, camera=CAMERAS[i % 3]))
    return found


def with_origins(bundle: Bundle, fallback: str | None = None, **own: float) -> Threshold:
    promise = bundle.thresholds.get(1).promise
    limits = {name: OriginLimit(value, promise) for name, value in own.items()}
    version = bundle.thresholds.add(
        Threshold(
            value=max(own.values()),
            promise=promise,
            fallback=fallback,
            origins=Origins("camera", limits, {}, "each by itself"),
        )
    )
    return bundle.thresholds.get(version)


def test_a_ledger_with_several_versions_is_read_on_one_scale(
    bundle: Bundle, records: list[ImageRecord], tmp_path: Path
) -> None:
    with Ledger.open(tmp_path / "l.db") as ledger:
        raw = {one.image: one.score for one in score_images(bundle, records, ledger=ledger, home=tmp_path).scored}
        with_origins(bundle, left=0.1, right=0.7)
        score_images(bundle, records[:6], ledger=ledger, home=tmp_path)
        now = with_origins(bundle, left=0.9, right=0.2)
        score_images(bundle, records[:3], ledger=ledger, home=tmp_path)
        images = {image.image_id: image for image in ledger.images()}
        rows = ledger.scores(model_id=bundle.fingerprint)
        # As recorded they are on three scales.
        assert {row.threshold_version for row in rows} == {1, 2, 3}
        found = comparable_scores(ledger, bundle, rows, images, now)
        expected = {r.path: now.shifted(raw[r.path], r) for r in records}
        assert {images[key].path: score for key, score in found.items()} == pytest.approx(expected, abs=1e-12)
        one_value = now.model_copy(update={"origins": None})
        found = decision_scores(bundle, rows, images, one_value)
        assert {images[key].path: score for key, score in found.items()} == raw
        # Questions are drawn by them, and a promise by verdicts is about one value for all.
        assert top_up_each(ledger, [bundle], Asking(9)) == 9
        for ask in ledger.asks():
            say(ledger, ask.image_id, "good", ask.ask_id)
        assert sorted(labelled_parts(ledger, bundle).labelled.scores) == sorted(raw.values())
        (row,) = [row for row in ledger.thresholds(bundle.fingerprint) if row.version == 3]
        assert row.origins == now.origins
        assert read_stream(ledger, "left", bundle.fingerprint).limit == bundle.thresholds.get(1).value


def test_scores_of_another_fallback_are_not_compared_with_shifted_ones(
    bundle: Bundle, records: list[ImageRecord], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    _, good = bundle.embeddings("train")
    embeddings = np.concatenate([good, good + rng.random(good.shape)]).astype(np.float64)
    fallback = Fallback(
        fit_logistic(embeddings, np.arange(len(embeddings)) >= len(good)), scale=Scale((0.1, 0.2), (-1, 2))
    )
    with Ledger.open(tmp_path / "l.db") as ledger:
        with_origins(bundle, left=0.1, right=0.7)
        score_images(bundle, records, ledger=ledger, home=tmp_path)
        bundle.fallback_folder("0001").mkdir(parents=True)
        fallback.save(bundle.fallback_folder("0001"))
        promise = bundle.thresholds.current().promise
        bundle.thresholds.add(Threshold(value=1.0, promise=promise, fallback="0001"))
        with pytest.raises(DataError, match=r"run flawsmith score .* again"):
            top_up_each(ledger, [bundle], Asking(9))
        plain = score_images(bundle, records, ledger=ledger, home=tmp_path).scored
        now = with_origins(bundle, "0001", left=0.5, right=2.0)
        shifted = score_images(bundle, records, ledger=ledger, home=tmp_path).scored
        scale = fallback.scale
        assert scale is not None
        for before, after, record in zip(plain, shifted, records, strict=True):
            both = fuse([before.score], [before.fallback_score or 0.0], scale)[0]
            assert (before.decision_score, after.decision_score) == (both, now.shifted(float(both), record))
        images = {image.image_id: image for image in ledger.images()}
        rows = ledger.scores(model_id=bundle.fingerprint)
        found = decision_scores(bundle, rows, images, now.model_copy(update={"origins": None}))
        assert sorted(found.values()) == pytest.approx(sorted(one.decision_score for one in plain), abs=0)


def test_the_ledger_says_where_an_image_is_from(bundle: Bundle, records: list[ImageRecord], tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "l.db") as ledger:
        nowhere = [ImageRecord(record.path) for record in records]
        score_images(bundle, nowhere, ledger=ledger, home=tmp_path)
        assert {image.camera for image in ledger.images()} == {None}
        # What is told later is taken up, and from then on need not be told again.
        with_origins(bundle, left=-1e9, right=1e9)
        told = score_images(bundle, records, ledger=ledger, home=tmp_path)
        assert [one.decision for one in told.scored] == ["reject", "accept", "accept"] * 3
        assert told.shared == 3
        assert {image.path: image.camera for image in ledger.images()} == {r.path: r.camera for r in records}
        with_origins(bundle, left=-1e9, right=2e9)
        again = score_images(bundle, nowhere, ledger=ledger, home=tmp_path)
        assert [one.decision for one in again.scored] == [one.decision for one in told.scored]
        with pytest.raises(DataError, match="is of camera left in the ledger and of camera right here"):
            score_images(bundle, [ImageRecord(records[0].path, camera="right")], ledger=ledger, home=tmp_path)
        with pytest.raises(DataError, match="is of an unknown camera in the ledger and of camera left here"):
            score_images(bundle, [ImageRecord(records[2].path, camera="left")], ledger=ledger, home=tmp_path)


def test_a_challenger_in_the_shadow_shifts_by_what_the_ledger_knows(
    bundle: Bundle,
    make_bundle: Callable[..., Bundle],
    records: list[ImageRecord],
    tmp_path: Path,
) -> None:
    challenger = make_bundle(tmp_path / "challenger", gain=2.0)
    with_origins(challenger, left=-1e9, right=1e9)
    with Ledger.open(tmp_path / "l.db") as ledger:
        record_model(ledger, bundle)
        ledger.add_images([ImageEntry(path=record.path, camera=record.camera) for record in records])
        nowhere = [ImageRecord(record.path) for record in records]
        decided = score_images(bundle, nowhere, ledger=ledger, home=tmp_path)
        run_shadow(ledger, bundle, challenger, nowhere, decided)
        images = {image.image_id: image.camera for image in ledger.images()}
        said = {(images[row.image_id], row.challenger_decision) for row in ledger.shadow(challenger.fingerprint)}
        assert said == {("left", "reject"), ("right", "accept"), (None, "accept")}


def test_challengers_are_trained_and_judged_at_the_cameras_that_are_known(
    records: list[ImageRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(tmp_path / "l.db") as ledger:
        ids = ledger.add_images([ImageEntry(path=r.path, camera=r.camera, lot="spring") for r in records])
        members = [
            SetMember(key, r.path.resolve(), r.part, r.group, "good") for key, r in zip(ids, records, strict=True)
        ]
        seen: list[Judged] = []
        monkeypatch.setattr(succession, "sit", lambda champion, challenger, images, progress: seen.extend(images))
        monkeypatch.setattr(succession, "judge", lambda *args: None)
        rules = ChallengeConfig(margins={})
        succession.judge_challenger(ledger, None, None, members, rules)  # type: ignore[arg-type]
        assert [(one.path, one.camera, one.lot) for one in seen] == [
            (m.path, r.camera, "spring") for m, r in zip(members, records, strict=True)
        ]
        # A table of the data set says it later than the ledger.
        known = origins_known(ledger, [ImageRecord(records[0].path, camera="top")])
        made = [record_of(member, known) for member in members]
        assert [one.camera for one in made] == ["top", *(r.camera for r in records[1:])]
        assert {one.lot for one in made} == {"spring"}
