"""Blending cut-out defects into good parts: turned, scaled, bent, and matched in light, contrast and grain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from synth.blending import membrane
from synth.masks import box_blur
from synth.noise import Numbers, uniforms
from synth.sources.defects import DefectBank, size_at, stacked

GRAIN = (0.8, 1.25)
"""How far the grain of the surroundings may change a defect's size."""

_SPREAD = (0.4, 2.5)
"""How far the contrast of the surroundings may change the texture in a defect."""

_LEAST_SPREAD = 1 / 255
_SHIFT = 0.15
"""The seam may move the light in a defect by this much of the range: more means that the border is no surface."""

_LEAST = 1e-3
"""Of a mask: less cannot be seen, and may be 0 or not by rounding, which decides what counts as surroundings."""

_WAVES = 2

RING = 6
"""Pixels around a defect in which light and contrast are measured."""

FINE = 4
GRAINY = 8
"""Radii of the blurs that take light out of texture: to measure its contrast, and its grain."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How a defect is laid on a part; ``[B]`` each, on the CPU.

    Attributes:
        which: 0..1 over the bank.
        angle: By which it is turned, radians.
        mirrored: bool, before it is turned.
        scale: Its size over the size it was cut out with, relative to the image.
        stretch: Its length along its own x over its length along its own y, relative to what it was.
        bend: Amplitude of the waves that bend it, as a share of its longer side.
        seed: int64, of the waves.
    """

    which: Numbers
    angle: Numbers
    mirrored: Numbers
    scale: Numbers
    stretch: Numbers
    bend: Numbers
    seed: Numbers


@dataclass(frozen=True)
class Laid:
    """Defects where they are to be painted.

    Attributes:
        pixels: ``[B, C, h, w]``.
        masks: ``[B, 1, h, w]``, 0..1.
        light: ``[B, C, 1, 1]`` of the surroundings that they were cut from.
        contrast: ``[B, C, 1, 1]`` of them.
    """

    pixels: Tensor
    masks: Tensor
    light: Tensor
    contrast: Tensor


def chosen(which: Numbers, bank: DefectBank) -> list[int]:
    """Which defects of a bank fractions ``[B]`` stand for."""
    return (which * len(bank)).astype(np.int64).clip(0, len(bank) - 1).tolist()


def radii(pose: Pose, bank: DefectBank, side: int) -> Numbers:
    """Radius in pixels ``[B]`` within which each defect lies, in images whose shorter side is ``side``."""
    defects = [bank.defects[i] for i in chosen(pose.which, bank)]
    diagonals = np.array([np.hypot(*size_at(defect, side)) for defect in defects])
    stretched = np.sqrt(np.maximum(pose.stretch, 1 / pose.stretch))
    return diagonals / 2 * pose.scale * GRAIN[1] * stretched * (1 + 2 * pose.bend) + 2


@dataclass(frozen=True)
class Frames:
    """Defects brought to the size of the pictures, in frames as large as the largest.

    Attributes:
        content: ``[B, C + 1, h, w]``, deviation from the light, and mask.
        light: ``[B, C, 1, 1]``, as for ``Laid``.
        contrast: ``[B, C, 1, 1]``.
        grain: ``[B]`` of the surroundings that they were cut from, in pixels of the picture.
        size: Height and width of the frames in pixels of the picture.
        longer: ``[B]`` longer side of what was cut out, likewise.
        middles: ``[B, 2]`` (down, across), see ``stacked``.
    """

    content: Tensor
    light: Tensor
    contrast: Tensor
    grain: Numbers
    size: tuple[int, int]
    longer: Numbers
    middles: Numbers


def frames(bank: DefectBank, pose: Pose, side: int, like: Tensor) -> Frames:
    """Bring defects to the size of pictures.

    Args:
        bank: With the images' number of channels; not empty.
        pose: One for each row.
        side: Shorter side of the pictures in pixels.
        like: Tensor of the images' type and on their device.
    """
    defects = [bank.defects[i] for i in chosen(pose.which, bank)]
    fitted = [DefectBank((defect,)).fitted(len(defect.pixels), side).defects[0] for defect in defects]
    pixels, masks, sizes, middles = stacked(fitted)
    light = torch.stack([defect.light for defect in fitted]).to(like)[:, :, None, None]
    return Frames(
        content=torch.cat([pixels.to(like) - light, masks.to(like)], dim=1),
        light=light,
        contrast=torch.stack([defect.contrast for defect in fitted]).to(like)[:, :, None, None],
        grain=np.array([defect.grain for defect in fitted]),
        size=(pixels.shape[-2], pixels.shape[-1]),
        longer=sizes.max(axis=1).astype(np.float32),
        middles=middles,
    )


