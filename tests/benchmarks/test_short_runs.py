"""What a few minutes reach, by how many good images there are."""

import json
from pathlib import Path

import pytest

from benchmarks import short_runs
from learning.errors import DataError
from learning.images.records import ImageRecord


def records(groups: int, each: int) -> list[ImageRecord]:
    good = [
        ImageRecord(
            path=Path(f"train/good/{group}_{i}.png"), label="good", split="train", part=f"{group}_{i}", group=f"{group}"
        )
        for group in range(groups)
        for i in range(each)
    ]
    return [*good, ImageRecord(path=Path("test/hole/0.png"), label="hole", split="test", part="t", group="t")]


def test_fewer_are_among_more_and_all_that_test_stay() -> None:
    every = records(6, 3)
    four, nine = ({one.path for one in short_runs.few(every, count, seed=1)} for count in (4, 9))
    assert (len(four), len(nine)) == (5, 10)
    assert four < nine
    assert Path("test/hole/0.png") in four


def test_groups_are_taken_whole_but_for_the_last() -> None:
    taken = [one.group for one in short_runs.few(records(6, 3), 7, seed=0) if one.split == "train"]
    assert sorted(taken.count(group) for group in set(taken)) == [1, 3, 3]


def test_too_few_are_said_so() -> None:
    with pytest.raises(DataError, match="there are 18 good images to train on, and not 19"):
        short_runs.few(records(6, 3), 19, seed=0)


def test_it_trains_measures_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "curve.png"
    short_runs.main(["--parts", "label", "--quick", "--steps", "1", "--json", "--plot", str(picture)])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(one["data"], one["good"]) for one in result["runs"]] == [("label", 20), ("label", 30)]
    assert all(0 <= one["image_auroc"] <= 1 and one["train_images"] < one["good"] for one in result["runs"])
    assert picture.stat().st_size > 1000
