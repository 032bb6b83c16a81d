"""Flaws are painted on the images' device: nothing is left on the CPU, and not image by image."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Generator

from benchmarks.replays import replay_across_devices
from synth.devices import together, widening
from synth.families import ANYWHERE, FAMILIES, Context
from tests.devices import needs_cuda
from tests.synth.elsewhere import DEVICE, Elsewhere, elsewhere
from tests.synth.test_compiled import discs, parts


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    with elsewhere(monkeypatch) as mode:
        yield mode


@pytest.mark.parametrize("channels", [1, 3])
def test_a_recipe_gives_the_same_pixels_on_another_device(channels: int, device: Elsewhere) -> None:
    found = replay_across_devices(parts(24, channels, (72, 64)), DEVICE)
    assert set(found["families"]) == set(FAMILIES)
    assert found["greatest_difference"] < 1 / 255
    assert all(family["again"] == 0 for family in found["families"].values())
    assert all(family["alone"] < 1 / 255 for family in found["families"].values())
    assert all(family["mask_share"] < 0.01 for family in found["families"].values())
    assert device.calls["aten::_to_copy"] > 0


@pytest.mark.parametrize("name", sorted(set(ANYWHERE) - {"crack", "poisson"}))
def test_four_times_the_images_take_less_than_twice_the_calls(name: str, device: Elsewhere) -> None:
    """Poisson patches of each size are solved by themselves, and cracks of each thickness drawn by themselves."""
    family = FAMILIES[name]()
    calls = []
    for count in (64, 256):
        context = Context(discs(count, (32, 32)).to(DEVICE), parts(4, 3, (32, 32)).to(DEVICE))
        parameters, images = family.draw(Generator().manual_seed(0), count), parts(count, 3, (32, 32)).to(DEVICE)
        device.calls.clear()
        family.apply(images, parameters, context)
        calls.append(device.calls.total())
    assert calls[1] < 2 * calls[0]


def test_mixed_devices_are_refused_as_a_gpu_refuses_them(device: Elsewhere) -> None:
    there = torch.ones(3, device=DEVICE)
    with pytest.raises(RuntimeError, match=r"aten::mul.*on the CPU"):
        _ = there * torch.ones(3)
    assert (there * 2).cpu().tolist() == [2, 2, 2]


def test_accelerators_work_on_more_at_once() -> None:
    cpu = torch.device("cpu")
    assert together(DEVICE) > 16 * together(cpu)
    assert widening(DEVICE, 256) > widening(cpu, 256)


@needs_cuda
@pytest.mark.parametrize("channels", [1, 3])
def test_a_recipe_gives_the_same_pixels_on_a_gpu(channels: int) -> None:
    found = replay_across_devices(parts(12, channels, (200, 160)), torch.device("cuda"))
    wrong = {k: v for k, v in found["families"].items() if v["difference"] > 1 / 255 or v["again"]}
    assert not wrong


@needs_cuda
def test_large_pictures_are_painted_on_a_gpu() -> None:
    images = parts(1, 1, (1500, 1300))
    for name in ANYWHERE:
        family = FAMILIES[name]()
        parameters = family.draw(Generator().manual_seed(5), 1, torch.ones(1))
        there = family.apply(images.cuda(), parameters)[0].cpu()
        assert (there - family.apply(images, parameters)[0]).abs().max() <= 1 / 255, name
        assert np.isfinite(there.numpy()).all()
