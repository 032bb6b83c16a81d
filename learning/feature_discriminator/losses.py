"""What a discriminator is taught by: good places, global anomalies made from them, local anomalies in images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor
from torch.nn import functional

from learning.augmentation import augment
from learning.feature_discriminator.places import judge_places, to_rows
from learning.flaw_sources import NO_SOURCES, FlawSources
from synth.feature_level import AscentParameters, Hypothesis, fit_hypersphere, synthesise_global
from synth.image_level import Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_LARGEST_SEED = 2**62
_LOCAL_WEIGHT = 10.0
"""The focal loss is about a tenth of a cross-entropy where half of the places are easy."""


class DiscriminationConfig(BaseModel):
    """How a discriminator is taught."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hypothesis: Hypothesis | None = Field(
        default=None, description="Around what global anomalies lie; none lets held-out good parts decide."
    )
    ascent: AscentParameters = AscentParameters()
    places: int = Field(default=1024, ge=1, description="Good places in a step that global anomalies are made from.")
    batch: int = Field(default=6, ge=1, le=256, description="Good images in a step; as many flawed ones come on top.")
    learning_rate: float = Field(default=2e-3, gt=0, le=0.1)
    weight_decay: float = Field(default=1e-4, ge=0, le=1)
    families: tuple[str, ...] | None = Field(default=None, description="Flaw families to train on; none means all.")


@dataclass(frozen=True)
class Pair:
    """Good images, and others with local anomalies.

    Attributes:
        good: ``[B, C, h, w]``.
        flawed: ``[B, C, h, w]``.
        masks: ``[B, 1, h, w]``, 0 or 1.
        seed: Of what is drawn in feature space.
    """

    good: Tensor
    flawed: Tensor
    masks: Tensor
    seed: int


def make_pair(
    train: "ImageSet", synthesizer: Synthesizer, size: int, generator: Generator, sources: FlawSources = NO_SOURCES
) -> Pair:
    """Draw ``size`` good images and as many others with flaws, on the part where it can be told from its background."""
    chosen = torch.randint(len(train), (2 * size,), generator=generator).tolist()
    pictures, outlines = augment(train.batch(chosen), train.outlines(chosen), generator)
    good, others = pictures.chunk(2)
    recipe = synthesizer.draw(generator, size)
    context = sources.context(generator, others, outlines[size:], good)
    flawed, masks = synthesizer.apply(others, recipe, context)
    return Pair(good, flawed, masks, int(torch.randint(_LARGEST_SEED, (), generator=generator)))


def discrimination_losses(
    judge: Callable[[Tensor], Tensor],
    good: Tensor,
    flawed: Tensor,
    pair: Pair,
    hypothesis: Hypothesis,
    config: DiscriminationConfig,
) -> dict[str, Tensor]:
    """The three terms of GLASS: good places, global anomalies made from them, and local anomalies in images.

    Args:
        judge: Features ``[N, D]`` to logits ``[N]``.
        good: ``[B, D, h, w]`` features of ``pair.good``.
        flawed: ``[B, D, h, w]`` features of ``pair.flawed``.
        pair: The images.
        hypothesis: Around what global anomalies lie.
        config: How they are made, and how many.
    """
    rows = to_rows(good)
    generator = torch.Generator().manual_seed(pair.seed)
    drawn = rows[torch.randperm(len(rows), generator=generator)[: config.places].to(rows.device)]
    ball = fit_hypersphere(drawn) if hypothesis is Hypothesis.HYPERSPHERE else None
    anomalies = synthesise_global(drawn, judge, generator, config.ascent, ball)
    logits = judge_places(judge, flawed)
    return {
        "good": functional.softplus(judge(rows)).mean(),
        "global": functional.softplus(-judge(anomalies)).mean(),
        "local": _LOCAL_WEIGHT * focal(logits, flawed_places(pair.masks, logits)),
    }


def focal(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float = 0.75) -> Tensor:
    """Focal loss, the mean over places (Lin et al., 2017, arXiv 1708.02002, equation 5).

    Args:
        logits: ``[...]``.
        targets: Of the same shape, 0 or 1.
        gamma: How much easy places are played down.
        alpha: Weight of flawed places; sound ones weigh ``1 - alpha``.
    """
    crossed = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    missed = 1 - torch.exp(-crossed)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return (weight * missed**gamma * crossed).mean()


def flawed_places(masks: Tensor, logits: Tensor) -> Tensor:
    """Masks ``[B, 1, H, W]`` at the resolution and of the type of logits ``[B, h, w]``: flawed if any pixel is."""
    return functional.adaptive_max_pool2d(masks.to(logits), list(logits.shape[-2:]))[:, 0]
