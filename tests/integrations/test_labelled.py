"""Which verdicts a promise may rest on, and with which weights."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curation.actions import mark, send_to_inspection
from curation.labels import Found, Label, Origin, import_labels
from curation.ledger import ImageEntry, Ledger, ScoreEntry, VerdictEntry
from integrations.asking import Asking, top_up_each
from integrations.labelled import Counted, labelled_parts
from learning.errors import DataError, PromiseError
from learning.promises import escape_threshold
from learning.sampling import AUDIT_SHARE
from learning.thresholds import Promise, Threshold

PROMISE = Promise("false_reject", 0.05, 0.95, 60, "at most 5 %")


def bundle(fallback: str | None = None, learnt: tuple[Path, ...] = (), used: object = None) -> Any:
    made = [(1, None, "2026-01-01T00:00:00+00:00"), (2, fallback, "2026-03-01T00:00:00+00:00")]
    versions = [
        Threshold(version=version, value=0.5, promise=PROMISE, fallback=name, created=created)
        for version, name, created in made
    ]
    table = pd.DataFrame({"image": [str(path) for path in learnt]})
    return SimpleNamespace(
        fingerprint="model",
        folder=Path("bundle"),
        thresholds=SimpleNamespace(current=lambda: versions[-1], all=lambda: versions),
        manifest=SimpleNamespace(created="2026-02-01T00:00:00+00:00", defects=SimpleNamespace(used=used or {})),
        embeddings=lambda name: ([], np.empty((0, 2))),
        selection=table[:0],
        calibration=table,
    )


def fill(ledger: Ledger, folder: Path, parts: int, first: int = 0, version: int = 2) -> list[str]:
    """Parts of one image each; their scores are their numbers, as a share of 100."""
    entries = []
    for part in range(first, first + parts):
        path = folder / f"{part}.png"
        Image.fromarray(np.random.default_rng(part).integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
        entries.append(ImageEntry(path=path, part=str(part)))
    ids = ledger.add_images(entries)
    ledger.record_scores(
        [ScoreEntry(key, "model", version, part / 100, part / 100) for part, key in enumerate(ids, first)]
    )
    return ids


def say(ledger: Ledger, image: str, verdict: Any, ask: str | None = None, who: str = "ina", month: int = 6) -> None:
    at = f"2026-{month:02d}-01T10:00:00"
    ledger.record_verdicts([VerdictEntry(ask, image, who, verdict, at, "test", f"{image}-{who}", "1")])


def test_asked_parts_carry_their_weights_and_the_largest_that_the_design_allows(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path, 80)
        assert top_up_each(ledger, [bundle()], Asking(20)) == 20
        asks = ledger.asks()
        assert len({ask.created_at for ask in asks}) == 1
        for ask in asks[1:]:
            say(ledger, ask.image_id, "good", ask.ask_id)
        found = labelled_parts(ledger, bundle())
        assert found.unanswered == 1
        assert found.labelled.weights is not None
        weights = {round(1 / ask.inclusion_probability, 9) for ask in asks[1:]}
        assert {round(weight, 9) for weight in found.labelled.weights} == weights
        assert found.labelled.largest_weight == pytest.approx(1 / (AUDIT_SHARE * 20 / 80))
        assert not found.labelled.defective.any()
        # Those whom the first draw had passed over are left out; those that came since are not.
        new = fill(ledger, tmp_path, 10, first=90)
        assert top_up_each(ledger, [bundle()], Asking(71)) == 70
        for ask in ledger.asks(state="created"):
            say(ledger, ask.image_id, "good", ask.ask_id)
        found = labelled_parts(ledger, bundle())
        assert len(found.labelled.scores) == 20 + len(new)
        assert list(found.left_out.values()) == [60]
        assert "passed over" in next(iter(found.left_out))


def test_a_census_is_a_random_sample(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path, 8)
        top_up_each(ledger, [bundle()], Asking(8))
        for ask in ledger.asks():
            say(ledger, ask.image_id, "defect", ask.ask_id)
        assert labelled_parts(ledger, bundle()).labelled.weights is None


def test_imported_labels_count_only_as_the_random_sample_that_they_are_said_to_be(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for i, image in enumerate(fill(ledger, tmp_path, 8)):
            say(ledger, image, "defect" if i > 5 else "good")
            if i in (0, 7):
                say(ledger, image, "unsure", who="otto")
        found = labelled_parts(ledger, bundle())
        assert (len(found.labelled.scores), list(found.left_out.values())) == (0, [8])
        found = labelled_parts(ledger, bundle(), random_sample=True)
        assert found.labelled.unresolved is not None
        assert sorted(found.labelled.scores[found.labelled.unresolved]) == [0.0, 0.07]
        assert found.labelled.scores[found.labelled.defective].tolist() == [0.06]
        assert found.labelled.weights is None


def test_labels_that_were_imported_are_a_sample_only_where_the_import_said_so(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path, 4)
        found = Found([Label(image.path, "good") for image in ledger.images()])
        import_labels(ledger, found, Origin("coco", "a", "ann"), tmp_path)
        left = labelled_parts(ledger, bundle(), random_sample=True)
        assert (len(left.labelled.scores), left.left_out) == (0, {"were chosen by hand, not by a draw": 4})
    with Ledger.open(tmp_path / "other.db") as ledger:
        fill(ledger, tmp_path, 4)
        import_labels(ledger, found, Origin("coco", "a", "ann", random_sample=True), tmp_path)
        assert len(labelled_parts(ledger, bundle(), random_sample=True).labelled.scores) == 4


def test_what_taught_or_calibrated_promises_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        for i, image in enumerate(fill(ledger, tmp_path, 6)):
            say(ledger, image, "good", month=1 + i)  # January to June

        def used(**options: Any) -> int:
            return len(labelled_parts(ledger, bundle(**options), random_sample=True).labelled.scores)

        assert used() == 6
        assert used(learnt=(tmp_path / "0.png", tmp_path / "1.png")) == 4
        assert used(used={"a.png": ""}) == 5
        assert used(fallback="0001") == 4


def test_scores_under_another_fallback_do_not_count(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        fill(ledger, tmp_path, 3, version=1)
        assert labelled_parts(ledger, bundle()).labelled.n_groups() == 0
        with pytest.raises(DataError, match="no scores of bundle under its current fallback"):
            labelled_parts(ledger, bundle(fallback="0001"))


def test_what_was_chosen_by_hand_is_left_out_and_spoils_no_draw(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ids = fill(ledger, tmp_path, 80)
        sent = send_to_inspection(ledger, ids[:3]).asked
        for ask in ledger.asks():
            say(ledger, ask.image_id, "defect", ask.ask_id)
        mark(ledger, ids[3:5], "defect", "ina")
        found = labelled_parts(ledger, bundle())
        assert (len(found.labelled.scores), found.left_out) == (0, {"were chosen by hand, not by a draw": 5})
        found = labelled_parts(ledger, bundle(), random_sample=True)
        assert found.left_out == {"were chosen by hand, not by a draw": 5}
        # They can still be drawn, and what was not drawn was not passed over by them.
        assert top_up_each(ledger, [bundle()], Asking(80)) == 80
        drawn = ledger.asks(state="created")
        assert set(sent) <= {ask.image_id for ask in drawn}
        for ask in drawn:
            say(ledger, ask.image_id, "good", ask.ask_id, who="bob")
        found = labelled_parts(ledger, bundle())
        assert (len(found.labelled.scores), found.left_out) == (80, {})


def call(ledger: Ledger, image: str, kind: str | None, critical: bool | None = None, who: str = "ina") -> None:
    severity = None if critical is None else "critical" if critical else "not critical"
    ledger.record_verdicts(
        [
            VerdictEntry(
                None,
                image,
                who,
                "defect",
                "2026-06-01",
                "test",
                f"{image}-{who}",
                "1",
                defect_class=kind,
                severity=severity,
            )
        ]
    )


def test_a_promise_may_be_about_one_class_of_defects_or_critical_ones(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ids = fill(ledger, tmp_path, 90)
        for i, image in enumerate(ids):
            if i < 30:
                say(ledger, image, "good")
            else:
                call(ledger, image, "crack" if i % 2 else "stain", critical=i % 3 == 0)

        def found(**about: Any) -> Any:
            return labelled_parts(ledger, bundle(), random_sample=True, counted=Counted(**about))

        cracks = found(name="crack")
        assert sorted(round(100 * score) for score in cracks.labelled.scores[cracks.labelled.defective]) == [
            *range(31, 90, 2)
        ]
        assert (len(cracks.labelled.scores), cracks.other_defects, cracks.left_out) == (90, 30, {})
        value, promise = escape_threshold(cracks.labelled, 0.1)
        assert value == np.nextafter(0.31, 0)
        assert promise.text.startswith(
            "at most 10 % of defective parts of class 'crack' accepted, with 95 % confidence, from"
        )
        assert promise.defects == "defective parts of class 'crack'"
        with pytest.raises(PromiseError, match="takes 59 independent defective parts of class 'crack'; there are 30"):
            escape_threshold(cracks.labelled, 0.05)
        critical = found(critical=True)
        assert (int(critical.labelled.defective.sum()), critical.other_defects) == (20, 40)
        assert critical.labelled.kind == "critically defective parts"
        both = found(name="crack", critical=True)
        assert int(both.labelled.defective.sum()) == 10
        with pytest.raises(DataError, match="names the class 'crak'; named are: crack, stain"):
            found(name="crak")


def test_what_nobody_has_named_or_named_with_one_voice_may_be_of_the_class(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ids = fill(ledger, tmp_path, 4)
        call(ledger, ids[0], "crack")
        call(ledger, ids[1], None)
        call(ledger, ids[2], "stain")
        call(ledger, ids[2], "crack", who="otto")
        call(ledger, ids[3], "stain", critical=False)
        found = labelled_parts(ledger, bundle(), True, Counted("crack"))
        labelled = dict(
            zip(
                found.labelled.scores,
                zip(found.labelled.defective, found.labelled.unresolved, strict=True),
                strict=True,
            )
        )
        assert {score: tuple(map(bool, said)) for score, said in labelled.items()} == {
            0.0: (True, False),
            0.01: (False, True),
            0.02: (False, True),
            0.03: (False, False),
        }
        assert found.other_defects == 1
        # Whether a crack is critical nobody says of the first; that stains are not is said.
        found = labelled_parts(ledger, bundle(), True, Counted("crack", critical=True))
        assert found.labelled.unresolved is not None
        assert sorted(found.labelled.scores[found.labelled.unresolved]) == [0.0, 0.01, 0.02]
