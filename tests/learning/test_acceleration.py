"""All that a detector says in one pass, and what is around the recordings; those themselves need a GPU."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from learning import acceleration
from learning.acceleration import Recording, Replayed, describer, exact, padded
from learning.config import TrainConfig
from learning.detectors import Budget, Detector, create
from learning.detectors.base import Traceable
from learning.images.preprocessing import Preprocessing
from learning.relearn import Confirmed, relearn
from learning.training import train_bundle
from learning.weighing import Costs
from tests.stub import StubDetector


@pytest.fixture
def detector() -> Detector:
    torch.manual_seed(0)
    found = create("segment", {"widths": (8, 16)}, Preprocessing(channels=1, height=48, width=32))
    found.network = found._new_network().eval()  # type: ignore[attr-defined]
    return found


def rand(count: int) -> Tensor:
    return torch.rand(count, 1, 48, 32, generator=torch.Generator().manual_seed(count))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Recordings that are made, by the size of their batch; on the CPU, their tensors stay where they are too."""
    made: Counter[int] = Counter()

    def record(module: Traceable, images: Tensor) -> Recording:
        made[len(images)] += 1
        found = module(images)

        def replay() -> None:
            with torch.inference_mode():
                for place, value in zip(found, module(images), strict=True):
                    place.copy_(value)

        return Recording(images, replay, found)

    monkeypatch.setattr(acceleration, "record", record)
    return made


def same(found: acceleration.Described, detector: Detector, images: Tensor) -> None:
    expected = detector.predict(images)
    for one, other in zip(found, (expected.scores, expected.maps, detector.embed(images)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_on_the_cpu_it_is_what_the_detector_says(detector: Detector) -> None:
    describe = describer(detector)
    assert not isinstance(describe, Replayed)
    same(describe(rand(3)), detector, rand(3))


def test_on_a_gpu_a_single_network_is_recorded(detector: Detector) -> None:
    detector.device = "cuda"
    assert isinstance(describer(detector), Replayed)


def test_what_is_not_one_network_is_not_recorded() -> None:
    assert not isinstance(
        describer(create("autoencoder", {}, Preprocessing(channels=1, height=48, width=32), "cuda")), Replayed
    )


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (33, 64), (64, 64)])
def test_batches_are_filled_up_to_powers_of_two(count: int, size: int) -> None:
    assert padded(count, 64) == size


def test_no_recording_is_larger_than_the_most() -> None:
    assert padded(5, 6) == 6


def test_batches_of_any_size_are_replayed_by_few_recordings(detector: Detector, recorded: Counter[int]) -> None:
    replayed = Replayed(detector.exportable(), torch.device("cpu"), most=4)
    for count in (1, 3, 4, 2, 9, 3, 1):
        same(replayed(rand(count)), detector, rand(count))
    assert recorded == {1: 1, 2: 1, 4: 1}


def test_results_stay_when_the_next_batch_comes(detector: Detector, recorded: Counter[int]) -> None:
    replayed = Replayed(detector.exportable(), torch.device("cpu"))
    first = replayed(rand(2))
    kept = [part.clone() for part in first]
    replayed(1 - rand(2))
    assert all(torch.equal(one, other) for one, other in zip(first, kept, strict=True))


def test_it_is_recorded_with_its_arithmetic(detector: Detector, recorded: Counter[int]) -> None:
    seen: list[str] = []

    def arithmetic() -> torch.autocast:
        seen.append("entered")
        return torch.autocast("cpu", torch.bfloat16)

    replayed = Replayed(detector.exportable(), torch.device("cpu"), arithmetic=arithmetic)
    replayed(rand(2))
    replayed(rand(2))
    assert seen == ["entered"]


def test_convolutions_round_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)

    def fail() -> None:
        assert not torch.backends.cudnn.allow_tf32
        msg = "out of memory"
        raise RuntimeError(msg)

    _inside(fail)
    assert torch.backends.cudnn.allow_tf32


def test_scores_and_thresholds_are_in_whole_float32(
    stub: type[StubDetector], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    rounded: list[str] = []

    def watch(name: str) -> None:
        plain = getattr(stub, name)

        def watched(self: StubDetector, images: Tensor) -> Any:
            if torch.backends.cudnn.allow_tf32:
                rounded.append(name)
            return plain(self, images)

        monkeypatch.setattr(stub, name, watched)

    for name in ("predict", "embed"):
        watch(name)
    bundle = train_bundle(data, tmp_path / "bundle", config=TrainConfig(detector="stub"), budget=Budget(steps=1))
    bundle.describe(torch.rand(2, bundle.preprocessing.channels, 32, 32))
    confirmed = [Confirmed(data / f"test/bright/0{i}.png", f"{i}", f"{i}", defective=True) for i in range(6)]
    relearn(bundle, confirmed, Costs(escape=20, false_reject=1))
    assert not rounded


def _inside(call: Callable[[], None]) -> None:
    with pytest.raises(RuntimeError, match="out of memory"), exact():
        call()
