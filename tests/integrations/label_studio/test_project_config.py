import re

import pytest

from integrations.errors import ServerError
from integrations.label_studio.page import TASK_KEYS, check_config, check_task, classes_of, labelling_config

GOOD = labelling_config()


def test_the_verdicts_have_keys() -> None:
    keys = dict(re.findall(r'Choice value="([\w ]+)" hotkey="(\d)"', labelling_config(["crack"])))
    verdicts = {"good": "1", "defect": "2", "unsure": "3"}
    assert keys == {**verdicts, "critical": "4", "not critical": "5", "crack": "6"}


def test_more_kinds_than_keys_and_none_at_all() -> None:
    many = [f"kind {number}" for number in range(12)]
    assert classes_of(labelling_config(many)) == many
    assert classes_of(GOOD) == classes_of("<View") == []


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (
            GOOD.replace("<BrushLabels", "<BrushLabel").replace("</BrushLabels", "</BrushLabel"),
            "unknown tag BrushLabel",
        ),
        (GOOD.replace('toName="image"', 'toName="picture"'), "toName picture points nowhere"),
        (GOOD.replace('name="overlay"', 'name="image"'), "the name image is given twice"),
        (GOOD.replace("$overlay", "$heat"), "tasks carry no heat"),
        (GOOD.replace('hotkey="2"', 'hotkey="1"'), "the hotkey 1 is given twice"),
        ("<View><Image", "not XML"),
    ],
)
def test_what_label_studio_accepts_in_silence_is_refused(wrong: str, what: str) -> None:
    with pytest.raises(ServerError, match=re.escape(what)):
        check_config(wrong)


def _task() -> dict:
    data = dict.fromkeys(TASK_KEYS, "x")
    return {"data": data, "predictions": [{"result": [{"from_name": "region", "to_name": "image"}]}]}


def test_a_predicted_verdict_is_refused() -> None:
    check_task(_task())
    task = _task()
    task["predictions"][0]["result"][0]["from_name"] = "verdict"
    with pytest.raises(ServerError, match="verdict"):
        check_task(task)


def test_a_task_without_its_overlay_is_refused() -> None:
    task = _task()
    del task["data"]["overlay"]
    with pytest.raises(ServerError, match="overlay"):
        check_task(task)