def lay(framed: Frames, pose: Pose, x: Tensor, y: Tensor, grain: Tensor) -> Laid:
    """Turn, scale and bend defects.

    Args:
        framed: The defects.
        pose: One for each row.
        x: ``[B, 1, 1, w]`` or ``[B, 1, h, w]``, distance of each pixel from the defect's middle.
        y: ``[B, 1, h, 1]`` or ``[B, 1, h, w]``.
        grain: ``[B]`` grain of the surface in pixels, as ``Defect.grain``.
    """
    scale = _column(pose.scale * resized(framed, grain), x)
    stretch = _column(np.sqrt(pose.stretch), x)
    cos, sin = (_column(f(pose.angle), x) for f in (np.cos, np.sin))
    u = (x * cos + y * sin) / (scale * stretch)
    v = (y * cos - x * sin) / (scale / stretch)
    u = torch.where(_column(pose.mirrored, x) > 0, -u, u)
    u, v = _bent(u, v, pose, framed.longer)
    height, width = framed.size
    # Frames are as large as what else is laid at once wants them: a defect need not lie exactly in their middle.
    down, across = (_column(framed.middles[:, i], u) for i in (0, 1))
    grid = torch.cat([(u + across) * (2 / width), (v + down) * (2 / height)], dim=1).permute(0, 2, 3, 1)
    sampled = functional.grid_sample(framed.content, grid, mode="bilinear", align_corners=False)
    masks = functional.threshold(sampled[:, -1:], _LEAST, 0)
    return Laid(sampled[:, :-1] + framed.light, masks, framed.light, framed.contrast)


def resized(framed: Frames, grain: Tensor) -> Numbers:
    """How the grain of the surface ``[B]`` changes the size of defects, ``[B]``."""
    return np.asarray((grain.cpu().numpy() / framed.grain).clip(*GRAIN))


def blend(images: Tensor, laid: Laid, strength: Numbers, foreground: Tensor) -> Tensor:
    """Blend defects in, matched to what lies around them.

    - Light: what is darker than its surroundings takes away the same share of the light, what is brighter the same
      share of what is missing to white.
    - Contrast: deviations within the spread of the surroundings are texture and are brought to the contrast of the new
      surroundings; greater ones are the defect and stay.
    - Strength: below 1 the part shows through, so that a faint defect leaves its texture; above 1 the deviation grows.
    - Seam: the light goes over into the part's by a membrane (``synth.blending``), and the texture by the soft mask.

    Args:
        images: ``[B, C, h, w]``, 0..1.
        laid: Of the same size.
        strength: ``[B]``, 0 is nothing, 1 as it was, above it is more.
        foreground: ``[B, 1, h, w]``, 0 or 1.

    Returns:
        ``[B, C, h, w]``; where the mask is 0 the images as they were.
    """
    light, contrast = surroundings(images, laid.masks, foreground)
    inside = (laid.masks > 0) & (foreground > 0)
    # Texture on the border is no light: only what is slow goes over, and only from the part itself.
    sound = foreground * ~inside
    slow = box_blur((images - light) * sound, 2) / box_blur(sound, 2).clamp_min(1e-6)
    return matched(images, laid, strength, inside, light, contrast, membrane(slow, sound == 0))


def matched(
    images: Tensor, laid: Laid, strength: Numbers, inside: Tensor, light: Tensor, contrast: Tensor, seam: Tensor
) -> Tensor:
    """Blend defects in where light, contrast and seam are known; see ``blend``.

    Args:
        images: See there.
        laid: See there.
        strength: See there.
        inside: ``[B, 1, h, w]`` bool, where there is a defect and flaws may be.
        light: ``[B, C, 1, 1]`` of the surroundings.
        contrast: ``[B, C, 1, 1]`` of the surroundings.
        seam: ``[B, C, h, w]``, how far the part's own light is from that, continued into the defect.
    """
    deviation = laid.pixels - laid.light
    spread = laid.contrast.clamp_min(_LEAST_SPREAD)
    beyond = deviation.square() / (deviation.square() + (2 * spread).square())
    texture = (contrast.clamp_min(_LEAST_SPREAD) / spread).clamp(*_SPREAD)
    deviation = deviation * (beyond + (1 - beyond) * texture) * _column(np.maximum(strength, 1), images)
    room = torch.where(
        deviation < 0, light / laid.light.clamp_min(0.02), (1 - light) / (1 - laid.light).clamp_min(0.02)
    )
    opacity = laid.masks * inside * _column(np.minimum(strength, 1), images)
    return torch.lerp(images, light + deviation * room.clamp(0.2, 5) + seam.clamp(-_SHIFT, _SHIFT), opacity)


