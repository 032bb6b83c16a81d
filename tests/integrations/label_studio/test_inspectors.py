"""Several inspectors on one task, second looks, and gold items, on a real server."""

import uuid

import pytest

from curation.by_hand import GOLD
from curation.gold import open_gold
from curation.inspectors import inspector_report
from curation.second_looks import open_second_looks
from integrations.label_studio import Answer, answer_tasks, ensure_project, pull, push, review_status
from integrations.label_studio.accounts import sign_up
from integrations.label_studio.inspector import annotation_result
from integrations.label_studio.project import inspectors_of
from integrations.label_studio.tasks import why

from .conftest import Review

pytestmark = pytest.mark.server


def _next_task(client, project: int) -> dict | None:
    raw = client._client_wrapper.httpx_client
    found = raw.request(f"api/dm/actions?id=next_task&project={project}", method="POST", json={})
    return found.json() if found.status_code == 200 else None


def test_two_inspectors_answer_one_task_and_a_second_look_settles_it(review: Review) -> None:
    [ask] = review.add_asks(1)
    ensure_project(review.client, review.title, inspectors=2)
    assert inspectors_of(review.client, review.project) == 2
    push(review.ledger, review.client, review.project, review.images_root)
    people = [sign_up(review.client, f"{uuid.uuid4().hex[:12]}@example.com", "long-password-1") for _ in range(3)]
    names = [person.users.whoami().email for person in people]
    for person, said in zip(people, ("good", "defect"), strict=False):
        task = _next_task(person, review.project)
        assert task is not None
        assert task["data"]["external_id"] == ask
        person.annotations.create(task["id"], result=annotation_result(Answer(said)))
        pull(review.ledger, review.client, review.project, review.masks)
        # One answer of two does not ask again yet.
        assert open_second_looks(review.ledger, 2) == (said == "defect")
    assert _next_task(people[2], review.project) is None
    assert [one.state for one in review.ledger.resolved()] == ["unresolved"]

    push(review.ledger, review.client, review.project, review.images_root)
    task = _next_task(people[2], review.project)
    assert task is not None
    assert "second look" in task["data"]["why"]
    assert not any(name in str(task) for name in names)
    people[2].annotations.create(task["id"], result=annotation_result(Answer("defect")))
    pull(review.ledger, review.client, review.project, review.masks)
    assert [one.state for one in review.ledger.resolved()] == ["defect"]
    report = inspector_report(review.ledger)
    assert {one.inspector for one in report.inspectors} == set(names)
    assert [pair.images for pair in report.pairs] == [1]
    assert review_status(review.ledger).unresolved == 0


def test_gold_items_look_like_any_other_and_count_for_nothing_but_the_inspector(review: Review) -> None:
    asks = review.add_asks(6)
    push(review.ledger, review.client, review.project, review.images_root)
    answer_tasks(review.client, review.project, dict.fromkeys(asks[:2], Answer("good")))
    pull(review.ledger, review.client, review.project, review.masks)
    ids = {ask.ask_id: ask.image_id for ask in review.ledger.asks()}
    for ask in asks[:2]:
        review.ledger.set_gold_items([ids[ask]], "good", "data team")
    assert len(open_gold(review.ledger, 2)[0]) == 2
    push(review.ledger, review.client, review.project, review.images_root)
    gold = {ask.ask_id for ask in review.ledger.asks() if ask.strategy == GOLD}
    tasks = {task.data["external_id"]: task for task in review.client.tasks.list(project=review.project, fields="all")}
    assert {tasks[ask].data["why"] for ask in gold} == {why("audit")}
    assert not any("gold" in str(task.data).lower() for task in tasks.values())
    assert all(tasks[ask].data.keys() == tasks[asks[0]].data.keys() for ask in gold)

    answer_tasks(review.client, review.project, dict.fromkeys(gold, Answer("defect")))
    pull(review.ledger, review.client, review.project, review.masks)
    assert sorted(one.state for one in review.ledger.resolved()) == ["good", "good"]
    [figures] = inspector_report(review.ledger).inspectors
    assert (figures.gold.false_defect.errors, figures.gold.false_defect.answers) == (2, 2)
    status = review_status(review.ledger)
    assert (status.answered, status.open, status.gold, status.unresolved) == (2, 4, 0, 0)
