import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import detectors, peer_detectors
from benchmarks.peer_detectors import PEERS, Terms, compare, peer_table
from benchmarks.workers.memory import peak_memory
from synth.parts import make_parts

TERMS = Terms(minutes=0.5, peer_minutes=2.0, size=64, threads=1, memory_gb=8.0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stands in for processes; says which were started."""
    commands: list[list[str]] = []

    def run(command: list[str], terms: Terms, minutes: float) -> tuple[dict[str, Any], float] | str:
        commands.append(command)
        figures = {"steps": 7, "seconds": 60 * minutes, "ms_per_image": 9.0, "size_mb": 1.5, "train_images": 4}
        if "benchmarks.detectors" in command:
            run = {**figures, "detector": command[6], "image_auroc": 0.9, "image_auroc_interval": [0.8, 1.0]}
            return {"runs": [{**run, "weights": "scratch"}]}, 500.0
        job = json.loads(Path(command[-1]).read_text())
        if job["detector"] == "padim":
            return "needs more than 8 GB"
        assert len(list(Path(job["textures"]).rglob("*.jpg"))) > 8
        return {**figures, "scores": [float("test/good" not in file) for file in job["test"]]}, 900.0

    monkeypatch.setattr(peer_detectors, "_run", run)
    monkeypatch.setattr(peer_detectors, "peer_python", lambda: Path("python-of-peers"))
    return commands


def test_all_are_measured_alike(asked: list[list[str]], tmp_path: Path) -> None:
    data = make_parts(tmp_path / "tile", "tile", good=4, test_good=4, defective=6, size=64)
    said: list[str] = []
    rows = compare(data, ["segment"], ["patchcore", "padim"], 3, TERMS, said.append)
    own, peer, failed = rows
    assert [row["who"] for row in rows] == ["flawsmith", "anomalib", "anomalib"]
    assert set(own) == set(peer)
    assert (own["minutes"], peer["minutes"]) == (0.5, 2.0)
    assert peer["image_auroc"] == 1.0
    assert peer["weights"] == PEERS["patchcore"]
    assert failed["failed"] == "needs more than 8 GB"
    assert "needs more than 8 GB" in said[-1]
    assert peer_table(rows).row_count == 3
    assert asked[0][-4:] == ["--seeds", "3", "--minutes", "0.5"]


def test_the_last_line_of_stdout_is_one_object(
    asked: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_parts(tmp_path / "tile", "tile", good=4, test_good=4, defective=6, size=64)
    detectors.main(["--data", str(data), "--peers", "--seeds", "0", "--minutes", "2", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["detector"] for row in result["rows"]] == ["segment", *PEERS]
    assert result["terms"]["peer_minutes"] == 2
    assert result["machine"]["cores"] >= 1


def test_an_unknown_peer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        detectors.main(["--parts", "tile", "--peers", "yolo"])
    assert "no peer is called 'yolo'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time; taken = b'1' * 400_000_000; time.sleep(99)", "needs more than 0.3 GB"),
        ("raise ValueError('no such layer')", "no such layer"),
        ("import time; time.sleep(99)", "stopped after"),
        ("print('{}')", None),
    ],
)
def test_a_process_that_fails_says_why(code: str, reason: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_detectors, "_GRACE_S", 2.0 if reason == "stopped after" else 120.0)
    if reason is None:
        code = "print('noise'); print('{\"peak_mb\": 3}')"
    done = peer_detectors._run(["python3", "-c", code], replace(TERMS, memory_gb=0.3), 0.0)
    assert done == ({"peak_mb": 3}, 3) if reason is None else isinstance(done, str) and reason in done


def test_a_process_knows_its_highest_memory() -> None:
    peak = peak_memory()
    assert peak is None or 20 < peak < 50_000
