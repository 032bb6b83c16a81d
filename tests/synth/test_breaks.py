"""Open cracks and spalls: where their walls are lit, how far they go, and that large ones fit together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from synth.families import FAMILIES, Crack, Spall
from synth.families.crack import CrackParameters
from synth.ground import Ground
from synth.windows import cuts


def open_cracks(count: int, width: float, crossing: bool) -> CrackParameters:
    drawn = Crack().draw(Generator().manual_seed(2), count, torch.ones(count))
    all_of = np.ones(count, np.float32)
    return replace(
        drawn,
        start=np.full((count, 2), 0.5, np.float32),
        width=width * all_of,
        crossing=np.full(count, crossing),
        wall=0.5 * all_of,
        depth=-0.9 * all_of,
    )


def sides_touched(mask: Tensor) -> int:
    return sum(bool(line.any()) for line in (mask[0, 0], mask[0, -1], mask[0, :, 0], mask[0, :, -1]))


@pytest.mark.parametrize("size", [(96, 96), (80, 240)])
def test_a_crossing_crack_goes_from_border_to_border(size: tuple[int, int]) -> None:
    straight = np.full(16, 0.05, np.float32)
    parameters = replace(open_cracks(16, 0.03, crossing=True), wander=straight, jitter=straight)
    _, masks = Crack().apply(torch.full((16, 1, *size), 0.5), parameters)
    assert all(sides_touched(mask) >= 2 for mask in masks)


@pytest.mark.parametrize("name", ["crack", "spall"])
def test_the_wall_away_from_the_light_is_lit_and_the_other_in_shadow(name: str) -> None:
    count = 24
    if name == "crack":
        parameters = replace(open_cracks(count, 0.08, crossing=False), relief=np.ones(count, np.float32))
    else:
        drawn = Spall(size=(0.2, 0.201)).draw(Generator().manual_seed(0), count, torch.ones(count))
        held = {"centre": np.full((count, 2), 0.5, np.float32), "grain": np.zeros(count, np.float32)}
        parameters = replace(drawn, **held, brightness=np.full(count, -0.2, np.float32))
    flawed, masks = FAMILIES[name]().apply(torch.full((count, 1, 192, 192), 0.5), parameters)
    y, x = torch.meshgrid(torch.arange(192.0), torch.arange(192.0), indexing="ij")
    away = []
    for picture, mask, light in zip(flawed, masks, parameters.light.tolist(), strict=True):
        towards = x * np.cos(light) + y * np.sin(light)
        values, place = picture[mask > 0], towards[mask[0] > 0]
        away.append(float(torch.corrcoef(torch.stack([values, place]))[0, 1]))
    assert np.median(away) < -0.1
    assert np.mean(np.array(away) < 0) > 0.8


def test_an_open_crack_is_darkest_inside() -> None:
    flawed, masks = Crack().apply(torch.full((8, 1, 256, 256), 0.5), open_cracks(8, 0.06, crossing=True))
    assert (flawed.flatten(1).amin(dim=1) < 0.1).all()
    assert (flawed.flatten(1).amax(dim=1) > 0.55).all()
    assert masks.flatten(1).mean(1).max() < 0.4


def test_thick_cracks_fit_together_from_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    images, parameters = torch.full((3, 1, 500, 430), 0.5), open_cracks(3, 0.1, crossing=True)
    whole, _ = Crack().apply(images, parameters)
    monkeypatch.setattr("synth.windows._TILE", 90)
    tiled, _ = Crack().apply(images, parameters)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-3)


def test_spalls_grow_from_two_percent_of_the_picture_to_more_than_a_quarter() -> None:
    widths = []
    for severity in (0.0, 1.0):
        parameters = Spall().draw(Generator().manual_seed(0), 48, torch.full((48,), severity))
        _, masks = Spall().apply(torch.full((48, 1, 256, 256), 0.5), parameters)
        columns = masks.amax(dim=2).flatten(1).sum(dim=1)
        widths.append(float(columns[columns > 0].median()) / 256)
    assert widths[0] < 0.08
    assert widths[1] > 0.25


def test_a_flat_piece_is_cut_in_tiles_though_its_margin_is_higher() -> None:
    images, ground = torch.rand(1, 1, 40, 1500, generator=Generator().manual_seed(0)), Ground(None, (40, 1500))
    box = np.array([[0, 10, 1500, 8]])
    centre = np.array([[750.0, 14.0]])
    seen = torch.zeros_like(images)
    for cut in cuts(images, images, ground, np.zeros(1, np.int64), centre, box, box, 20, contour=False):
        ((left, top, width, height),) = cut.boxes
        seen[..., top : top + height, left : left + width] += 1
    assert seen[..., 10:18, :].eq(1).all()
    assert seen.sum() == 8 * 1500
