"""Near twins are proposed, and nothing is written."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.actions import mark
from curation.by_choice import make_version
from curation.errors import LedgerError
from curation.ledger import ImageEntry, Ledger, ScoreEntry
from curation.set_versions import compare
from curation.spreading import propose_twins
from learning.errors import DataError

PARTS = 60


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Sixty parts with two exposures each; exposures of a part lie near each other, parts far apart."""
    rng = np.random.default_rng(0)
    entries, vectors = [], []
    for part in range(PARTS):
        centre = rng.normal(size=24)
        for exposure in range(2):
            path = tmp_path / f"{part}-{exposure}.png"
            Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(path)
            entries.append(ImageEntry(path, part=f"part {part} {exposure}", group=f"part {part}"))
            vectors.append(centre + rng.normal(0, 0.05, 24) + 30)
    with Ledger.open(tmp_path / "ledger.db") as opened:
        ids = opened.add_images(entries)
        opened.record_scores([ScoreEntry(key, "m", 1, 0.5, 0.5) for key in ids])
        np.save(tmp_path / "embeddings.npy", np.array(vectors, dtype=np.float32))
        opened.record_embeddings("m", tmp_path / "embeddings.npy", ids)
        yield opened


@pytest.fixture
def ids(ledger: Ledger) -> list[str]:
    return [image.image_id for image in ledger.images()]


def test_the_other_exposure_is_a_twin_and_strangers_are_not(ledger: Ledger, ids: list[str]) -> None:
    found = 0
    for part in range(0, PARTS, 3):
        mark(ledger, [ids[2 * part]], "defect", "ann")
        proposal = propose_twins(ledger, ids[2 * part])
        assert proposal.verdict == "defect"
        assert {one.image_id for one in proposal.twins} <= {ids[2 * part + 1]}
        found += len(proposal.twins)
    # Half of the exposures are nearer than the limit, by its making.
    assert 5 <= found <= 18
    assert len(ledger.verdicts()) == 20
    assert ledger.tags() == []


def test_a_distance_can_be_given_and_what_is_judged_is_left_out(ledger: Ledger, ids: list[str]) -> None:
    mark(ledger, [ids[0]], "good", "ann")
    assert [one.image_id for one in propose_twins(ledger, ids[0], distance=0.3).twins] == [ids[1]]
    everything = propose_twins(ledger, ids[0], distance=2.0, most=7)
    assert (len(everything.twins), everything.judged) == (7, 0)
    mark(ledger, [ids[1]], "defect", "ann")
    proposal = propose_twins(ledger, ids[0], distance=0.3)
    assert (proposal.twins, proposal.judged) == ((), 1)
    assert "Nothing was written" in proposal.text


def test_there_must_be_something_to_spread(ledger: Ledger, ids: list[str], tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="nobody has said anything"):
        propose_twins(ledger, ids[0])
    mark(ledger, ids[:1], "good", "ann")
    mark(ledger, ids[:1], "defect", "bob")
    with pytest.raises(LedgerError, match="do not agree"):
        propose_twins(ledger, ids[0])
    (tmp_path / "new.png").write_bytes((tmp_path / "0-0.png").read_bytes() + b" ")
    (new,) = ledger.add_images([ImageEntry(tmp_path / "new.png")])
    mark(ledger, [new], "good", "ann")
    with pytest.raises(LedgerError, match="no model has scored"):
        propose_twins(ledger, new)


def test_versions_hold_what_is_confirmed_and_can_be_compared(ledger: Ledger, ids: list[str]) -> None:
    mark(ledger, ids[:4], "good", "ann")
    mark(ledger, ids[4:6], "defect", "ann")
    mark(ledger, ids[5:6], "good", "bob")
    first = make_version(ledger, "spring", ids[:8], "a selection", who="ann", note="as delivered")
    assert (first.good, first.defective, first.unjudged, first.unresolved, first.assumed) == (4, 1, 2, 1, 0)
    assert "left out: 2 without a verdict, 1 unresolved" in first.text
    assert make_version(ledger, "spring", ids[:8], "a selection", who="ann").row == first.row
    whole = make_version(ledger, "summer", assume_good=True)
    assert (whole.good, whole.defective, whole.assumed) == (4 + 2 * PARTS - 6, 1, 2 * PARTS - 6)
    assert whole.row.parent == "spring"
    found = compare(ledger.set_version("spring"), ledger.set_version("summer"))
    assert (len(found.added), len(found.removed), found.unchanged) == (2 * PARTS - 6, 0, 5)
    mark(ledger, ids[:1], "defect", "ann")
    with pytest.raises(LedgerError, match="choose another name"):
        make_version(ledger, "spring", ids[:8])


def test_what_somebody_vouches_for_as_a_defect_is_not_taken_as_good(ledger: Ledger, ids: list[str]) -> None:
    ledger.set_gold_items([ids[0]], "defect", "ann")
    ledger.set_gold_items([ids[1]], "good", "ann")
    version = make_version(ledger, "spring", ids[:3], assume_good=True)
    assert (version.good, version.defective, version.assumed, version.unresolved) == (2, 0, 2, 1)
    assert ids[0] not in {member.image_id for member in ledger.set_version("spring").members}


def test_versions_that_cannot_be_are_refused(ledger: Ledger, ids: list[str], tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="needs a name"):
        make_version(ledger, "  ")
    with pytest.raises(LedgerError, match="nothing to train on"):
        make_version(ledger, "empty")
    with pytest.raises(LedgerError, match="no image"):
        make_version(ledger, "strange", ["0" * 32])
    mark(ledger, ids[:1], "good", "ann")
    (tmp_path / "0-0.png").write_bytes(b"changed")
    with pytest.raises(DataError, match="was changed"):
        make_version(ledger, "changed", ids[:1])
    assert ledger.sets() == []
