"""Set versions never change, models take over one after the other, and what is held back stays so."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from curation.by_hand import MARKED
from curation.frozen import freeze, frozen_members, held_back, held_back_groups, place_of, resolved_members
from curation.ledger import (
    ChallengeEntry,
    ImageEntry,
    Ledger,
    LedgerError,
    SetMember,
    ShadowEntry,
    VerdictEntry,
)
from curation.regressions import add_returned, standing_cases, withdraw_returned
from curation.set_versions import compare, make_training_set, new_since_last, roles_of
from learning.errors import DataError
from learning.images.records import ImageRecord


def member(number: int, state: str = "good", **more: object) -> SetMember:
    fields = {"part": f"p{number}", "group": f"g{number}", "state": state} | more
    return SetMember(f"{number:032x}", Path(f"/parts/{number}.png"), **fields)  # type: ignore[arg-type]


def say(ledger: Ledger, image_id: str, verdict: str, who: str = "ann", revision: str = "1") -> None:
    entry = VerdictEntry(None, image_id, who, verdict, datetime.now(UTC), "test", image_id + who, revision)  # type: ignore[arg-type]
    ledger.record_verdicts([entry])


@pytest.fixture
def line(ledger: Ledger, tmp_path: Path) -> list[str]:
    """Sixty confirmed images of forty groups, every third defective."""
    files = [tmp_path / f"part{number}.png" for number in range(60)]
    for file in files:
        file.write_bytes(f"picture {file.name}".encode())
    ids = ledger.add_images([ImageEntry(file, f"part{n}", f"group{n % 40}") for n, file in enumerate(files)])
    for number, image_id in enumerate(ids):
        say(ledger, image_id, "good" if number % 3 else "defect")
    return ids


def test_a_version_is_found_again_by_what_it_holds(ledger: Ledger) -> None:
    first = ledger.create_set("training", [member(2), member(1, "defect", verdicts=(4, 3), weight=2.5)])
    again = ledger.create_set("training", [member(1, "defect", verdicts=(3, 4), weight=2.5), member(2)])
    assert again == first
    assert first.name == f"training-{first.fingerprint[:12]}"
    assert first.parent is None
    version = ledger.set_version(first.name)
    assert version.members == (member(1, "defect", verdicts=(3, 4), weight=2.5), member(2))
    second = ledger.create_set("training", [member(2)], name="week 12", note="without the scratch")
    assert (second.parent, second.note) == (first.name, "without the scratch")
    assert [row.name for row in ledger.sets("training")] == [first.name, "week 12"]
    assert ledger.sets("frozen") == []
    # Another place of the file is the same member; another verdict is not.
    moved = replace(member(2), path=Path("/elsewhere/2.png"))
    assert ledger.create_set("training", [moved], name="week 12") == second
    with pytest.raises(LedgerError, match="with other members"):
        ledger.create_set("training", [member(3)], name="week 12")
    with pytest.raises(LedgerError, match="none of them twice"):
        ledger.create_set("training", [member(3), member(3)])
    with pytest.raises(LedgerError, match=r"has no set version 'week 13'; there are: training-\w+, week 12"):
        ledger.set_version("week 13")


def test_two_versions_are_compared(ledger: Ledger) -> None:
    before = ledger.create_set("training", [member(1), member(2), member(3)])
    after = ledger.create_set("training", [member(2), member(3, "defect", verdicts=(9,)), member(4)])
    found = compare(ledger.set_version(before.name), ledger.set_version(after.name))
    assert (found.added, found.removed, found.unchanged) == ((member(4),), (member(1),), 1)
    assert found.lines() == [
        "+ /parts/4.png: good (data set)",
        "- /parts/1.png: good (data set)",
        "~ /parts/3.png: state good → defect, verdicts () → (9,)",
    ]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE set_versions SET note = 'x'",
        "DELETE FROM set_versions",
        "UPDATE set_members SET state = 'defect'",
        "DELETE FROM set_members",
        "UPDATE champions SET model_id = 'b'",
        "DELETE FROM champions",
        "UPDATE challenges SET wins = (1 = 1)",
        "DELETE FROM challenges",
    ],
)
def test_no_program_can_change_them(ledger: Ledger, url: str, change: str) -> None:
    ledger.create_set("frozen", [member(1)], name="f")
    ledger.record_challenge(ChallengeEntry("", "a", 1, "b", 1, None, "f", "0" * 64, False, "refused", "{}"))
    ledger.crown("a", None, "appointed", "first")
    engine = create_engine(url)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(change))
    engine.dispose()


def test_a_member_slipped_in_from_outside_is_noticed(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.create_set("frozen", [member(1)], name="f")
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            columns = 'version, image_id, path, part, "group", state, verdicts, weight'
            other.execute(f"INSERT INTO set_members ({columns}) VALUES ('f', 'x', '/x', 'x', 'x', 'good', '[]', 1)")
            other.commit()
        with pytest.raises(LedgerError, match="not those it was made of"):
            ledger.set_version("f")


def test_one_model_follows_another_and_a_latecomer_changes_nothing(ledger: Ledger) -> None:
    assert ledger.champion() is None
    first = ledger.crown("a", None, "appointed", "first")
    assert ledger.crown("a", None, "appointed", "again") == first
    ledger.crown("b", "a", "promoted", "better", challenge=None)
    with pytest.raises(LedgerError, match="model c was to follow a, but b is the champion by now"):
        ledger.crown("c", "a", "promoted", "better")
    ledger.crown("x", None, "appointed", "first", camera="top")
    champion = ledger.champion()
    assert champion is not None
    assert (champion.model_id, champion.previous) == ("b", "a")
    assert [row.model_id for row in ledger.champions()] == ["a", "b", "x"]
    assert [row.model_id for row in ledger.champions("top")] == ["x"]


def test_of_challengers_that_win_at_once_one_is_crowned(ledger: Ledger, url: str) -> None:
    ledger.crown("a", None, "appointed", "first")
    failed: list[str] = []

    def win(model: str) -> None:
        with Ledger.open(url) as own:
            try:
                own.crown(model, "a", "promoted", "better")
            except LedgerError as error:
                failed.append(str(error))

    threads = [Thread(target=win, args=(f"b{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failed) == 5
    assert len(ledger.champions()) == 2


def test_a_judgement_is_recorded_once(ledger: Ledger) -> None:
    ledger.create_set("frozen", [member(1)], name="f")
    entry = ChallengeEntry("", "a", 1, "b", 2, None, "f", "0" * 64, True, "wins", '{"gates": []}')
    first = ledger.record_challenge(entry)
    assert ledger.record_challenge(replace(entry, text="other words")) == first
    other = ledger.record_challenge(replace(entry, challenger_threshold=3, wins=False))
    assert [row.number for row in ledger.challenges("")] == [first.number, other.number]
    assert ledger.challenges("top") == []


def test_what_a_challenger_could_have_learnt_is_not_new(ledger: Ledger, line: list[str]) -> None:
    def judge(training: str | None, frozen: str, threshold: int) -> None:
        entry = ChallengeEntry("", "a", 1, "b", threshold, training, frozen, "0" * 64, False, "refused", "{}")
        ledger.record_challenge(entry)

    assert new_since_last(ledger) == 60
    held_groups = sorted({m.group for m in resolved_members(ledger) if place_of(m.group) < 0.4})
    # Half of what is held back has taught the champion, so that no set has it.
    frozen = freeze(ledger, frozen_members(ledger, 0.4, learnt_from=held_groups[::2]), 0.4)
    judge(None, frozen.name, 1)
    assert new_since_last(ledger) == 60  # trained elsewhere: it learnt nothing of them
    training, _ = make_training_set(ledger, [])
    judge(training.name, frozen.name, 2)
    assert new_since_last(ledger) == 0
    groups = {member.image_id: member.group for member in resolved_members(ledger)}
    held = next(key for key in line if groups[key] in held_groups[::2])
    free = next(key for key in line if groups[key] not in held_groups)
    say(ledger, held, "defect", "bob", "2")  # who may disagree: then it is unresolved, and not new
    say(ledger, held, ledger.verdicts(image_id=held)[0].verdict, "bob", "3")
    assert new_since_last(ledger) == 1
    say(ledger, free, ledger.verdicts(image_id=free)[0].verdict, "bob")
    assert new_since_last(ledger) == 2
    # The same training set again, judged later: what is held back has been seen, what would train has not.
    judge(training.name, frozen.name, 3)
    assert new_since_last(ledger) == 1


def test_comparisons_in_the_shadow_are_recorded_once(ledger: Ledger, image_ids: list[str]) -> None:
    entries = [ShadowEntry(key, "a", 1, 0.5, "accept", "b", 1, 0.9, "reject", "shift 1") for key in image_ids]
    assert ledger.record_shadow(entries) == 4
    assert ledger.record_shadow(entries) == 0
    assert [row.image_id for row in ledger.shadow("b")] == image_ids
    assert ledger.shadow("c") == []
    assert ledger.scores() == []


def test_places_of_groups_are_even_and_their_own() -> None:
    places = [place_of(f"group {number}") for number in range(4000)]
    assert abs(sum(place < 0.3 for place in places) / 4000 - 0.3) < 0.03
    other = [place_of(f"group {number}", "threshold") for number in range(4000)]
    both = sum(a < 0.5 and b < 0.5 for a, b in zip(places, other, strict=True)) / 4000
    assert abs(both - 0.25) < 0.03


def test_whole_groups_are_frozen_and_stay_so(ledger: Ledger, line: list[str]) -> None:
    assert held_back(ledger) is None
    assert held_back_groups(ledger) == frozenset()
    members = frozen_members(ledger, 0.3)
    row = freeze(ledger, members, 0.3)
    groups = {one.group for one in members}
    assert 4 < len(groups) < 20
    assert {image.group for image in ledger.images() if place_of(image.group) < 0.3} == groups
    assert held_back_groups(ledger) == groups
    assert freeze(ledger, frozen_members(ledger, 0.3), 0.3) == row
    with pytest.raises(LedgerError, match="30 % of the groups are set aside"):
        frozen_members(ledger, 0.5)

    # Later verdicts fall on the side of their group; what the models learnt from is not frozen any more.
    file = Path(ledger.images()[0].path).with_name("new.png")
    file.write_bytes(b"new")
    name = next(f"new{n}" for n in range(100) if place_of(f"new{n}") < 0.3)
    (image_id,) = ledger.add_images([ImageEntry(file, name, name)])
    say(ledger, image_id, "defect")
    assert len(frozen_members(ledger, 0.3)) == len(members) + 1
    assert len(frozen_members(ledger, 0.3, learnt_from=[image_id])) == len(members)
    assert len(frozen_members(ledger, 0.3, learnt_from=[*groups, name])) == len(members)
    assert name in held_back_groups(ledger)


def test_what_was_picked_by_hand_is_not_judged_on(ledger: Ledger, line: list[str]) -> None:
    (first, *others) = frozen_members(ledger, 0.3)
    ledger.record_verdicts(
        [VerdictEntry(None, first.image_id, "ann", first.state, datetime.now(UTC), MARKED, first.image_id, "1")]
    )
    assert frozen_members(ledger, 0.3) == others


def test_a_training_set_holds_nothing_that_is_frozen(ledger: Ledger, line: list[str], tmp_path: Path) -> None:
    frozen = frozen_members(ledger, 0.3)
    freeze(ledger, frozen, 0.3)
    good = [tmp_path / f"good{number}.png" for number in range(5)]
    for file in good:
        file.write_bytes(file.name.encode())
    copy = tmp_path / "copy.png"
    copy.write_bytes(frozen[0].path.read_bytes())
    records = [ImageRecord(path=file) for file in [*good, copy]]
    records.append(ImageRecord(path=good[0], group=frozen[1].group))
    row, left_out = make_training_set(ledger, records, threshold_share=0.3)
    assert left_out == 2
    version = ledger.set_version(row.name)
    assert not {one.image_id for one in version.members} & {one.image_id for one in frozen}
    assert not {one.group for one in version.members} & {one.group for one in frozen}
    roles = roles_of(version)
    assert len(roles.good) == 5
    assert len(roles.confirmed_good) + len(roles.defects) + len(roles.threshold) == 60 - len(frozen)
    assert not roles.taught & {one.group for one in roles.threshold}
    assert make_training_set(ledger, records, threshold_share=0.3)[0] == row

    frozen[0].path.write_bytes(b"other")
    with pytest.raises(DataError, match="was changed since it was recorded"):
        freeze(ledger, frozen, 0.3)


def test_a_returned_image_is_a_case_until_it_is_taken_back(ledger: Ledger, line: list[str], tmp_path: Path) -> None:
    freeze(ledger, frozen_members(ledger, 0.3), 0.3)
    name = next(f"lot{n}" for n in range(100) if place_of(f"lot{n}") < 0.3)
    file = tmp_path / "returned.png"
    file.write_bytes(b"returned")
    for _ in range(2):
        row = add_returned(ledger, ImageEntry(file, name, name, camera="top"), "customer", note="order 7")
    assert len(ledger.verdicts(image_id=row.image_id)) == 1
    assert [case.image_id for case in standing_cases(ledger)] == [row.image_id]
    assert standing_cases(ledger, "side") == []
    assert len(standing_cases(ledger, "top")) == 1
    # Kept apart from the frozen set, though its name would have it there.
    assert name not in held_back_groups(ledger)
    assert row.image_id not in {one.image_id for one in frozen_members(ledger, 0.3)}
    say(ledger, row.image_id, "good", "bob")
    assert len(standing_cases(ledger)) == 1

    assert withdraw_returned(ledger, row.image_id)
    assert not withdraw_returned(ledger, row.image_id)
    assert standing_cases(ledger) == []
    add_returned(ledger, ImageEntry(file), "customer", note="order 7")
    assert len(standing_cases(ledger)) == 1
    assert len(ledger.verdicts(image_id=row.image_id)) == 4
