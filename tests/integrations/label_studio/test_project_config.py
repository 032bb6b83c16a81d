import re

import pytest

from integrations.errors import ServerError
from integrations.label_studio.project import check_config, check_task, labelling_config

GOOD = labelling_config()


def test_the_verdicts_have_keys() -> None:
    assert re.findall(r'Choice value="(\w+)" hotkey="(\d)"', GOOD) == [("good", "1"), ("defect", "2"), ("unsure", "3")]


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
    data = dict.fromkeys(("external_id", "image_id", "part", "why", "image", "overlay"), "x")
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
