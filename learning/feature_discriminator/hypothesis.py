"""Manifold or hypersphere: decided by good parts alone."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from learning.errors import DataError
from learning.feature_discriminator.losses import DiscriminationConfig, flawed_places
from learning.feature_discriminator.places import to_rows
from synth.families.base import Context
from synth.feature_level import Choice, choose_hypothesis
from synth.foreground import foreground
from synth.image_level import Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_BATCH = 16
_MOST_IMAGES = 32
"""Good images that scales and the hypothesis are taken from; more hardly change either."""

_PLACES_OF_A_KIND = 4096
"""Places that the hypothesis is chosen on, of each kind."""


def decide_hypothesis(
    config: DiscriminationConfig,
    features: Callable[[Tensor], Tensor],
    train: "ImageSet",
    held_out: "ImageSet",
    seed: int,
) -> Choice:
    """Take the hypothesis of the configuration, or choose it by ``synth.feature_level.choose_hypothesis``.

    The flaws are of all families: none has trained anything that is compared here.

    Args:
        config: Of the training.
        features: Images ``[B, C, h, w]`` to features ``[B, D, h / r, w / r]``, of any scale.
        train: Good parts that the geometry comes from.
        held_out: Other good parts, as they are and with flaws.
        seed: Of which images, flaws and places.

    Raises:
        DataError: If no flaw on the held-out parts can be seen.
    """
    if config.hypothesis is not None:
        return Choice(config.hypothesis)
    generator = torch.Generator().manual_seed(seed)
    known = some_images(train, generator)
    unseen = some_images(held_out, generator)
    recipe = Synthesizer().draw(generator, len(unseen))
    flawed, masks = Synthesizer.apply(unseen, recipe, Context(foreground=foreground(unseen)[0], sources=known))
    spoilt = dense_features(features, flawed)
    where = flawed_places(masks, spoilt[:, 0]).flatten() > 0
    if not where.any():
        msg = "no synthetic flaw on the held-out good parts can be seen; set `hypothesis`, or give pictures of parts"
        raise DataError(msg)
    rows = (
        to_rows(dense_features(features, known)),
        to_rows(dense_features(features, unseen)),
        to_rows(spoilt)[where.to(spoilt.device)],
    )
    return choose_hypothesis(*(some[_draw(len(some), generator).to(some.device)] for some in rows))


def some_images(images: "ImageSet", generator: Generator) -> Tensor:
    """Images ``[B, C, h, w]``, at most 32, drawn at random."""
    return images.batch(torch.randperm(len(images), generator=generator)[:_MOST_IMAGES].tolist())


def _draw(count: int, generator: Generator) -> Tensor:
    return torch.randperm(count, generator=generator)[:_PLACES_OF_A_KIND]


def dense_features(features: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Features ``[B, D, h, w]`` of images ``[B, C, H, W]``, a few at a time, without a gradient."""
    with torch.no_grad():
        # A clone, as detectors give inference tensors, which autograd refuses to work on.
        return torch.cat([features(some).clone() for some in images.split(_BATCH)])
