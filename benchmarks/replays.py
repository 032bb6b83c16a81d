"""Whether a recipe gives the same pixels on another device: each family painted by the same numbers on both."""

from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor

from synth.families import FAMILIES, Context
from synth.foreground import foreground
from synth.image_level import Recipe, Synthesizer
from synth.sources.defects import DefectBank, bank_of, cut_defects

_SOURCES = 4
_ALONE = 4
"""Images that are painted one by one too."""


def replay_across_devices(images: Tensor, device: torch.device, seed: int = 0) -> dict[str, Any]:
    """Paint the same recipes on the CPU and on a device.

    Args:
        images: ``[B, C, H, W]``, 0..1, good parts on the CPU; at least 5.
        device: The other one.
        seed: Of the recipes.

    Returns:
        ``greatest_difference`` (of all), ``images``, and ``families``: by family ``difference``, the greatest of
        pixels; ``mask_share``, pixels whose masks differ over those in either mask; ``again``, the greatest difference
        when it is painted a second time on the device; ``alone``, when each of the first images is painted there
        without the others.
    """
    context = Context(foreground(images)[0], images[:_SOURCES].flip(-1), defects=_defects(images, seed))
    families = {name: _replay(name, images, context, device, seed) for name in FAMILIES}
    return {
        "greatest_difference": max(found["difference"] for found in families.values()),
        "images": len(images),
        "families": families,
    }


def _replay(name: str, images: Tensor, context: Context, device: torch.device, seed: int) -> dict[str, float]:
    recipe = Synthesizer([name], flaws_per_image=(1, 1)).draw(Generator().manual_seed(seed), len(images))
    pixels, masks = Synthesizer.apply(images, recipe, context)
    found, found_masks = _on(device, images, recipe, context)
    again, _ = _on(device, images, recipe, context)
    alone = torch.cat([_row(device, images, recipe, context, row) for row in range(_ALONE)])
    either = (masks + found_masks > 0).sum()
    return {
        "difference": _greatest(pixels, found),
        "mask_share": float((masks != found_masks).sum() / either.clamp_min(1)),
        "again": _greatest(found, again),
        "alone": _greatest(found[:_ALONE], alone),
    }


def _row(device: torch.device, images: Tensor, recipe: Recipe, context: Context, row: int) -> Tensor:
    """One image ``[1, C, H, W]`` painted there by itself."""
    assert context.foreground is not None
    own = replace(context, foreground=context.foreground[row : row + 1])
    return _on(device, images[row : row + 1], recipe.of_image(row), own)[0]


def _on(device: torch.device, images: Tensor, recipe: Recipe, context: Context) -> tuple[Tensor, Tensor]:
    """Paint there, and bring the result back."""
    assert context.foreground is not None
    there = replace(context, foreground=context.foreground.to(device))
    pixels, masks = Synthesizer.apply(images.to(device), recipe, there)
    return pixels.cpu(), masks.cpu()


def _greatest(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def _defects(images: Tensor, seed: int) -> DefectBank:
    """Flaws of some images, cut out as if an inspector had confirmed them."""
    good = images[_SOURCES:]
    recipe = Synthesizer(["blob", "stain"], (1, 1), severity=(0.4, 0.8)).draw(Generator().manual_seed(seed), len(good))
    flawed, masks = Synthesizer.apply(good, recipe)
    marked = zip(flawed, masks, strict=True)
    return bank_of(cut_defects(image, mask[0] > 0, name=f"made-up-{i}") for i, (image, mask) in enumerate(marked))
