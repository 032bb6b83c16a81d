from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from integrations.label_studio import Answer, answer_tasks, ensure_project, pull, push, review_status
from integrations.label_studio.inspector import annotation_result
from integrations.label_studio.server import EMAIL

from .conftest import SIZE, Review

pytestmark = pytest.mark.server


def _mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(SIZE) > 0.7


def _read(path: str | Path | None) -> np.ndarray:
    assert path is not None
    with Image.open(path) as opened:
        pixels = np.asarray(opened)
    assert set(np.unique(pixels)) <= {0, 255}
    return pixels > 0


def test_verdicts_come_back_as_they_were_given(review: Review) -> None:
    asks = review.add_asks(5)
    answers = [
        Answer("defect", _mask(1), "scratch"),
        Answer("good", _mask(2)),  # a region proposed by the map and left in place
        Answer("unsure"),
        Answer("skipped"),
    ]
    report = push(review.ledger, review.client, review.project, review.images_root)
    assert report.pushed == 5
    done = answer_tasks(review.client, review.project, dict(zip(asks, answers, strict=False)))
    assert (done.answered, done.unknown) == (4, 1)

    pulled = pull(review.ledger, review.client, review.project, review.masks)
    assert (pulled.new, pulled.changed, pulled.withdrawn, pulled.skipped) == (4, 0, 0, 1)
    verdicts = {verdict.ask_id: verdict for verdict in review.ledger.verdicts()}
    assert [verdicts[ask].verdict for ask in asks[:4]] == ["defect", "good", "unsure", "skipped"]
    assert {verdict.inspector for verdict in verdicts.values()} == {EMAIL}
    assert verdicts[asks[0]].defect_class == "scratch"
    np.testing.assert_array_equal(_read(verdicts[asks[0]].regions_mask), _mask(1))
    assert all(verdicts[ask].regions_mask is None for ask in asks[1:4])
    assert len(list(review.masks.iterdir())) == 1
    status = review_status(review.ledger, review.client, review.project)
    assert (status.waiting, status.tasks) == (0, 5)

    again = pull(review.ledger, review.client, review.project, review.masks)
    assert (again.new, again.changed, again.withdrawn) == (0, 0, 0)
    whole = pull(review.ledger, review.client, review.project, review.masks, everything=True, page_size=2)
    assert (whole.new, whole.changed, whole.withdrawn, whole.tasks) == (0, 0, 0, 5)
    assert len(review.ledger.verdicts()) == 4


def test_a_task_shows_what_it_should(review: Review) -> None:
    [ask] = review.add_asks(1)
    push(review.ledger, review.client, review.project, review.images_root)
    [task_id] = review.task_ids()[ask]
    task = review.client.tasks.get(task_id)
    assert "close to its threshold" in task.data["why"]
    for key, kind in (("image", "image/png"), ("overlay", "image/jpeg"), ("near_good", "image/png")):
        response = review.client._client_wrapper.httpx_client.httpx_client.get(
            review.server.url + task.data[key], headers={"Authorization": f"Token {review.server.token}"}
        )
        assert response.status_code == 200
        assert response.headers["content-type"] == kind
    [prediction] = task.predictions
    results = prediction["result"] if isinstance(prediction, dict) else prediction.result
    assert {result["from_name"] for result in results} == {"region"}


def test_regions_of_all_models_are_shown_in_the_stream(review: Review) -> None:
    review.add_asks(1)
    review.add_asks(1, "another model")
    push(review.ledger, review.client, review.project, review.images_root)
    review.add_asks(1, "a third one")
    push(review.ledger, review.client, review.project, review.images_root)
    shown = []
    for _ in range(3):
        # What the page asks for; unlike the task itself it leaves predictions out that the project does not show.
        response = review.client._client_wrapper.httpx_client.httpx_client.post(
            f"{review.server.url}/api/dm/actions?id=next_task&project={review.project}",
            headers={"Authorization": f"Token {review.server.token}"},
            json={},
        )
        task = response.json()
        shown.append(len(task["predictions"]))
        answer_tasks(review.client, review.project, {task["data"]["external_id"]: Answer("good", None)})
    assert shown == [1, 1, 1]


