"""Stains and ripples follow the surface that they lie on."""

from dataclasses import replace

import numpy as np
import torch
from torch import Generator, Tensor

from synth.families import FAMILIES
from synth.masks import RegionParameters

COUNT = 12


def walls(joint: float) -> Tensor:
    """Surfaces of 0.5 with joints of another brightness, four pixels wide."""
    picture = torch.full((COUNT, 1, 128, 128), 0.5)
    for first in range(0, 128, 16):
        picture[..., first : first + 4] = joint
    return picture


def in_the_middle(name: str, **held: float) -> RegionParameters:
    """Large even regions around the middle of the picture."""
    drawn = FAMILIES[name](size=(0.4, 0.401)).draw(Generator().manual_seed(0), COUNT, torch.full((COUNT,), 0.9))
    fixed = {"aspect": 1.0, "roughness": 0.0, "softness": 0.1} | held
    columns = {key: np.full(COUNT, value, np.float32) for key, value in fixed.items()}
    return replace(drawn, **columns, centre=np.full((COUNT, 2), 0.5, np.float32), square=np.zeros(COUNT, bool))


def change(name: str, parameters: RegionParameters, images: Tensor) -> Tensor:
    """Relative change of the middle of each picture, ``[B, 1, h, w]``."""
    flawed, _ = FAMILIES[name]().apply(images, parameters)
    return ((flawed - images) / images)[..., 40:88, 32:96]


def test_stains_are_denser_in_dark_joints_and_fainter_in_bright_ones() -> None:
    parameters = in_the_middle("stain", soak=1.0, cloud=0.0, rim=0.0, density=-0.4)
    parameters = replace(parameters, runs=np.zeros(COUNT, np.int64))
    for joint, denser in ((0.3, True), (0.7, False)):
        taken = -change("stain", parameters, walls(joint))
        in_joints, beside = taken.unflatten(-1, (4, 16))[..., :4], taken.unflatten(-1, (4, 16))[..., 4:]
        assert (in_joints.mean() > 1.15 * beside.mean()) == denser
        assert (in_joints.mean() < 0.87 * beside.mean()) != denser
    veil = -change("stain", replace(parameters, soak=np.zeros(COUNT, np.float32)), walls(0.3))
    assert veil.std() < 1e-3


def test_ripples_take_less_hold_in_joints() -> None:
    parameters = in_the_middle("ripple", amount=0.3, period=0.05, fading=0.0)
    for joint in (0.2, 0.9):
        waves = change("ripple", parameters, walls(joint)).unflatten(-1, (4, 16))
        assert waves[..., :4].std() < 0.6 * waves[..., 4:].std()


def test_crests_of_ripples_differ() -> None:
    even, uneven = (
        change("ripple", in_the_middle("ripple", amount=0.3, period=0.1, bend=0.0, fading=0.0, uneven=by), walls(0.5))
        for by in (0.0, 1.0)
    )
    spread = [waves.amax(dim=(2, 3)).std() for waves in (even, uneven)]
    assert spread[1] > 2 * spread[0]
