"""Tags of the App come back to the ledger, and the ledger's into the App."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curation import dataset as syncing
from curation.dataset import index_similarity, show_rows, sync
from curation.ledger import Ledger
from curation.mongo import MongoServer
from curation.rows import row_of
from curation.tag_sync import IN_THE_APP
from tests.curation.test_actions import COUNT, ids, ledger  # noqa: F401 (fixtures)

pytestmark = pytest.mark.server


@pytest.fixture
def name(server: MongoServer) -> Iterator[str]:
    import fiftyone as fo

    name = f"tags {uuid.uuid4().hex[:6]}"
    yield name
    server.start()
    if fo.dataset_exists(name):
        fo.delete_dataset(name)


def _samples(name: str, *keys: str) -> Any:
    import fiftyone as fo

    dataset = fo.load_dataset(name)
    dataset.reload()
    return dataset.match({"image_id": {"$in": list(keys)}})


def _tags(name: str, key: str) -> list[str]:
    return sorted(_samples(name, key).first().tags)


def _in_ledger(ledger: Ledger) -> set[tuple[str, str]]:  # noqa: F811
    return {(row.image_id, row.tag) for row in ledger.tags()}


def test_tags_of_the_app_come_to_the_ledger_with_their_history(ledger: Ledger, ids: list[str], name: str) -> None:  # noqa: F811
    sync(ledger, name)
    _samples(name, *ids[:2]).tag_samples("look again")
    report = sync(ledger, name, who="ann")
    assert (report.tags_set, report.tags_removed, report.updated) == (2, 0, 0)
    assert _in_ledger(ledger) == {(key, "look again") for key in ids[:2]}
    event = ledger.tag_events(ids[0])[0]
    assert (event.event, event.who) == ("set", "ann")
    # When the sample was changed last, which is no later than the sync that heard of it.
    assert event.at < event.recorded_at
    _samples(name, ids[0]).untag_samples("look again")
    report = sync(ledger, name)
    assert (report.tags_set, report.tags_removed) == (0, 1)
    assert _in_ledger(ledger) == {(ids[1], "look again")}
    assert [(row.event, row.who) for row in ledger.tag_events(ids[0])] == [("set", "ann"), ("removed", IN_THE_APP)]
    again = sync(ledger, name)
    assert (again.tags_set, again.tags_removed, again.updated, again.unchanged) == (0, 0, 0, COUNT)


def test_tags_of_the_ledger_come_to_the_app(ledger: Ledger, ids: list[str], name: str) -> None:  # noqa: F811
    ledger.add_tag(ids[0], "wet", "ann")
    sync(ledger, name)
    assert _tags(name, ids[0]) == ["wet"]
    ledger.add_tag(ids[1], "$set", "ann")
    ledger.remove_tag(ids[0], "wet", "ann")
    assert sync(ledger, name).updated == 2
    assert (_tags(name, ids[0]), _tags(name, ids[1])) == ([], ["$set"])
    assert len(ledger.tag_events()) == 3


def test_of_what_both_sides_changed_the_app_has_the_last_word(ledger: Ledger, ids: list[str], name: str) -> None:  # noqa: F811
    for key in ids[:3]:
        ledger.add_tag(key, "wet", "ann")
    sync(ledger, name)
    _samples(name, ids[0]).untag_samples("wet")
    ledger.remove_tag(ids[0], "wet", "ann")
    ledger.add_tag(ids[0], "wet", "ann")  # again, after it was taken away in the App
    ledger.remove_tag(ids[1], "wet", "ann")  # in the ledger alone
    _samples(name, ids[2]).tag_samples("dry")
    ledger.add_tag(ids[2], "old", "ann")  # both, of different tags
    ledger.remove_tag(ids[2], "wet", "ann")
    sync(ledger, name)
    assert _in_ledger(ledger) == {(ids[2], "dry"), (ids[2], "old")}
    assert [_tags(name, key) for key in ids[:3]] == [[], [], ["dry", "old"]]


def test_a_deleted_data_set_and_a_deleted_sample_get_their_tags_back(
    ledger: Ledger,  # noqa: F811
    ids: list[str],  # noqa: F811
    name: str,
) -> None:
    import fiftyone as fo

    sync(ledger, name)
    _samples(name, *ids[:2]).tag_samples("mine")
    sync(ledger, name)
    _samples(name, ids[0])._dataset.delete_samples(_samples(name, ids[0]))
    assert sync(ledger, name).tags_removed == 0
    assert _tags(name, ids[0]) == ["mine"]
    fo.delete_dataset(name)
    assert sync(ledger, name).tags_removed == 0
    assert [_tags(name, key) for key in ids[:3]] == [["mine"], ["mine"], []]
    assert len(ledger.tag_events()) == 2


def test_a_data_set_renamed_in_the_app_keeps_its_tags_and_its_search(
    ledger: Ledger,  # noqa: F811
    ids: list[str],  # noqa: F811
    name: str,
) -> None:
    import fiftyone as fo

    assert sync(ledger, name).others == []
    index_similarity(ledger, name, "m")
    _samples(name, ids[0]).tag_samples("mine")
    renamed = f"{name} of spring"
    fo.load_dataset(name).name = renamed
    report = sync(ledger, name)
    assert (report.added, report.others) == (len(ids), [renamed])
    index_similarity(ledger, name, "m")
    assert sync(ledger, name).others == []
    assert _tags(name, ids[0]) == []
    # Each has an index of its own: what is done to one leaves the other as it is.
    fo.load_dataset(name).delete_brain_run("similar")
    similar = fo.load_dataset(renamed).sort_by_similarity(
        _samples(renamed, ids[0]).first().id, k=2, brain_key="similar"
    )
    assert similar.first().image_id == ids[0]
    assert sync(ledger, renamed).tags_set == 1
    sync(ledger, name)
    assert _tags(name, ids[0]) == ["mine"]


def test_two_data_sets_of_one_ledger_share_tags(ledger: Ledger, ids: list[str], name: str) -> None:  # noqa: F811
    import fiftyone as fo

    other = f"{name} other"
    sync(ledger, name)
    sync(ledger, other)
    _samples(name, ids[0]).tag_samples("mine")
    sync(ledger, name)
    sync(ledger, other)
    assert _tags(other, ids[0]) == ["mine"]
    _samples(other, ids[0]).untag_samples("mine")
    sync(ledger, other)
    sync(ledger, name)
    assert _tags(name, ids[0]) == []
    fo.delete_dataset(other)


def test_tags_that_were_there_before_the_ledger_knew_of_them_come_in(
    ledger: Ledger,  # noqa: F811
    ids: list[str],  # noqa: F811
    name: str,
) -> None:
    sync(ledger, name)
    _samples(name, ids[0]).tag_samples("old")
    # As a data set of an earlier version has it.
    _samples(name)._dataset.delete_sample_field("synced_tags")
    assert sync(ledger, name).tags_set == 1
    assert _in_ledger(ledger) == {(ids[0], "old")}


def test_what_is_tagged_while_a_sync_runs_stays_and_comes_with_the_next(
    ledger: Ledger,  # noqa: F811
    ids: list[str],  # noqa: F811
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger.add_tag(ids[0], "wet", "ann")
    sync(ledger, name)
    ledger.remove_tag(ids[0], "wet", "ann")
    ledger.add_tag(ids[0], "dry", "ann")
    read = syncing.done_in_the_app

    def meanwhile(*arguments: Any) -> Any:
        found = read(*arguments)
        _samples(name, ids[0]).tag_samples("now")
        return found

    monkeypatch.setattr(syncing, "done_in_the_app", meanwhile)
    sync(ledger, name)
    monkeypatch.undo()
    assert _tags(name, ids[0]) == ["dry", "now"]
    assert _in_ledger(ledger) == {(ids[0], "dry")}
    assert sync(ledger, name).tags_set == 1
    assert _in_ledger(ledger) == {(ids[0], "dry"), (ids[0], "now")}


def test_a_sync_killed_after_the_ledger_was_written_is_repeated(
    ledger: Ledger,  # noqa: F811
    ids: list[str],  # noqa: F811
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger.add_tag(ids[1], "wet", "ann")
    sync(ledger, name)
    _samples(name, ids[0]).tag_samples("mine")
    _samples(name, ids[1]).untag_samples("wet")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(syncing.SampleWriter, "update", killed)
    with pytest.raises(KeyboardInterrupt):
        sync(ledger, name)
    monkeypatch.undo()
    assert sync(ledger, name).updated == 0
    assert (_tags(name, ids[0]), _tags(name, ids[1])) == (["mine"], [])
    assert [(row.tag, row.event) for row in ledger.tag_events()] == [
        ("wet", "set"),
        ("mine", "set"),
        ("wet", "removed"),
    ]


SYNC = """
import sys
from curation.connection import point_fiftyone_at
from pathlib import Path
place, name, uri, folder = sys.argv[1:]
point_fiftyone_at(uri, Path(folder))
from curation.dataset import sync
from curation.ledger import Ledger
with Ledger.open(place) as ledger:
    report = sync(ledger, name)