def test_pushing_again_doubles_nothing_and_sends_what_is_new(review: Review) -> None:
    first = review.add_asks(3)
    assert push(review.ledger, review.client, review.project, review.images_root, chunk=2).pushed == 3
    before = review.task_ids()
    again = push(review.ledger, review.client, review.project, review.images_root)
    assert (again.pushed, again.adopted, again.restored) == (0, 0, 0)
    assert review.task_ids() == before
    second = review.add_asks(2)
    assert push(review.ledger, review.client, review.project, review.images_root).pushed == 2
    assert sorted(review.task_ids()) == sorted(first + second)


def test_the_project_is_found_again_and_keeps_its_new_name(review: Review) -> None:
    review.client.projects.update(review.project, title="what the plant calls it")
    assert ensure_project(review.client, review.title) == review.project
    assert review.client.projects.get(review.project).title == "what the plant calls it"


def test_an_older_page_is_brought_up_to_date(review: Review) -> None:
    page = review.client.projects.get(review.project).label_config
    assert page is not None
    review.client.projects.update(review.project, label_config=page.replace("(optional)", "(free)"))
    ensure_project(review.client, review.title)
    assert review.client.projects.get(review.project).label_config == page


def test_edits_and_deletions_are_seen(review: Review) -> None:
    asks = review.add_asks(3)
    push(review.ledger, review.client, review.project, review.images_root)
    answer_tasks(review.client, review.project, {ask: Answer("defect", _mask(3)) for ask in asks})
    assert pull(review.ledger, review.client, review.project, review.masks).new == 3
    annotation = {ask: review.client.annotations.list(review.task_ids()[ask][0])[0].id for ask in asks}

    review.client.annotations.update(annotation[asks[0]], result=annotation_result(Answer("defect", _mask(4))))
    review.client.annotations.update(annotation[asks[1]], result=annotation_result(Answer("good")))
    review.client.annotations.delete(annotation[asks[2]])
    report = pull(review.ledger, review.client, review.project, review.masks)
    assert (report.new, report.changed, report.withdrawn) == (0, 2, 1)
    said = {ask: [v for v in review.ledger.verdicts() if v.ask_id == ask] for ask in asks}
    assert [[v.verdict for v in said[ask]] for ask in asks] == [
        ["defect", "defect"],
        ["defect", "good"],
        ["defect", "withdrawn"],
    ]
    np.testing.assert_array_equal(_read(said[asks[0]][0].regions_mask), _mask(3))
    np.testing.assert_array_equal(_read(said[asks[0]][1].regions_mask), _mask(4))
    assert said[asks[2]][1].inspector == EMAIL

    again = pull(review.ledger, review.client, review.project, review.masks)
    assert (again.new, again.changed, again.withdrawn) == (0, 0, 0)


def test_a_skip_that_is_answered_later_counts(review: Review) -> None:
    [ask] = review.add_asks(1)
    push(review.ledger, review.client, review.project, review.images_root)
    answer_tasks(review.client, review.project, {ask: Answer("skipped")})
    pull(review.ledger, review.client, review.project, review.masks)
    [skip] = review.ledger.verdicts()
    review.client.annotations.update(
        int(skip.external_id), was_cancelled=False, result=annotation_result(Answer("good"))
    )
    report = pull(review.ledger, review.client, review.project, review.masks)
    assert (report.new, report.changed) == (0, 1)
    assert [verdict.verdict for verdict in review.ledger.verdicts()] == ["skipped", "good"]


def test_models_are_asked_about_in_turn(review: Review) -> None:
    first, second = review.add_asks(4), review.add_asks(2, "another model")
    push(review.ledger, review.client, review.project, review.images_root)
    tasks = review.task_ids()
    order = sorted(tasks, key=lambda ask: tasks[ask][0])
    assert [ask in second for ask in order] == [False, True, False, False, True, False]
    assert [ask for ask in order if ask in first] == [ask.ask_id for ask in review.ledger.asks() if ask.ask_id in first]
