"""Near twins are proposed, and nothing is written."""

import re
from pathlib import Path

import numpy as np
import pytest

from curation.actions import mark
from curation.by_choice import make_version
from curation.errors import LedgerError
from curation.ledger import ImageEntry, Ledger
from curation.likeness import Seen
from curation.set_versions import compare
from curation.spreading import limit_of, propose_twins
from learning.errors import DataError
from tests.curation.exposures_ledger import DEFECTS, PARTS, ids, ledger  # noqa: F401


def test_exposures_are_near_twins_by_what_unrelated_images_are_from_each_other(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    good = ids[: 2 * PARTS : 6]
    mark(ledger, good, "good", "ann")
    proposal = propose_twins(ledger, good)
    assert (proposal.verdict, proposal.judged, proposal.contested) == ("good", 0, 0)
    assert {one.image_id for one in proposal.twins} <= set(ids[1 : 2 * PARTS : 6])
    assert len(proposal.twins) >= 18
    assert "only 1 in 20 images has one of another group so near" in proposal.text
    assert f"{len(proposal.twins)} near twins without a verdict, of 20 images that are good" in proposal.text
    assert len(ledger.verdicts()) == len(good)
    assert ledger.tags() == []


def test_verdicts_say_how_far_twins_may_be(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    bad = ids[2 * PARTS :]
    mark(ledger, ids[: 2 * PARTS : 4], "good", "ann")
    mark(ledger, bad[:4], "defect", "ann")
    few = propose_twins(ledger, bad[:4])
    mark(ledger, bad[4:30], "defect", "ann")
    known = propose_twins(ledger, bad[:4])
    assert known.limit.distance > few.limit.distance
    # Counted are images whose nearest one with a verdict is that near, and those of them that it is wrong about.
    counted, wrong = map(int, re.findall(r"of (\d+) images whose .* so near, (\d+) are not", known.limit.text)[0])
    assert 20 <= counted <= 30
    assert wrong == 0
    # How sure that is: the upper end of the exact interval, of 20 to 30 without an error.
    (most,) = map(int, re.findall(r"up to (\d+) % of those proposed may be otherwise", known.limit.text))
    assert 11 <= most <= 17
    assert len(known.twins) > len(few.twins)
    assert {one.image_id for one in known.twins} <= set(bad[30:])
    assert [one.distance for one in known.twins] == sorted(one.distance for one in known.twins)


def test_verdicts_that_contradict_each_other_give_no_limit(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    seen = Seen(ledger, "m")
    rng = np.random.default_rng(1)
    tossed = np.where(rng.random(len(ids)) < 0.5, "good", "defect")
    limit = limit_of(seen.unusual(ids), seen.groups_of(ids), tossed, "defect")
    assert "only 1 in 20" in limit.text


def test_what_is_nearer_to_the_other_verdict_is_left_out(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    mark(ledger, ids[:1], "defect", "ann")
    mark(ledger, ids[2:3], "good", "ann")
    proposal = propose_twins(ledger, ids[:1], distance=2.0)
    assert ids[1] in {one.image_id for one in proposal.twins}
    assert ids[3] not in {one.image_id for one in proposal.twins}
    assert proposal.contested + len(proposal.twins) == len(ids) - 2


def test_a_distance_can_be_given_and_what_is_judged_is_left_out(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    mark(ledger, ids[:1], "good", "ann")
    assert [one.image_id for one in propose_twins(ledger, ids[:1], distance=0.1).twins] == [ids[1]]
    everything = propose_twins(ledger, ids[:1], distance=2.0, most=7)
    assert (len(everything.twins), everything.judged) == (7, 0)
    mark(ledger, ids[1:2], "defect", "ann")
    proposal = propose_twins(ledger, ids[:1], distance=0.1)
    assert (proposal.twins, proposal.judged) == ((), 1)
    assert proposal.text.startswith("no near twin without a verdict")
    assert "Nothing was written" in proposal.text


def test_one_verdict_is_spread_at_a_time(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    mark(ledger, ids[:2], "good", "ann")
    mark(ledger, ids[2:3], "defect", "ann")
    with pytest.raises(LedgerError, match="2 of these are good and 1 defective"):
        propose_twins(ledger, ids[:3])
    with pytest.raises(LedgerError, match="nobody has said anything"):
        propose_twins(ledger, [ids[0], ids[5]])


def test_there_must_be_something_to_spread(ledger: Ledger, ids: list[str], tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(LedgerError, match="nobody has said anything"):
        propose_twins(ledger, ids[:1])
    mark(ledger, ids[:1], "good", "ann")
    mark(ledger, ids[:1], "defect", "bob")
    with pytest.raises(LedgerError, match="do not agree"):
        propose_twins(ledger, ids[:1])
    (tmp_path / "new.png").write_bytes((tmp_path / "0-0.png").read_bytes() + b" ")
    (new,) = ledger.add_images([ImageEntry(tmp_path / "new.png")])
    mark(ledger, [new], "good", "ann")
    with pytest.raises(LedgerError, match="no model has scored"):
        propose_twins(ledger, [new])


def test_versions_hold_what_is_confirmed_and_can_be_compared(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    mark(ledger, ids[:4], "good", "ann")
    mark(ledger, ids[4:6], "defect", "ann")
    mark(ledger, ids[5:6], "good", "bob")
    first = make_version(ledger, "spring", ids[:8], "a selection", who="ann", note="as delivered")
    assert (first.good, first.defective, first.unjudged, first.unresolved, first.assumed) == (4, 1, 2, 1, 0)
    assert "left out: 2 without a verdict, 1 unresolved" in first.text
    assert make_version(ledger, "spring", ids[:8], "a selection", who="ann").row == first.row
    whole = make_version(ledger, "summer", assume_good=True)
    assert (whole.good, whole.defective, whole.assumed) == (4 + 2 * PARTS + DEFECTS - 6, 1, 2 * PARTS + DEFECTS - 6)
    assert whole.row.parent == "spring"
    found = compare(ledger.set_version("spring"), ledger.set_version("summer"))
    assert (len(found.added), len(found.removed), found.unchanged) == (2 * PARTS + DEFECTS - 6, 0, 5)
    mark(ledger, ids[:1], "defect", "ann")
    with pytest.raises(LedgerError, match="choose another name"):
        make_version(ledger, "spring", ids[:8])


def test_what_somebody_vouches_for_as_a_defect_is_not_taken_as_good(ledger: Ledger, ids: list[str]) -> None:  # noqa: F811
    ledger.set_gold_items([ids[0]], "defect", "ann")
    ledger.set_gold_items([ids[1]], "good", "ann")
    version = make_version(ledger, "spring", ids[:3], assume_good=True)
    assert (version.good, version.defective, version.assumed, version.unresolved) == (2, 0, 2, 1)
    assert ids[0] not in {member.image_id for member in ledger.set_version("spring").members}


def test_versions_that_cannot_be_are_refused(ledger: Ledger, ids: list[str], tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(LedgerError, match="needs a name"):
        make_version(ledger, "  ")
    with pytest.raises(LedgerError, match="nothing to train on"):
        make_version(ledger, "empty")
    with pytest.raises(LedgerError, match="no image is meant by 'tag unheard of'"):
        make_version(ledger, "none", [], "tag unheard of")
    with pytest.raises(LedgerError, match="the ledger has no image"):
        make_version(ledger, "strange", ["0" * 32])
    mark(ledger, ids[:1], "good", "ann")
    (tmp_path / "0-0.png").write_bytes(b"changed")
    with pytest.raises(DataError, match="was changed"):
        make_version(ledger, "changed", ids[:1])
    assert ledger.sets() == []
