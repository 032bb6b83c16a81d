"""What contradicts itself: clocks, doubled tasks, a page that somebody changed, an inspector with two answers."""

import importlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.ledger import Ledger, VerdictEntry
from integrations.label_studio import Answer, answer_tasks, ensure_project, pull, push
from integrations.label_studio.project import project_key

from .conftest import Review, ledger_url

pytestmark = pytest.mark.server


def verdict(said: str) -> list[dict[str, Any]]:
    return [{"from_name": "verdict", "to_name": "image", "type": "choices", "value": {"choices": [said]}}]


def say(review: Review, task: int, said: str) -> int:
    """Answer, as often as one likes."""
    found: int = review.client.annotations.create(task, result=verdict(said)).id
    return found


def states(review: Review) -> dict[str, str]:
    return {one.image_id: one.state for one in review.ledger.resolved()}


def test_two_tasks_of_one_question_that_are_both_answered_keep_both_answers(review: Review) -> None:
    (ask,) = review.add_asks(1)
    push(review.ledger, review.client, review.project, review.images_root)
    (task,) = review.task_ids()[ask]
    twin = review.client.tasks.create(project=review.project, data=review.client.tasks.get(task).data).id
    say(review, task, "good")
    say(review, twin, "good")
    for everything in (False, True, False):
        pull(review.ledger, review.client, review.project, review.masks, everything=everything)
        assert [one.verdict for one in review.ledger.verdicts()] == ["good", "good"]


def test_an_inspector_who_contradicts_himself_is_taken_at_his_latest_word(review: Review) -> None:
    (ask,) = review.add_asks(1)
    push(review.ledger, review.client, review.project, review.images_root)
    (task,) = review.task_ids()[ask]
    say(review, task, "good")
    say(review, task, "defect")
    assert pull(review.ledger, review.client, review.project, review.masks).new == 2
    assert list(states(review).values()) == ["defect"]


@pytest.mark.parametrize("whose", ["the server's", "this computer's too"])
def test_a_clock_that_was_set_back_hides_no_answer(review: Review, whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asks = review.add_asks(3)
    push(review.ledger, review.client, review.project, review.images_root)
    answer_tasks(review.client, review.project, {asks[0]: Answer("good")})
    pull(review.ledger, review.client, review.project, review.masks)
    answer_tasks(review.client, review.project, {asks[1]: Answer("defect")})
    # As if the last pull had been before the clock was set back: what was answered since is older than its cursor.
    pulling = importlib.import_module("integrations.label_studio.pull")
    monkeypatch.setattr(pulling, "OVERLAP", timedelta(0))
    ahead = datetime.now(UTC) + (timedelta(0) if whose == "the server's" else timedelta(hours=2))
    source = project_key(review.client, review.project)
    review.ledger.set_cursor(source, ahead.isoformat())
    report = pull(review.ledger, review.client, review.project, review.masks)
    assert (report.new, report.withdrawn, report.tasks) == (1, 0, 3)
    after = datetime.fromisoformat(review.ledger.cursor(source) or "")
    assert after <= datetime.now(UTC)
    again = pull(review.ledger, review.client, review.project, review.masks)
    assert (again.new, again.changed) == (0, 0)
    answer_tasks(review.client, review.project, {asks[2]: Answer("good")})
    assert pull(review.ledger, review.client, review.project, review.masks).new == 1


def test_an_edit_by_a_clock_that_was_set_back_is_the_latest_word(review: Review) -> None:
    (ask,) = review.add_asks(1)
    push(review.ledger, review.client, review.project, review.images_root)
    annotation = say(review, review.task_ids()[ask][0], "defect")
    image = review.ledger.asks()[0].image_id
    inspector = review.client.users.whoami().email or ""
    # What it said before, by a clock that was ahead.
    before = datetime.now(UTC) + timedelta(hours=1)
    source = project_key(review.client, review.project)
    review.ledger.record_verdicts(
        [VerdictEntry(ask, image, inspector, "good", before, source, str(annotation), before.isoformat())]
    )
    assert states(review) == {image: "good"}
    assert pull(review.ledger, review.client, review.project, review.masks).changed == 1
    assert states(review) == {image: "defect"}
    assert pull(review.ledger, review.client, review.project, review.masks, everything=True).changed == 0
    review.client.annotations.delete(annotation)
    assert pull(review.ledger, review.client, review.project, review.masks, everything=True).withdrawn == 1
    assert states(review) == {}


def test_a_mask_that_finds_no_room_leaves_nothing_half_written(review: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    (ask,) = review.add_asks(1)
    push(review.ledger, review.client, review.project, review.images_root)
    answer_tasks(review.client, review.project, {ask: Answer("defect", mask=np.ones((48, 64), bool))})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            pull(review.ledger, review.client, review.project, review.masks)
    assert not list(review.masks.iterdir())
    assert review.ledger.verdicts() == []
    assert pull(review.ledger, review.client, review.project, review.masks).new == 1


def test_two_pulls_at_once(review: Review) -> None:
    asks = review.add_asks(12)
    push(review.ledger, review.client, review.project, review.images_root)
    mask = np.zeros((48, 64), bool)
    mask[10:20, 10:20] = True
    answer_tasks(review.client, review.project, {ask: Answer("defect", mask=mask) for ask in asks})

    def fetch(_: int) -> None:
        with Ledger.open(ledger_url(review.folder)) as ledger:
            pull(ledger, review.server.client(), review.project, review.masks)

    with ThreadPoolExecutor(4) as pullers:
        list(pullers.map(fetch, range(4)))
    said = review.ledger.verdicts()
    assert sorted(one.ask_id or "" for one in said) == sorted(asks)
    assert all(one.regions_mask and one.regions_mask.is_file() for one in said)
    assert not list(review.masks.glob("*.part"))


def test_a_page_that_somebody_changed_is_put_right_and_what_it_took_in_is_named(review: Review) -> None:
    asks = review.add_asks(2)
    push(review.ledger, review.client, review.project, review.images_root)
    page = review.client.projects.get(review.project).label_config or ""
    review.client.projects.update(review.project, label_config=page.replace('value="defect"', 'value="bad"'))
    (task,) = review.task_ids()[asks[0]]
    annotation = say(review, task, "bad")
    assert pull(review.ledger, review.client, review.project, review.masks).without_verdict == [task]
    assert ensure_project(review.client, review.title) == review.project
    assert 'value="defect"' in (review.client.projects.get(review.project).label_config or "")
    assert pull(review.ledger, review.client, review.project, review.masks, everything=True).without_verdict == [task]
    # It is no reason to read everything each time.
    (other,) = review.task_ids()[asks[1]]
    say(review, other, "good")
    assert pull(review.ledger, review.client, review.project, review.masks).new == 1
    review.client.annotations.update(annotation, result=verdict("defect"))
    assert pull(review.ledger, review.client, review.project, review.masks).new == 1
    assert sorted(states(review).values()) == ["defect", "good"]
