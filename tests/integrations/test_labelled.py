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
from integrations.labelled import labelled_parts
from learning.errors import DataError
from learning.sampling import AUDIT_SHARE


def bundle(fallback: str | None = None, learnt: tuple[Path, ...] = (), used: object = None) -> Any:
    versions = [
        SimpleNamespace(value=0.5, version=1, fallback=None, created="2026-01-01T00:00:00+00:00"),
        SimpleNamespace(value=0.5, version=2, fallback=fallback, created="2026-03-01T00:00:00+00:00"),
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
