"""Where the part is: what stands out from the background that the image's border shows, and how far to trust that."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synth.compiled import kernels, usable
from synth.families.base import SMALLEST_SIDE, check

LEAST_TRUST = 0.5
"""Below this a mask is not used, and the whole image is taken."""

WORKING_SIDE = 128
"""Parts are looked for at no more pixels than this along the longer side, whatever the image has."""

_AREAS = (0.01, 0.97)
_LEAST_STEP = 0.04
"""Part and background differ by at least this much of the range; less is texture or light."""
_SIGMAS = 4.0
"""A pixel stands out when it is this many standard deviations of the background away from it."""
_EDGE = 1.5
"""The picture has an edge where the distances around a pixel differ by this many thresholds."""
MEDIAN_OF_NORMAL = 0.6745
"""Median distance from the mean of a normal distribution, in standard deviations."""
_EPSILON = 0.01
_TOUCHING, _OPENED, _AROUND, _CLOSED = (np.ones((side, side), np.uint8) for side in (3, 3, 5, 5))


def foreground(images: Tensor) -> tuple[Tensor, Tensor]:
    """Find the part in each image.

    The background is a plane through the colours of the image's border, fitted twice so that parts that reach the
    border do not bend it, and its noise is their median distance from it. What stands out from that, closed and its
    holes filled, is the part. Trust is the share of the border that is background times the share of the part's
    contour along which the picture has an edge that stands out from the noise: texture, light and what fills the
    image have neither.

    Args:
        images: ``[B, C, H, W]``, 0..1, any device.

    Returns:
        Masks ``[B, 1, H, W]`` (0 or 1) and trust ``[B]`` in 0..1. Where the trust is 0 no part could be told from its
        background, and the mask is the whole image.

    Raises:
        SynthError: If the images cannot be used.
    """
    check(images)
    levels = (_shrink(images).float() * 255).round_().cpu().contiguous().numpy() / np.float32(255)
    height, width = images.shape[-2:]
    found = [_find(planes) for planes in levels]
    masks = np.empty((len(found), 1, height, width), bool)
    for part, mask in zip(found, masks, strict=True):
        np.greater(cv2.resize(part.field, (width, height), interpolation=cv2.INTER_LINEAR), 0, out=mask[0])
    return torch.from_numpy(masks).to(images), torch.tensor([part.trust for part in found]).to(images)


@dataclass(frozen=True)
class _Part:
    """``field`` ``[h, w]`` is above 0 on the part; between pixels it can be interpolated."""

    field: np.ndarray
    trust: float


def _shrink(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    scale = max(height, width) / WORKING_SIDE
    if scale <= 1:
        return images
    size = [min(side, max(SMALLEST_SIDE, round(side / scale))) for side in (height, width)]
    if usable(images):
        small = np.empty((*images.shape[:2], *size), np.float32)
        kernels().shrink(images.contiguous().numpy(), small)
        return torch.from_numpy(small)
    return functional.interpolate(images, size, mode="area")


def _find(planes: np.ndarray) -> _Part:
    """The part in one picture ``[C, h, w]`` float32."""
    height, width = planes.shape[1:]
    distance = background_distance(planes)
    threshold = max(_LEAST_STEP, _SIGMAS * float(_median(rim(distance))) / MEDIAN_OF_NORMAL)
    solid = _solid((distance > threshold).astype(np.uint8))
    trust = 0.0
    if _AREAS[0] < solid.mean() < _AREAS[1]:
        contour = solid > cv2.erode(solid, _TOUCHING)
        steps = (cv2.dilate(distance, _AROUND) - cv2.erode(distance, _AROUND))[contour]
        trust = float((1 - rim(solid).mean()) * (steps > _EDGE * threshold).mean())
    if trust < LEAST_TRUST:
        return _Part(np.ones((height, width), np.float32), 0.0)
    beyond = distance / threshold - 1
    return _Part(np.where(solid, beyond.clip(_EPSILON, 1), beyond.clip(-1, -_EPSILON)), trust)


def rim(planes: np.ndarray) -> np.ndarray:
    """Pixels of the border, ``[..., h, w]`` to ``[..., N]``."""
    *before, height, width = planes.shape
    wide = max(1, min(height, width) // 32)
    sides = (
        planes[..., :wide, :],
        planes[..., -wide:, :],
        planes[..., wide:-wide, :wide],
        planes[..., wide:-wide, -wide:],
    )
    return np.concatenate([side.reshape(*before, -1) for side in sides], axis=-1)


@lru_cache(maxsize=8)
def _plane(height: int, width: int) -> np.ndarray:
    """Base of a plane, ``[3, h, w]``: constant, x and y."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y])


def background_distance(planes: np.ndarray) -> np.ndarray:
    """Distance of every pixel from the background, strongest channel; ``[C, h, w]`` to ``[h, w]``."""
    plane = _plane(*planes.shape[1:])
    base, seen = rim(plane), rim(planes).astype(np.float64)
    away = np.abs(seen - _median(seen)[:, None]).max(axis=0)
    for _ in range(2):
        like = (away <= max(3 * float(_median(away)), _LEAST_STEP)).astype(np.float32)
        # Rounded, so that the last bits of a sum, which differ between machines, do not move a mask.
        kept = base * like
        slope = np.linalg.solve(kept @ base.T, kept @ seen.T).round(5)
        away = np.abs(seen - slope.T @ base).max(axis=0)
    farthest = np.zeros(planes.shape[1:], np.float32)
    for channel, (level, along_x, along_y) in zip(planes, slope.T, strict=True):
        background = level + along_x * plane[1, :1] + along_y * plane[2, :, :1]
        cv2.max(farthest, cv2.absdiff(channel, background.astype(np.float32)), dst=farthest)
    return farthest


def _median(values: np.ndarray) -> np.ndarray:
    """As ``np.median`` over the last axis, which spends several times as long on looking for NaN."""
    middle = values.shape[-1] // 2
    if values.shape[-1] % 2:
        return np.partition(values, middle)[..., middle]
    ordered = np.partition(values, (middle - 1, middle))
    return (ordered[..., middle - 1] + ordered[..., middle]) / 2


def _solid(mask: np.ndarray) -> np.ndarray:
    """Close gaps, fill holes, and drop specks and pieces much smaller than the largest."""
    padded = cv2.copyMakeBorder(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _CLOSED), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    cv2.floodFill(padded, None, (0, 0), 2)
    filled = cv2.morphologyEx((padded[1:-1, 1:-1] != 2).astype(np.uint8), cv2.MORPH_OPEN, _OPENED)
    number, pieces, figures, _ = cv2.connectedComponentsWithStats(filled, connectivity=4)
    if number < 3:
        return filled
    areas = figures[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return (areas >= 0.1 * areas.max()).astype(np.uint8)[pieces]
