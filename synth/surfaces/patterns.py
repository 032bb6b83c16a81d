"""Formulas that surfaces are made of, drawn for many products at once.

What a pattern draws for a product stays the same from part to part, such as the period of a weave; what it draws for
each part differs, such as where its grains lie.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from synth.surfaces.numbers import Numbers

_TABLE = 64
"""Random tables are repeated after so many cells."""


@dataclass(frozen=True)
class Grid:
    """Where the pixels of pictures lie on the parts, in units of 1/256 of a picture's side, 0 in the middle.

    Attributes:
        u: ``[P, N, S, S]``, for P products of which there are N parts each.
        v: ``[P, N, S, S]``.
    """

    u: Tensor
    v: Tensor

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return self.u.shape[-1]

    def of(self, products: Tensor) -> "Grid":
        """That of some products."""
        return Grid(self.u[products], self.v[products])

    def along(self, angle: Tensor) -> Tensor:
        """Coordinate in a direction."""
        return self.u * angle.cos() + self.v * angle.sin()


Pattern = Callable[[Numbers, Grid], Tensor]
"""From random numbers and a grid of P products to fields of zero mean and unit variance, ``[P, N, S, S]``."""


def spectral(numbers: Numbers, grid: Grid) -> Tensor:
    """Noise whose power falls with frequency, stretched along one direction: castings, brushed metal, clouds, paper."""
    slope = numbers.uniform(0, 2.4)
    stretch = torch.where(numbers.chance(0.5), numbers.scale(2, 30), 1.0)
    lowest = 2 ** numbers.uniform(-9, -4)
    angle = numbers.uniform(0, torch.pi)
    white = numbers.normal(1, grid.size, grid.size)
    # Some have the same noise on every part: what was cast or printed once.
    white = torch.where(numbers.chance(0.15), white[:, :1], white)
    rows, columns = _frequencies(white)
    along = (columns * angle.cos() + rows * angle.sin()) * stretch
    across = rows * angle.cos() - columns * angle.sin()
    return _unit(_filter(white, (along**2 + across**2 + lowest**2) ** (-slope / 2)))


def grating(numbers: Numbers, grid: Grid) -> Tensor:
    """Lines, or two sets of lines that cross: weaves, meshes, milled and turned faces."""
    period, angle = numbers.scale(4, 48), numbers.uniform(0, torch.pi)
    other = angle + torch.where(numbers.chance(0.7), torch.pi / 2, numbers.uniform(0.4, 2.6))
    ratio = torch.where(numbers.chance(0.7), 1.0, numbers.uniform(0.5, 2))
    sharpness = numbers.uniform(0.5, 4)
    wobble, slowness = numbers.uniform(0, 0.25), numbers.uniform(20, 90)

    def lines(direction: Tensor, distance: Tensor) -> Tensor:
        bent = grid.along(direction) / distance + wobble * smooth(numbers, grid, slowness)
        return torch.tanh(sharpness * torch.sin(2 * torch.pi * (bent + numbers.uniform(0, 1, each=True))))

    first, second = lines(angle, period), lines(other, period * ratio)
    crossed = torch.where(numbers.chance(0.5), first * second, first + second)
    return _unit(torch.where(numbers.chance(0.55), crossed, first))


def cells(numbers: Numbers, grid: Grid) -> Tensor:
    """Grains around random points (Worley, 1996): crystals, leather, terrazzo, cracked glaze that is meant to be so."""
    side = numbers.scale(7, 50)
    u, v = (grid.u / side + 100), (grid.v / side * numbers.scale(0.5, 2) + 100)
    column, row = u.floor(), v.floor()
    jitter = numbers.uniform(0.15, 0.5)
    place = torch.stack([numbers.uniform(-1, 1, _TABLE**2, each=True) for _ in range(2)], dim=2)
    nearest = torch.full_like(u, 9.0)
    second, owner = nearest.clone(), torch.zeros_like(u, dtype=torch.int64)
    for step_u in (-1, 0, 1):
        for step_v in (-1, 0, 1):
            index = _cell(column + step_u, row + step_v)
            at_u = column + step_u + 0.5 + jitter * _look_up(place[:, :, 0], index)
            at_v = row + step_v + 0.5 + jitter * _look_up(place[:, :, 1], index)
            distance = torch.hypot(u - at_u, v - at_v)
            second = torch.minimum(second, torch.maximum(nearest, distance))
            owner = torch.where(distance < nearest, index, owner)
            nearest = torch.minimum(nearest, distance)
    edge = torch.where(numbers.chance(0.5), second - nearest, nearest)
    tones = _look_up(numbers.uniform(-1, 1, _TABLE**2, each=True), owner)
    return _unit(torch.tanh(edge / numbers.uniform(0.05, 0.5)) + numbers.uniform(0, 1) * tones)


def bricks(numbers: Numbers, grid: Grid) -> Tensor:
    """Rows of equal pieces with joints between them: masonry, tiling, solar cells, chips in a tray."""
    width, height, joint = numbers.scale(14, 110), numbers.scale(14, 110), numbers.uniform(0.8, 5)
    offset = torch.where(numbers.chance(0.6), numbers.chance(0.5) * 0.5, numbers.uniform(0, 1))
    rough = numbers.uniform(0, 1.5)
    twelve = torch.full_like(rough, 12.0)
    u, v = (place + rough * smooth(numbers, grid, twelve) + 4000 for place in (grid.u, grid.v))
    row = (v / height).floor()
    shifted = u / width + offset * row
    column = shifted.floor()
    gap_u = torch.minimum(shifted - column, column + 1 - shifted) * width
    gap_v = torch.minimum(v / height - row, row + 1 - v / height) * height
    tones = _look_up(numbers.normal(1, _TABLE**2), _cell(column, row))
    sunk = numbers.sign() * numbers.uniform(1, 3)
    return _unit(sunk * (torch.minimum(gap_u, gap_v) / joint).clamp(0, 1) + numbers.uniform(0, 1.2) * tones)


def spots(numbers: Numbers, grid: Grid) -> Tensor:
    """Blobs of one size on a plain ground: granite, foam, filler in a plastic, sintered powder."""
    field = smooth(numbers, grid, numbers.scale(2, 18))
    # The share of the ground that is covered, for a Gaussian field.
    level = torch.special.ndtri(1 - numbers.uniform(0.01, 0.5))
    return _unit(numbers.sign() * torch.tanh(numbers.uniform(2, 12) * (field - level)))


def rings(numbers: Numbers, grid: Grid) -> Tensor:
    """Tracks around a point, far or near: turned faces, wood, grinding."""
    far = numbers.scale(20, 900)
    centre_u, centre_v = numbers.normal(1, each=False) * far, numbers.normal(1, each=False) * far
    period = numbers.scale(3, 30)
    bent = numbers.uniform(0, 6) * smooth(numbers, grid, numbers.uniform(30, 120))
    place = (torch.hypot(grid.u - centre_u, grid.v - centre_v) + bent) / period + numbers.uniform(0, 1, each=True)
    below = place.floor()
    knots = numbers.normal(1, _TABLE**2)
    low, high = (_look_up(knots, (below + step).long() % _TABLE**2) for step in (0, 1))
    irregular = torch.lerp(low, high, place - below)
    return _unit(torch.where(numbers.chance(0.4), torch.sin(2 * torch.pi * place), irregular))


_MARKS = 24


def layout(numbers: Numbers, grid: Grid) -> Tensor:
    """Marks that lie alike on every part: print, pads, holes, ribs."""
    pitch_u, pitch_v = numbers.uniform(8, 40), numbers.uniform(8, 40)
    gridded, roundness = numbers.chance(0.5), numbers.uniform(-0.5, 1.5)
    tone, soft, share = numbers.sign(), numbers.uniform(0.6, 2.5), numbers.uniform(0.1, 1)
    u, v = grid.u - numbers.normal(0.5), grid.v - numbers.normal(0.5)
    field = torch.zeros_like(u)
    for _ in range(_MARKS):
        at_u, at_v = numbers.uniform(-125, 125), numbers.uniform(-125, 125)
        at_u = torch.where(gridded, (at_u / pitch_u).round() * pitch_u, at_u)
        at_v = torch.where(gridded, (at_v / pitch_v).round() * pitch_v, at_v)
        half_u, half_v = numbers.scale(1.5, 22), numbers.scale(1.5, 22)
        du, dv = (u - at_u).abs(), (v - at_v).abs()
        outside = torch.where(
            numbers.uniform(0, 1) < roundness, torch.hypot(du, dv) - half_u, torch.maximum(du - half_u, dv - half_v)
        )
        cover = (0.5 - outside / soft).clamp(0, 1) * (numbers.uniform(0, 1) < share)
        field = field + (tone * torch.where(numbers.chance(0.8), 1.0, numbers.uniform(-1, 1)) - field) * cover
    return _unit(field)


_UNITS = 12


def woven(numbers: Numbers, grid: Grid) -> Tensor:
    """What a small random network makes of places and noises (as CPPNs, Stanley, 2007): everything without a name."""
    angle = numbers.uniform(0, torch.pi)
    inputs = [torch.sin(grid.along(angle) * numbers.scale(0.03, 0.8)), grid.u / 128, grid.v / 128]
    inputs += [smooth(numbers, grid, numbers.scale(1, 40)) for _ in range(4)]
    values = torch.stack(inputs, dim=2)
    for _ in range(3):
        weights = numbers.normal(1.2, _UNITS, values.shape[2], each=False)[:, 0] / values.shape[2] ** 0.5
        shift = numbers.normal(0.6, _UNITS, 1, each=False)[:, :, :, :, None]
        mixed = torch.einsum("poi,pnihw->pnohw", weights, values) + shift
        waved = mixed[:, :, ::2].mul(2).sin()
        values = torch.cat([waved, mixed[:, :, 1::2].tanh()], dim=2)
    return _unit(values[:, :, 0] + values[:, :, -1])


PATTERNS: Mapping[str, tuple[float, Pattern]] = {
    "spectral": (5, spectral),
    "grating": (2, grating),
    "cells": (2, cells),
    "bricks": (1, bricks),
    "spots": (1.5, spots),
    "rings": (1.5, rings),
    "layout": (2, layout),
    "woven": (3, woven),
}
"""By name: how often they are drawn relative to each other, and how. Most industrial surfaces are noise of a kind."""


def smooth(numbers: Numbers, grid: Grid, sigma: Tensor) -> Tensor:
    """Gaussian noise smoothed by a Gaussian of that deviation, unit variance; ``sigma`` ``[P, 1, 1, 1]``, 1/256ths."""
    white = numbers.normal(1, grid.size, grid.size)
    rows, columns = _frequencies(white)
    return _unit(_filter(white, torch.exp(-2 * (torch.pi * sigma) ** 2 * (rows**2 + columns**2))))


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Smooth ``[..., S, S]`` by a Gaussian of that deviation in 1/256ths of the side; edges are wrapped around."""
    rows, columns = _frequencies(images)
    return _filter(images, torch.exp(-2 * (torch.pi * sigma) ** 2 * (rows**2 + columns**2)))


def _frequencies(field: Tensor) -> tuple[Tensor, Tensor]:
    """Of a real transform's rows and columns, in cycles per 1/256 of the side."""
    size = field.shape[-1]
    rows = torch.fft.fftfreq(size, device=field.device)[:, None] * size / 256
    columns = torch.fft.rfftfreq(size, device=field.device)[None] * size / 256
    return rows, columns


def _filter(field: Tensor, amplitude: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(field) * amplitude, s=field.shape[-2:])


def _cell(column: Tensor, row: Tensor) -> Tensor:
    return (column.long() % _TABLE) * _TABLE + row.long() % _TABLE


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """Values of tables ``[P, N, T]`` at ``[P, N, S, S]``."""
    return functional.embedding(
        index
        + torch.arange(index.shape[0] * index.shape[1], device=index.device).view(*index.shape[:2], 1, 1)
        * table.shape[-1],
        table.reshape(-1, 1),
    )[..., 0]


def _unit(field: Tensor) -> Tensor:
    centred = field - field.mean(dim=(-2, -1), keepdim=True)
    return centred / (centred.std(dim=(-2, -1), keepdim=True) + 1e-4)
