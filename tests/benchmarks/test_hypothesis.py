import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import hypothesis


def test_the_chosen_hypothesis_is_compared_with_the_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(data: Path, kind: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
        chosen = ("manifold", "hypersphere")[seed]
        figures = {"manifold": 0.8, "hypersphere": 0.7}
        return {"kind": kind, "seed": seed, "chosen": chosen, "separation": figures, "image_auroc": figures}

    monkeypatch.setattr(hypothesis, "run", run)
    monkeypatch.setattr(hypothesis, "make_parts", lambda *_, **__: None)
    hypothesis.main(["--parts", "tile", "label", "--seeds", "0", "1", "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert [row["kind"] for row in result["summary"]] == ["tile", "label"]
    row = result["summary"][0]
    assert row["chosen"] == {"manifold": 1, "hypersphere": 1}
    assert row["image_auroc"] == {"manifold": 0.8, "hypersphere": 0.7}
    assert row["gain"] == pytest.approx(0)
    assert row["spread"] == pytest.approx(0.1 * 2**0.5)


def test_both_are_trained_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hypothesis.main(["--parts", "tile", "--quick", "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    (one,) = json.loads(line)["runs"]
    assert set(one["image_auroc"]) == {"manifold", "hypersphere"}
    assert one["chosen"] == max(one["separation"], key=lambda name: one["separation"][name])
