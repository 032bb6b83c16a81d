import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import synthesis, synthesis_together, training_step
from benchmarks.peers import PeerError, peer_python
from benchmarks.profiling import markdown, profile_generator
from benchmarks.synthesis import good_pictures, ratio, write_textures
from benchmarks.synthesis_tables import tables
from benchmarks.synthesis_together import measure_together
from benchmarks.workers.flawsmith import FOREGROUND, MIX, make
from benchmarks.workers.jobs import Answer, Job, work
from benchmarks.workers.process import Worker

RATES = {
    "anomalib_textures": {"cpu_1": [10.0, 20.0, 40.0]},
    "anomalib_noise": {"cpu_1": [20.0, 10.0, 30.0]},
    "perlin": {"cpu_1": [200.0, 100.0, 80.0]},
}


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return good_pictures(64, seed=0)


def test_ratios_are_taken_round_by_round_to_the_faster_way_of_using_anomalib() -> None:
    assert ratio(RATES, "perlin", "cpu_1") == 5  # the median of 10, 5 and 2
    assert ratio({"perlin": RATES["perlin"]}, "perlin", "cpu_1") is None


@pytest.mark.parametrize("generator", [MIX, "crack", FOREGROUND])
def test_a_job_paints_what_it_was_asked_for(generator: str, pictures: np.ndarray) -> None:
    pixels = torch.from_numpy(pictures)[:, None].float() / 255
    answer = work(Job(generator, images=8, batch=4, size=64), pixels, make)
    assert answer.seconds > 0
    assert answer.cpu_seconds > 0
    assert answer.painted > 0.5


def test_pictures_are_brought_to_size_and_channels(pictures: np.ndarray) -> None:
    seen: list[torch.Size] = []

    def watch(generator: str, batches: list[torch.Tensor], seed: int) -> Any:
        seen.extend(batch.shape for batch in batches)
        return lambda index: torch.zeros(2, 1, 96, 96)

    pixels = torch.from_numpy(pictures)[:, None].float() / 255
    answer = work(Job("any", images=4, batch=2, size=96, channels=3), pixels, watch)
    assert seen == [torch.Size([2, 3, 96, 96])] * 2
    assert answer.painted == 0


def test_a_worker_answers_from_a_process_of_its_own(tmp_path: Path, pictures: np.ndarray) -> None:
    np.save(tmp_path / "pictures.npy", pictures)
    with Worker(Path(sys.executable), "benchmarks.workers.flawsmith", [tmp_path / "pictures.npy"]) as worker:
        answers = [worker.do(Job("blob", images=4, batch=4, size=64, seed=seed)) for seed in (0, 0)]
    assert answers[0].painted == answers[1].painted > 0


def test_a_worker_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="No module named"),
        Worker(Path(sys.executable), "benchmarks.workers.nobody", [tmp_path]) as worker,
    ):
        worker.do(Job("blob", images=4, batch=4))


def test_textures_are_colour_pictures_of_the_images_size(tmp_path: Path, pictures: np.ndarray) -> None:
    from PIL import Image

    write_textures(tmp_path / "textures", pictures[:2], seed=0)
    files = sorted((tmp_path / "textures").iterdir())
    assert [Image.open(file).size for file in files] == [(64, 64)] * 2
    assert np.ptp(np.asarray(Image.open(files[0])).astype(int), axis=2).max() > 10


