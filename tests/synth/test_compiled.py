"""Compiled loops paint what the torch operations beside them do, and need no folder for their cache."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from synth import jit
from synth.blending import membrane
from synth.compiled import usable
from synth.families import ANYWHERE, FAMILIES, Context
from synth.foreground import foreground
from synth.ground import Ground

USERS = [name for name in sys.modules if name.startswith("synth.") and hasattr(sys.modules[name], "usable")]


@pytest.fixture
def by_torch(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """Runs something as on a device that the loops cannot work on."""

    def run(work: Callable[[], Any]) -> Any:
        with monkeypatch.context() as patched:
            for name in USERS:
                if name != "synth.compiled":
                    patched.setattr(f"{name}.usable", lambda images: False)
            return work()

    return run


def parts(count: int, channels: int, size: tuple[int, int], seed: int = 1) -> Tensor:
    grain = torch.rand(count, channels, *size, generator=Generator().manual_seed(seed))
    return ((0.35 + 0.3 * grain) * 255).round() / 255


def discs(count: int, size: tuple[int, int]) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, size[0]), torch.linspace(-1, 1, size[1]), indexing="ij")
    return (x * x + y * y < 0.7).float().expand(count, 1, *size).contiguous()


@pytest.mark.parametrize("name", sorted(ANYWHERE))
@pytest.mark.parametrize(("channels", "size", "whole"), [(1, (72, 56), False), (3, (64, 90), True)])
def test_other_devices_get_the_same_pixels_within_a_level(
    name: str, channels: int, size: tuple[int, int], whole: bool, by_torch: Callable[[Callable[[], Any]], Any]
) -> None:
    images = parts(12, channels, size)
    context = Context(None if whole else discs(12, size), parts(4, channels, size, seed=2))
    family = FAMILIES[name]()
    parameters = family.draw(Generator().manual_seed(5), 12)
    compiled = family.apply(images, parameters, context)[0]
    other = by_torch(lambda: family.apply(images, parameters, context)[0])
    assert (compiled - other).abs().max() < 1 / 255
    assert not torch.equal(compiled, images)


@pytest.mark.parametrize("name", ["bite", "blob", "crack", "dent", "perlin", "spall", "stain", "uneven"])
def test_large_flaws_are_painted_band_by_band(name: str, by_torch: Callable[[Callable[[], Any]], Any]) -> None:
    images = parts(3, 1, (300, 260))
    family = FAMILIES[name]()
    parameters = family.draw(Generator().manual_seed(1), 3, torch.ones(3))
    compiled = family.apply(images, parameters)[0]
    assert (compiled - by_torch(lambda: family.apply(images, parameters)[0])).abs().max() < 1 / 255


@pytest.mark.parametrize(("sources", "textures"), [(0, 0), (0, 3), (2, 0), (2, 3)])
def test_content_is_taken_from_where_torch_takes_it(
    sources: int, textures: int, by_torch: Callable[[Callable[[], Any]], Any]
) -> None:
    size, family = (60, 84), FAMILIES["perlin"]()
    images = parts(24, 3, size)
    context = Context(
        discs(24, size), *(parts(n, 3, size, seed=n) if n else None for n in (sources, textures)), depth=16
    )
    parameters = family.draw(Generator().manual_seed(3), 24)
    compiled = family.apply(images, parameters, context)
    other = by_torch(lambda: family.apply(images, parameters, context))
    assert (compiled[0] - other[0]).abs().max() < 1 / 255
    assert (compiled[1] != other[1]).float().mean() < 1e-3


@pytest.mark.parametrize("size", [(1, 30), (5, 7), (40, 33), (129, 64), (200, 177)])
def test_membranes_are_those_of_torch(size: tuple[int, int], by_torch: Callable[[Callable[[], Any]], Any]) -> None:
    generator = Generator().manual_seed(0)
    values = torch.rand(3, 3, *size, generator=generator)
    unknown = torch.rand(3, 1, *size, generator=generator) > 0.4
    unknown[2] = True
    other = by_torch(lambda: membrane(values, unknown))
    torch.testing.assert_close(membrane(values, unknown), other, rtol=0, atol=1e-4)


def test_places_are_those_of_torch(by_torch: Callable[[Callable[[], Any]], Any]) -> None:
    mask = discs(4, (50, 70))
    rows, fractions = np.array([0, 1, 2, 3, 3]), np.random.default_rng(0).random((5, 2)).astype(np.float32)
    fractions[0], fractions[1] = 0, 1
    for place in ("place", "place_at_border"):
        found = getattr(Ground(mask, (50, 70)), place)(rows, fractions)
        other = by_torch(lambda place=place: getattr(Ground(mask, (50, 70)), place)(rows, fractions))
        assert np.array_equal(found, other)


@pytest.mark.parametrize("size", [(256, 256), (300, 180), (90, 400)])
def test_parts_are_found_where_torch_finds_them(
    size: tuple[int, int], by_torch: Callable[[Callable[[], Any]], Any]
) -> None:
    images = 0.2 + 0.5 * discs(2, size) + 0.05 * torch.rand(2, 1, *size, generator=Generator().manual_seed(0))
    masks, trust = foreground(images)
    others, other_trust = by_torch(lambda: foreground(images))
    assert (masks != others).float().mean() < 1e-3
    torch.testing.assert_close(trust, other_trust, rtol=0, atol=0.01)
    assert trust.min() > 0.5


def test_what_the_loops_cannot_work_on_is_left_to_torch() -> None:
    assert usable(torch.zeros(1))
    assert not usable(torch.zeros(1, dtype=torch.float64))
    assert not usable(torch.zeros(1, requires_grad=True))
    assert not usable(torch.zeros(1, device="meta"))


def test_without_a_folder_to_write_to_loops_are_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def none(function: Callable[..., Any]) -> Any:
        asked.append(function)
        msg = "cannot cache function 'one': no locator available for file 'kernels.py'"
        raise RuntimeError(msg)

    monkeypatch.setattr(jit, "_Cache", none)

    def one() -> int:
        return 1

    assert jit.compiled(one)() == 1
    assert asked == [one]


def test_what_a_loop_calls_in_another_file_is_compiled_anew_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(
        "from synth.jit import compiled\nfrom helper import two\n\n@compiled\ndef twice(x):\n    return two() * x\n"
    )
    command = [sys.executable, "-c", "from loop import twice; print(twice(21))"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for two in (2, 2, 3):
        (tmp_path / "helper.py").write_text(
            f"from synth.jit import part_of_others\n\n@part_of_others\ndef two():\n    return {two}\n"
        )
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        assert int(done.stdout) == 21 * two
        assert list((tmp_path / "__pycache__").glob("loop.twice-*.nbi"))


def test_a_full_disk_does_not_stop_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def compiled_but_not_kept() -> int:
        calls.append(None)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        return 1

    monkeypatch.setattr(numba, "njit", lambda **options: lambda function: compiled_but_not_kept)
    assert jit.compiled(lambda: 0)() == 1
