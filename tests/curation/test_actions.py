from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.actions import BY_HAND, chosen_sources, mark, send_to_inspection, use_as_source
from curation.errors import LedgerError
from curation.ledger import ImageEntry, Ledger, ScoreEntry, SetMember, VerdictEntry
from curation.lookalikes import find_more, why_decided

COUNT = 6


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Six images on a quarter circle: the first rejected, the second is 1° away, and so on; the last never scored."""
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    with Ledger.open(tmp_path / "ledger.db") as opened:
        ids = opened.add_images([ImageEntry(tmp_path / f"{number}.png") for number in range(COUNT)])
        opened.record_threshold("m", 1, 0.5, "at most 5 % of good parts rejected")
        rows = [
            ScoreEntry(key, "m", 1, 0.9 - number / 10, 0.9 - number / 10, decision="accept" if number > 3 else "reject")
            for number, key in enumerate(ids[:-1])
        ]
        opened.record_scores(rows)
        angles = np.radians([0.0, 1.0, 3.0, 6.0, 10.0])
        np.save(tmp_path / "embeddings.npy", np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
        opened.record_embeddings("m", tmp_path / "embeddings.npy", ids[:-1])
        yield opened


@pytest.fixture
def ids(ledger: Ledger) -> list[str]:
    return [image.image_id for image in ledger.images()]


def test_images_sent_twice_are_asked_about_once(ledger: Ledger, ids: list[str]) -> None:
    first = send_to_inspection(ledger, [ids[0], ids[0], ids[-1]])
    assert (first.asked, first.waiting, first.unscored) == ([ids[0]], [], [ids[-1]])
    second = send_to_inspection(ledger, ids[:2])
    assert (second.asked, second.waiting) == ([ids[1]], [ids[0]])
    assert [(ask.image_id, ask.strategy, ask.threshold_version) for ask in ledger.asks()] == [
        (ids[0], BY_HAND, 1),
        (ids[1], BY_HAND, 1),
    ]


def test_one_unknown_image_and_nothing_is_written(ledger: Ledger, ids: list[str]) -> None:
    for act in (send_to_inspection, lambda *a: mark(*a, "good", "ann"), lambda *a: use_as_source(*a, "ann")):
        with pytest.raises(LedgerError, match="no image"):
            act(ledger, [ids[0], "0" * 32])
    assert (ledger.asks(), ledger.verdicts(), ledger.tags()) == ([], [], [])


def test_marks_can_be_repeated_changed_and_taken_back(ledger: Ledger, ids: list[str]) -> None:
    assert mark(ledger, ids[:2], "good", "ann") == 2
    assert mark(ledger, ids[:2], "good", "ann") == 0
    assert mark(ledger, ids[:1], "defect", "ann", "scratch") == 1
    assert [one.state for one in sorted(ledger.resolved(), key=lambda one: ids.index(one.image_id))] == [
        "defect",
        "good",
    ]
    assert mark(ledger, ids[:1], "defect", "bob") == 1
    assert mark(ledger, ids[:2], "withdrawn", "ann") == 2
    assert [(one.image_id, one.state) for one in ledger.resolved()] == [(ids[0], "defect")]
    assert mark(ledger, ids[2:3], "withdrawn", "ann") == 0
    assert mark(ledger, ids[:1], "good", "ann") == 1
    assert ledger.resolved()[0].state == "unresolved"


def test_a_mark_has_a_name(ledger: Ledger, ids: list[str]) -> None:
    with pytest.raises(LedgerError, match="name"):
        mark(ledger, ids[:1], "good", " ")


def test_only_confirmed_and_marked_defects_are_sources_and_the_rest_says_why(
    ledger: Ledger, ids: list[str], tmp_path: Path
) -> None:
    mark(ledger, ids[:2], "defect", "ann")
    mark(ledger, ids[2:4], "good", "ann")
    mark(ledger, ids[3:4], "defect", "bob")
    _outline(ledger, ids[0], tmp_path / "mask.png")
    chosen = use_as_source(ledger, [*ids[:5], ids[0]], "ann")
    assert chosen.taken == [ids[0]]
    assert [chosen.left_out[key] for key in ids[1:5]] == [
        "nobody has marked where its defect is",
        "it is good by its verdict",
        "inspectors disagree about it, or are unsure",
        "nobody has said that it has a defect",
    ]
    assert chosen.text.startswith("1 is a source of flaws now; left out: 1 (nobody has marked")
    assert chosen_sources(ledger) == {ids[0]}
    (tmp_path / "mask.png").write_bytes(b"another one")
    again = use_as_source(ledger, ids[:1], "ann")
    assert (again.taken, "mask.png was changed since the verdict" in again.left_out[ids[0]]) == ([], True)


def test_what_is_held_back_for_judging_is_no_source(ledger: Ledger, ids: list[str], tmp_path: Path) -> None:
    mark(ledger, ids[:1], "defect", "ann")
    _outline(ledger, ids[0], tmp_path / "mask.png")
    image = ledger.image(ids[0])
    member = SetMember(ids[0], image.path, image.part, image.group, "defect")
    ledger.create_set("frozen", [member], "frozen", '{"share": 0.0}')
    assert "held back" in use_as_source(ledger, ids[:1], "ann").left_out[ids[0]]


def _outline(ledger: Ledger, key: str, mask: Path) -> None:
    """What an inspector marked, as Label Studio's answers come."""
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(mask)
    ledger.record_verdicts([VerdictEntry(None, key, "eve", "defect", "2026-03-01T00:00:00Z", "t", key, "1", mask)])


def test_more_like_one_are_the_nearest_without_itself(ledger: Ledger, ids: list[str]) -> None:
    found = find_more(ledger, ids[1], 3)
    assert [one.image_id for one in found] == [ids[0], ids[2], ids[3]]
    assert found[0].distance == pytest.approx(1 - np.cos(np.radians(1)), abs=1e-6)
    assert found[0].decision == "reject"
    with pytest.raises(LedgerError, match="no model has scored"):
        find_more(ledger, ids[-1])


def test_why_names_the_nearest_good_and_the_nearest_confirmed_defect(ledger: Ledger, ids: list[str]) -> None:
    before = why_decided(ledger, ids[0])
    assert before.good is not None
    assert (before.good.image_id, before.good.verdict, before.defect) == (ids[4], None, None)
    assert "nobody has looked" in before.text
    mark(ledger, [ids[3]], "good", "ann")
    mark(ledger, [ids[1]], "defect", "ann")
    after = why_decided(ledger, ids[0])
    assert after.good is not None
    assert after.defect is not None
    assert (after.good.image_id, after.defect.image_id) == (ids[3], ids[1])
    assert "reject: decision score 0.9 against threshold 1 of 0.5" in after.text
    assert "at most 5 %" in after.text
    assert "too few images have a verdict" in after.text
