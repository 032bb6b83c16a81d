"""A light discriminator of the features of places, for any detector that has them.

The idea of GLASS (Chen et al., ECCV 2024, arXiv 2407.09359) apart from its network: good places, global anomalies made
from their features and local anomalies painted into images teach one discriminator. The ``glass`` detector trains its
features along; ``fit_feature_discriminator`` puts a discriminator on those that another detector has learnt already.
"""

from learning.feature_discriminator.fit import fit_feature_discriminator
from learning.feature_discriminator.hypothesis import decide_hypothesis
from learning.feature_discriminator.losses import (
    DiscriminationConfig,
    Pair,
    discrimination_losses,
    focal,
    make_pair,
)
from learning.feature_discriminator.network import DenseDetector, Discriminator, FeatureDiscriminator
from learning.feature_discriminator.places import judge_places, to_prediction, to_rows

__all__ = [
    "DenseDetector",
    "DiscriminationConfig",
    "Discriminator",
    "FeatureDiscriminator",
    "Pair",
    "decide_hypothesis",
    "discrimination_losses",
    "fit_feature_discriminator",
    "focal",
    "judge_places",
    "make_pair",
    "to_prediction",
    "to_rows",
]
