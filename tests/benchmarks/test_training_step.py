from pathlib import Path

import pytest
import torch

from benchmarks import training_step
from synth.image_level import Synthesizer


def test_synthesis_is_left_out_and_put_back() -> None:
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    drawn = torch.Generator().manual_seed(0)
    with training_step._no_synthesis():
        recipe = Synthesizer().draw(drawn, 2)
        assert not recipe.groups
        flawed, masks = Synthesizer.apply(images, recipe)
        assert torch.equal(flawed, images)
        assert not masks.any()
    assert Synthesizer().draw(drawn, 2).groups


def test_a_step_with_and_without_synthesis_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_step, "_SIZE", 64)
    monkeypatch.setattr(training_step, "_GOOD", 6)
    found = training_step.measure_training_step(tmp_path, steps=2, rounds=1)
    assert 0 <= found["share_of_training_step"] < 1
    assert 0 <= found["share_of_cpu_time"] < 1
    assert 0 <= found["waited_share"] < 1
    assert found["step_ms"] > 0
    assert len(found["rounds"]) == 1