def surroundings(images: Tensor, masks: Tensor, foreground: Tensor) -> tuple[Tensor, Tensor]:
    """Light and contrast of the part just around what is masked, ``[B, C, 1, 1]`` each; of all of it if none is near.

    Args:
        images: ``[B, C, h, w]``.
        masks: ``[B, 1, h, w]``.
        foreground: ``[B, 1, h, w]``, 0 or 1.
    """
    ring = ring_around(masks, foreground)
    empty = ring.sum(dim=(1, 2, 3), keepdim=True) < 1
    light, power = means(sums(images, fine_texture(images), torch.where(empty, foreground, ring)))
    return light.to(images), power.sqrt().to(images)


def ring_around(masks: Tensor, foreground: Tensor) -> Tensor:
    """The part within ``RING`` pixels of what is masked, ``[B, 1, h, w]``, 0 or 1."""
    own = (masks > 0).to(foreground)
    near = (box_blur(own, RING) > 1e-6).to(foreground) * foreground
    return near * (1 - own)


def fine_texture(images: Tensor) -> Tensor:
    """Texture and not light that changes over the part: what is left when that is taken out."""
    return images - box_blur(images, FINE)


def sums(images: Tensor, fine: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, weighted light and weighted power of texture, summed over each image; ``[B, 1 or C, 1, 1]`` double."""
    weights = weights.double()
    parts = (weights, images * weights, fine.square() * weights)
    return tuple(part.sum(dim=(2, 3), keepdim=True) for part in parts)  # type: ignore[return-value]


def means(summed: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean light and mean power of texture, of what ``sums`` gave."""
    total = summed[0].clamp_min(1)
    return summed[1] / total, summed[2] / total


def grain_of(images: Tensor, foreground: Tensor) -> Tensor:
    """Size of the grain of a part's texture in pixels ``[B]``, as ``Defect.grain``, over a window of it.

    Args:
        images: ``[B, C, h, w]``.
        foreground: ``[B, 1, h, w]``, 0 or 1.
    """
    return grain_from(grain_sums(without_light(images), foreground)).to(images)


def without_light(images: Tensor) -> Tensor:
    """Texture that ``grain_of`` looks at, ``[B, 1, h, w]``."""
    grey = images.mean(dim=1, keepdim=True)
    return grey - box_blur(grey, GRAINY)


def grain_sums(fine: Tensor, foreground: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Squares of steps and of values of a texture, each with the number of them, ``[B]`` double.

    Args:
        fine: ``[B, 1, h, w]``.
        foreground: ``[B, 1, h, w]``, 0 or 1.
    """
    weights = foreground.double()
    both = weights[..., 1:] * weights[..., :-1]
    parts = ((fine[..., 1:] - fine[..., :-1]).square() * both, both, fine.square() * weights, weights)
    return tuple(part.sum(dim=(1, 2, 3)) for part in parts)  # type: ignore[return-value]


def grain_from(summed: Sequence[Tensor]) -> Tensor:
    """Grain ``[B]``, of what ``grain_sums`` gave."""
    steps, power = (summed[i] / summed[i + 1].clamp_min(1) for i in (0, 2))
    grain = (2 * power / steps.clamp_min(1e-9)).sqrt().clamp(1, 16)
    return torch.where(power > _LEAST_SPREAD**2, grain, 1.0)


def _bent(u: Tensor, v: Tensor, pose: Pose, longer: Numbers) -> tuple[Tensor, Tensor]:
    """Move points by slow waves, about one over the length of a defect, so that no two look alike."""
    draws = torch.from_numpy(uniforms(pose.seed, 6 * _WAVES)).view(-1, 2, _WAVES, 3).to(u)
    amplitude = _column(pose.bend * longer, u) / _WAVES**0.5
    period = _column(longer, u)
    moved = []
    for axis, values in ((0, u), (1, v)):
        shift = torch.zeros_like(u + v)
        for wave in range(_WAVES):
            direction, phase, rate = (draws[:, axis, wave, i, None, None, None] for i in range(3))
            along = u * (2 * torch.pi * direction).cos() + v * (2 * torch.pi * direction).sin()
            shift = shift + (2 * torch.pi * (along / period * (0.5 + rate) + phase)).sin()
        moved.append(values + amplitude * shift)
    return moved[0], moved[1]


def _column(values: Numbers, images: Tensor) -> Tensor:
    """Give one number per image the shape ``[B, 1, 1, 1]``, type and device of the images."""
    return torch.from_numpy(values).to(images)[:, None, None, None]