print(report.tags_set, report.tags_removed)
"""


def test_two_syncs_at_once_record_each_tag_once(
    ledger: Ledger,  # noqa: F811
    ids: list[str],  # noqa: F811
    name: str,
    server: MongoServer,
) -> None:
    import fiftyone as fo

    ledger.add_tag(ids[1], "wet", "ann")
    sync(ledger, name)
    _samples(name, *ids[:3]).tag_samples("mine")
    _samples(name, ids[1]).untag_samples("wet")
    command = [sys.executable, "-c", SYNC, ledger.place, name, fo.config.database_uri, str(server.folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) for _ in range(2)]
    said = [process.communicate(timeout=200)[0].split() for process in running]
    assert sorted(said) == [["0", "0"], ["3", "1"]]
    assert len(ledger.tag_events()) == 5
    assert _tags(name, ids[1]) == ["mine"]


def test_what_a_button_shows_takes_tags_along(ledger: Ledger, ids: list[str], name: str) -> None:  # noqa: F811
    sync(ledger, name)
    _samples(name, ids[0]).tag_samples("mine")
    ledger.add_tag(ids[0], "wet", "ann")
    show_rows(_samples(name)._dataset, ledger, [row_of(ledger, ids[0])])
    assert _tags(name, ids[0]) == ["mine", "wet"]
    assert _in_ledger(ledger) == {(ids[0], "mine"), (ids[0], "wet")}