def test_a_profile_names_operations_and_functions(pictures: np.ndarray) -> None:
    pixels = torch.from_numpy(pictures)[:, None].float() / 255
    found = profile_generator(Job("perlin", images=4, batch=4, size=64), pixels, make)
    assert all(cost.what.startswith("synth.") and 0 < cost.share <= 1 for cost in found.functions)
    assert any(cost.what.startswith("aten::") for cost in found.operations)
    assert sum(cost.share for cost in found.operations) <= 1
    assert found.calls_per_image >= max(cost.calls_per_image for cost in found.operations)
    assert "synth.image_level.apply" in markdown([found])


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the measurements."""
    devices = {"cpu_1": [200.0, 100.0, 80.0]}
    answer = Answer(1.0, 1.0, 1.0, 12.0)
    step = {"share_of_training_step": 0.1, "share_of_cpu_time": 0.1, "waited_share": 0.0, "step_ms": 250.0}
    monkeypatch.setattr(
        synthesis,
        "measure_rates",
        lambda setting, plan: (
            (rates := {"perlin": devices, "mix": devices, **({} if setting.peer is None else RATES)}),
            rates,
            dict.fromkeys(rates, 1.0),
        ),
    )
    monkeypatch.setattr(synthesis, "measure_linearity", lambda setting, plan: {"exponent": 1.0, "runs": []})
    monkeypatch.setattr(synthesis, "_alone", lambda worker, job: answer)
    monkeypatch.setattr(training_step, "measure_training_step", lambda folder, steps, rounds, seed: dict(step))
    monkeypatch.setattr(synthesis, "peer_python", lambda: Path(sys.executable))


def test_speed_is_measured_of_the_generators_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Idle:
        """Stands in for the worker."""

        def do(self, job: Job) -> Answer:
            return Answer(1.0, 0.5, 1.0, None)

    monkeypatch.setattr(synthesis.Setting, "own", lambda setting: nullcontext(Idle()))
    plan = ["--alone", "--quick", "--size", "64", "--threads", "1", "--images", "16", "--parts", "rates"]
    synthesis.main([*plan, "--generators", "crack,mix", "--json"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["images_per_second"] == {"crack": {"cpu_1": 16}, "mix": {"cpu_1": 16}}
    assert result["images_per_cpu_second"] == {"crack": {"cpu_1": 32}, "mix": {"cpu_1": 32}}
    with pytest.raises(SystemExit):
        synthesis.main(["--generators", "nobody"])
    assert "no generator nobody" in capsys.readouterr().err


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("alone", [[], ["--alone"]])
def test_last_line_of_stdout_is_one_object(alone: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    synthesis.main(["--quick", "--json", "--size", "64", *alone])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["ratio_per_thread_perlin"] == (None if alone else 5)
    assert result["images_per_second"]["mix"] == {"cpu_1": 100}
    assert result["share_of_training_step"] == 0.1
    assert result["peak_memory_mb"]["batch"]["perlin"] == 12
    assert result["machine"]["cores"] >= 1
    assert torch.cuda.is_available() or result["replay_across_devices"] is None


@pytest.mark.usefixtures("measured")
def test_only_what_is_asked_for_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    synthesis.main(["--quick", "--json", "--alone", "--size", "64", "--parts", "linearity"])
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["linearity"]["exponent"] == 1
    assert not {"images_per_second", "peak_memory_mb", "share_of_training_step"} & set(result)


@pytest.mark.parametrize("wrong", [["--images", "20"], ["--size", "8"], ["--threads", "0"], ["--parts", "speed"]])
def test_mistakes_are_named(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        synthesis.main(wrong)
    assert wrong[0] in capsys.readouterr().err


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    constraints, uv, log = tmp_path / "constraints.txt", tmp_path / "uv", tmp_path / "log"
    constraints.write_text("anomalib==2.7.0\n")
    uv.write_text(
        f'#!/bin/sh\necho "$@" >> {log}\n[ "$1" = venv ] && mkdir -p {tmp_path}/peers/bin '
        f"&& touch {tmp_path}/peers/bin/python\nexit 0\n"
    )
    uv.chmod(0o755)
    for _ in range(2):
        assert peer_python(tmp_path / "peers", uv, constraints) == tmp_path / "peers" / "bin" / "python"
    venv, install = log.read_text().splitlines()
    assert venv.startswith("venv")
    assert "--constraints" in install
    constraints.write_text("anomalib==2.8.0\n")
    peer_python(tmp_path / "peers", uv, constraints)
    assert len(log.read_text().splitlines()) == 4


def test_an_environment_that_cannot_be_made_is_told_with_the_way_round(tmp_path: Path) -> None:
    constraints, uv = tmp_path / "constraints.txt", tmp_path / "uv"
    constraints.write_text("anomalib==2.7.0\n")
    with pytest.raises(PeerError, match="make env"):
        peer_python(tmp_path / "peers", uv, constraints)
    uv.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    uv.chmod(0o755)
    with pytest.raises(PeerError, match=r"no network.*--alone"):
        peer_python(tmp_path / "peers", uv, constraints)


def test_processes_share_a_gpu_as_far_as_its_memory_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy:
        """Stands in for a worker: a batch of 512 takes 10 GB, one of 64 next to nothing."""

        def __enter__(self) -> "Busy":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def do(self, job: Job) -> Answer:
            return Answer(0.0, 0.0, 1.0, 10_000.0 if job.batch == 512 else 1.0)

    monkeypatch.setattr(synthesis_together.Worker, "do", lambda worker, job: worker.do(job))
    job = Job("mix", 0, 0, 64, device="cuda")
    rows = measure_together(lambda: Busy(), job, (64, 512), 3, cores=9, room=50_000)  # type: ignore[arg-type, return-value]
    assert [row["processes"] for row in rows if row["batch"] == 64] == [1, 2, 4, 8]
    assert [row["processes"] for row in rows if row["batch"] == 512] == [1, 2]
    for row in rows:
        least, most = row["range"]
        assert 0 < least <= row["images_per_second"] <= most
    (drawn, _) = tables({"size": 64, "together": rows})
    assert drawn.row_count == 6
