import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import scoring


def test_the_reference_comes_first_and_mirrors_only_where_they_are() -> None:
    plain, mirrored = scoring.ways(mirrored=False), scoring.ways(mirrored=True)
    assert plain[0] == scoring.Way("torch fp32")
    assert [way.name for way in plain[1:]] == ["torch bf16", "onnx fp32", "openvino fp32", "openvino int8"]
    assert [way.name for way in mirrored[5:]] == [f"{way.name}, no mirrors" for way in plain[2:]]
    assert all(way.export is not None and not way.export.mirrors for way in mirrored[5:])


def test_last_line_of_stdout_is_one_object(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(data: Path, folder: Path, seed: int, options: Any) -> list[dict[str, Any]]:
        names = ("ms_p50", "ms_p99", "cpu_ms_p50", "auroc", "largest_score_difference", "peak_mb", "model_mb")
        return [{"way": "torch fp32", "seed": seed, **dict.fromkeys(names, 1.0)}]

    monkeypatch.setattr(scoring, "measure", measure)
    scoring.main(["--data", str(tmp_path), "--seeds", "0,1", "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert [row["seed"] for row in result["rows"]] == [0, 1]
    assert result["machine"]["threads"] == 1
    assert "openvino" in result["machine"]["export"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(["--data", "nowhere"], "nowhere does not exist"), (["--bundle", "."], "--bundle takes the --data")],
)
def test_mistakes_are_named(wrong: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        scoring.main(wrong)
    assert message in capsys.readouterr().err
