"""Feature-level anomaly synthesis: anomalies near the good features, where the discriminator is most wrong.

Global anomaly synthesis of GLASS (Chen et al., "A Unified Anomaly Synthesis Strategy with Gradient Ascent for
Industrial Anomaly Detection and Localization", ECCV 2024, arXiv 2407.09359): Gaussian noise on good features, a few
steps of gradient ascent on the discriminator's loss, and a truncated projection that keeps the result at a distance.
It takes features ``[N, D]`` and knows nothing of what made them.
"""

from synth.feature_level.choice import Choice, choose_hypothesis
from synth.feature_level.global_anomalies import (
    AscentParameters,
    Discriminator,
    add_noise,
    ascend,
    synthesise_global,
)
from synth.feature_level.shells import (
    Hypersphere,
    Hypothesis,
    check_features,
    fit_hypersphere,
    truncated_projection,
)

__all__ = [
    "AscentParameters",
    "Choice",
    "Discriminator",
    "Hypersphere",
    "Hypothesis",
    "add_noise",
    "ascend",
    "check_features",
    "choose_hypothesis",
    "fit_hypersphere",
    "synthesise_global",
    "truncated_projection",
]
