"""Blobs: blowholes, pits with a lit rim, and inclusions of irregular outline, from three pixels upwards."""

from dataclasses import dataclass, fields, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from synth.draws import Draws, subdued
from synth.families.base import Context, Family, select
from synth.families.shading import light, shade
from synth.masks import RegionParameters, draw_region, half_axes, region, region_columns, region_reach
from synth.noise import Numbers, bell_table, directions, normals
from synth.spots import NO_FLAWS, Spots, paint
from synth.windows import Window, run

_MOST = 4

_OCTAVES = 3
"""Of the noise that bends the outlines."""


@dataclass(frozen=True, kw_only=True)
class BlobParameters(RegionParameters):
    """One blob, or a cluster, per image.

    Attributes:
        depth: ``[B]`` change of brightness; negative is darker.
        rim: ``[B]`` change of brightness at the edge, over ``depth``; negative is the other way.
        number: ``[B]`` int64, blobs in the cluster, 1..4.
        spread: ``[B]`` radius of the cluster, in half axes of its blobs.
        light: ``[B]`` direction that the light comes from, radians.
        relief: ``[B]`` change of brightness where the wall of a pit is steepest, 0..1; 0 is flat, as an inclusion.
    """

    depth: Numbers
    rim: Numbers
    number: Numbers
    spread: Numbers
    light: Numbers
    relief: Numbers


class Blob(Family[BlobParameters]):
    """Draws and paints blobs.

    Args:
        size: Range of half the longer axis, as a fraction of the image's shorter side.
        depth: Range of the change of brightness, without its sign.
    """

    name: ClassVar[str] = "blob"
    parameters_class = BlobParameters

    def __init__(self, size: tuple[float, float] = (0.008, 0.14), depth: tuple[float, float] = (0.08, 0.9)) -> None:
        self.size = size
        self.depth = depth

    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> BlobParameters:
        """Draw a blob per image; three in four are dark, one in four is a cluster; most dark ones are pits."""
        draws = Draws(generator, count, severity)
        depth = subdued(draws.signed(*self.depth, negative=0.75), self.depth[0])
        return BlobParameters(
            **draw_region(draws, self.size, aspect=(0.35, 1.0), softness=(0.1, 0.8), square=0.05),
            depth=depth,
            rim=draws.uniform(-0.6, 0.4),
            number=(draws.integers(0, 4 * _MOST - 1) - 3 * _MOST + 2).clip(1, _MOST),
            spread=draws.uniform(1.5, 5.0),
            light=draws.uniform(0, 2 * np.pi),
            relief=draws.uniform(0.4, 1.0) * np.abs(depth) * (depth < 0) * draws.chance(0.75),
        )

    def reach(self, parameters: BlobParameters, size: tuple[int, int]) -> Numbers:
        """As far as the farthest blob of the cluster, and the light on its wall."""
        ragged = (1 + 0.3 * parameters.roughness)[:, None]
        reach = region_reach(parameters, size) * ragged
        for i in range(1, int(parameters.number.max())):
            shift, blob = _blob(parameters, i, size)
            beside = np.abs(shift) + region_reach(blob, size) * ragged
            reach = np.maximum(reach, beside * (parameters.number > i)[:, None])
        return reach + _step(parameters, size)[:, None] * (parameters.relief > 0)[:, None]

    def paint_in_place(self, spots: Spots, parameters: BlobParameters, context: Context) -> Numbers:
        """In one loop over the pixels."""
        p = parameters
        table = spots.table(*region_columns(p), p.depth, p.rim, p.number, p.spread, p.light, p.relief)
        paint("paint_blobs", spots, spots.level, _OCTAVES, table, bell_table(), *directions())
        return NO_FLAWS

    def paint(self, window: Window, parameters: BlobParameters, context: Context) -> Tensor:
        """Darken or brighten the images inside the blobs, and light the walls of pits."""
        inside = _cluster(parameters, window)
        edge = (1 - inside).mul_(inside).mul_(window.column(4 * parameters.rim))
        painted = shade(window, edge.add_(inside), parameters.depth)
        pits = np.flatnonzero(parameters.relief)
        if len(pits):
            there = run(pits)
            painted[there] = _lit(painted[there], inside[there], window.rows(pits), select(parameters, pits))
        return painted


def _step(parameters: BlobParameters, size: tuple[int, int]) -> Numbers:
    """Pixels over which slopes are measured, ``[B]``."""
    _, shorter = half_axes(parameters, size)
    return np.maximum(0.2 * shorter, 1)


def _lit(images: Tensor, inside: Tensor, window: Window, parameters: BlobParameters) -> Tensor:
    """Light the walls of pits: bright where they face the light, on the far side, and in shadow on the near one."""
    sun = np.stack([np.cos(parameters.light), np.sin(parameters.light)], axis=1)
    towards = _cluster(parameters, window.moved(sun * _step(parameters, window.size)[:, None]))
    return light(images, towards.sub_(inside).mul_(window.column(parameters.relief)))


def _cluster(parameters: BlobParameters, window: Window) -> Tensor:
    """The blobs of each cluster together, ``[B, 1, h, w]`` in 0..1."""
    inside = region(parameters, window, octaves=_OCTAVES)
    for i in range(1, int(parameters.number.max())):
        rows = np.flatnonzero(parameters.number > i)
        shift, blob = _blob(parameters, i, window.size)
        beside = replace(window.rows(rows), centre=window.centre[rows] + shift[rows])
        there = run(rows)
        inside[there] = torch.maximum(inside[there], region(select(blob, rows), beside, octaves=_OCTAVES))
    return inside


def _blob(parameters: BlobParameters, number: int, size: tuple[int, int]) -> tuple[Numbers, RegionParameters]:
    """Another blob of each cluster: how far from the first it lies, in pixels ``[B, 2]``, and its region."""
    rolls = normals(parameters.seed + number, 3)
    half, _ = half_axes(parameters, size)
    names = [f.name for f in fields(RegionParameters)]
    same = {name: getattr(parameters, name) for name in names}
    same.update(seed=parameters.seed + 1 + number, size=parameters.size * np.exp(0.3 * rolls[:, 2]))
    return rolls[:, :2] * 0.5 * (half * parameters.spread)[:, None], RegionParameters(**same)
