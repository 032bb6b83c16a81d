import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import curriculum


def test_runs_are_paired_by_parts_and_seed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(data: Path, kind: str, seed: int, taught: bool, options: argparse.Namespace) -> dict[str, Any]:
        figures = {"left_out": 0.7 + 0.1 * seed + 0.05 * taught, "defects": 0.6}
        return {"kind": kind, "seed": seed, "curriculum": taught, **figures}

    monkeypatch.setattr(curriculum, "run", run)
    monkeypatch.setattr(curriculum, "make_parts", lambda *_, **__: None)
    curriculum.main(["--kinds", "tile,label", "--seeds", "0,1", "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert len(result["runs"]) == 8
    assert [summary["kind"] for summary in result["summary"]] == ["tile", "label", "all"]
    gained = result["summary"][0]["left_out"]["difference"]
    assert gained["mean"] == pytest.approx(0.05)
    assert gained["std"] == pytest.approx(0, abs=1e-9)
    assert result["summary"][0]["left_out"]["without"]["std"] == pytest.approx(0.1 / 2**0.5)
    assert result["summary"][2]["defects"]["difference"] == {"mean": 0, "std": 0}
