"""Teaches a discriminator on the features of a detector that is fitted already."""

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from learning.detectors.base import Budget
from learning.feature_discriminator.hypothesis import decide_hypothesis, dense_features, some_images
from learning.feature_discriminator.losses import DiscriminationConfig, Pair, discrimination_losses, make_pair
from learning.feature_discriminator.network import DenseDetector, FeatureDiscriminator
from learning.loop import Schedule
from learning.loop import train as train_loop
from learning.progress import Progress, silent
from synth.feature_level import Choice
from synth.image_level import Synthesizer

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet


def fit_feature_discriminator(
    detector: DenseDetector,
    train: "ImageSet",
    held_out: "ImageSet",
    seed: int,
    budget: Budget,
    config: DiscriminationConfig | None = None,
    progress: Progress = silent,
) -> tuple[FeatureDiscriminator, Choice]:
    """Teach a discriminator on the features of a fitted detector, which stays as it is.

    Args:
        detector: Has ``dense(images)``.
        train: Good parts to learn from.
        held_out: Other good parts, for the choice of the hypothesis.
        seed: Every random choice follows from it.
        budget: When to stop.
        config: How; none means the defaults.
        progress: Told how far training is.

    Returns:
        The discriminator, and the hypothesis with its evidence.

    Raises:
        DataError: If no flaw can be seen on the parts that decide.
    """
    options = config or DiscriminationConfig()
    generator = torch.Generator().manual_seed(seed)
    good = dense_features(detector.dense, some_images(train, generator))
    torch.manual_seed(seed)
    network = FeatureDiscriminator(good.shape[1]).to(good.device)
    network.fit_scales(good)

    choice = decide_hypothesis(options, detector.dense, train, held_out, seed)

    def losses(model: nn.Module, pair: Pair) -> dict[str, Tensor]:
        dense = network.standardise(dense_features(detector.dense, torch.cat([pair.good, pair.flawed])))
        good, flawed = dense.chunk(2)
        return discrimination_losses(network.judge, good, flawed, pair, choice.hypothesis, options)

    train_loop(
        network,
        partial(make_pair, train, Synthesizer(options.families), options.batch),
        losses,
        budget,
        seed,
        Schedule(options.learning_rate),
        weight_decay=options.weight_decay,
        progress=progress,
        device=detector.device,
    )
    return network, choice
