"""What inspectors see and say of one task: comparison, kind, severity, outlines; and pages of older versions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.ledger import VerdictEntry
from integrations.label_studio import Answer, answer_tasks, ensure_project, pull, push
from integrations.label_studio.client import ONCE
from integrations.label_studio.inspector import annotation_result
from integrations.label_studio.page import NEAR_DEFECT, NEAR_GOOD, TASK_KEYS

from .conftest import MODEL, SIZE, Review

OLD_PAGE = """<View>
  <Header value="$why" size="5" />
  <Choices name="verdict" toName="image" choice="single-radio" showInline="true" required="true">
    <Choice value="good" hotkey="1" /><Choice value="defect" hotkey="2" /><Choice value="unsure" hotkey="3" />
  </Choices>
  <BrushLabels name="region" toName="image" showInline="true"><Label value="flaw" hotkey="f" /></BrushLabels>
  <Image name="image" value="$image" /><Image name="overlay" value="$overlay" />
  <TextArea name="defect_class" toName="image" rows="1" editable="true" required="false" />
</View>"""
"""As the first version made it."""


def _tasks(review: Review) -> dict:
    listed = review.client.tasks.list(project=review.project, fields="all")
    return {task.data["external_id"]: task for task in listed}


def _say(review: Review, image_id: str, verdict: str, mask: Path | None = None, kind: str | None = None) -> None:
    entry = VerdictEntry(None, image_id, "ann", verdict, "2026-01-01", "csv", image_id, "1", mask, kind)  # type: ignore[arg-type]
    review.ledger.record_verdicts([entry])


@pytest.mark.server
def test_what_is_most_alike_is_shown_beside_the_part(review: Review) -> None:
    asks = review.add_asks(4)
    ids = [ask.image_id for ask in review.ledger.asks()]
    vectors = np.array([[1, 0], [1, 0.1], [0.1, 1], [0, 1]], np.float32)
    np.save(review.folder / "vectors.npy", vectors)
    review.ledger.record_embeddings(MODEL, review.folder / "vectors.npy", ids)
    mask = np.zeros(SIZE, np.uint8)
    mask[20:30, 20:30] = 255
    Image.fromarray(mask).save(review.folder / "mask.png")
    _say(review, ids[1], "good")
    _say(review, ids[2], "defect", review.folder / "mask.png", "crack")
    push(review.ledger, review.client, review.project, review.images_root)
    data = _tasks(review)[asks[0]].data
    assert data["near_good_note"] == "Most alike among good parts: part1"
    assert data["near_defect_note"] == "Most alike among confirmed defects: crack"
    for key, image_id in ((NEAR_GOOD, ids[1]), (NEAR_DEFECT, ids[2])):
        assert f"ref-{image_id}" in data[key]
        answer = review.client._client_wrapper.httpx_client.httpx_client.get(
            review.server.url + data[key], headers={"Authorization": f"Token {review.server.token}"}
        )
        assert answer.status_code == 200
    # An image is nothing to compare itself with; the only good one and the only defect see the other alone.
    assert _tasks(review)[asks[1]].data["near_good_note"].startswith("No good part")
    assert _tasks(review)[asks[2]].data["near_defect_note"].startswith("No confirmed defect")
    outlined = np.asarray(Image.open(next((review.images_root / "asks").glob(f"ref-{ids[2]}-outlined.jpg"))))
    assert outlined.shape == (*SIZE, 3)
    assert outlined[18, 25, 0] > outlined[18, 25, 1] + 60


@pytest.mark.server
def test_kind_severity_and_outlines_come_back_and_survive_an_edit(review: Review) -> None:
    [first, second] = review.add_asks(2)
    ensure_project(review.client, review.title, classes=["crack", "dent"])
    push(review.ledger, review.client, review.project, review.images_root)
    answers = {
        first: Answer("defect", severity="critical", known_class="crack"),
        second: Answer("good", severity="critical", known_class="crack", defect_class="left behind"),
    }
    answer_tasks(review.client, review.project, answers)
    pull(review.ledger, review.client, review.project, review.masks)
    said = {verdict.ask_id: verdict for verdict in review.ledger.verdicts()}
    assert (said[first].defect_class, said[first].severity, said[first].regions_mask) == ("crack", "critical", None)
    assert (said[second].defect_class, said[second].severity) == (None, None)

    polygon = {
        "id": "p",
        "from_name": "outline",
        "to_name": "image",
        "type": "polygonlabels",
        "original_width": SIZE[1],
        "original_height": SIZE[0],
        "image_rotation": 0,
        "value": {
            "points": [[25, 25], [75, 25], [75, 50], [25, 50]],
            "closed": True,
            "polygonlabels": ["flaw (outline)"],
        },
    }
    changed = annotation_result(Answer("defect", severity="not critical", known_class="crack", defect_class="hairline"))
    review.client.annotations.update(int(said[first].external_id), result=[*changed, polygon])
    assert pull(review.ledger, review.client, review.project, review.masks).changed == 1
    last = review.ledger.verdicts(ask_id=first)[-1]
    assert (last.defect_class, last.severity) == ("hairline", "not critical")
    assert last.regions_mask is not None
    drawn = np.asarray(Image.open(last.regions_mask)) > 0
    # Percent of 64 × 48 pixels.
    expected = np.zeros(SIZE, bool)
    expected[12:24, 16:48] = True
    np.testing.assert_array_equal(drawn, expected)
    assert "hairline, not critical" in "".join(event.text for event in review.ledger.history(last.image_id).events)


@pytest.mark.server
def test_a_project_of_an_older_version_keeps_its_answers(review: Review) -> None:
    [answered, waiting, late] = review.add_asks(3)
    review.client.projects.update(review.project, label_config=OLD_PAGE)
    old = ("external_id", "image_id", "part", "why", "image", "overlay")
    rows = {ask.ask_id: ask for ask in review.ledger.asks()}
    tasks = [{"data": dict.fromkeys(old, "x") | {"external_id": a, "image_id": rows[a].image_id}} for a in rows]
    review.client.projects.import_tasks(review.project, request=tasks, return_task_ids=True, request_options=ONCE)  # type: ignore[arg-type]
    mask = np.zeros(SIZE, bool)
    mask[5:9, 5:9] = True
    answer_tasks(review.client, review.project, {answered: Answer("defect", mask, "scratch")})
    before = {a.id: a.result for a in review.client.annotations.list(_tasks(review)[answered].id)}

    assert ensure_project(review.client, review.title, classes=["crack"]) == review.project
    page = review.client.projects.get(review.project).label_config or ""
    assert "known_class" in page
    assert "severity" in page
    push(review.ledger, review.client, review.project, review.images_root)
    shown = _tasks(review)
    assert {a.id: a.result for a in review.client.annotations.list(shown[answered].id)} == before
    # What is still open shows the new pictures, in the same tasks.
    assert set(TASK_KEYS) <= shown[waiting].data.keys()
    assert len(shown) == len(review.task_ids()) == 3
    answer_tasks(review.client, review.project, {late: Answer("defect", severity="critical", known_class="crack")})
    pull(review.ledger, review.client, review.project, review.masks)
    said = {v.ask_id: v for v in review.ledger.verdicts()}
    assert (said[answered].defect_class, said[answered].severity) == ("scratch", None)
    assert np.asarray(Image.open(said[answered].regions_mask or "")).sum() == 16 * 255
    assert (said[late].defect_class, said[late].severity) == ("crack", "critical")
    # A kind that the ledger does not name any more stays: an answer uses it.
    ensure_project(review.client, review.title, classes=["dent"])
    page = review.client.projects.get(review.project).label_config or ""
    assert page.index('"crack"') < page.index('"dent"')
