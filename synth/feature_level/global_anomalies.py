"""Global anomalies: noise on good features, gradient ascent on the discriminator's loss, and truncated projection."""

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor
from torch.nn import functional

from synth.feature_level.shells import Hypersphere, check_features, truncated_projection

Discriminator = Callable[[Tensor], Tensor]
"""Features ``[N, D]`` to logits ``[N]``; above zero is anomalous."""


class AscentParameters(BaseModel):
    """How global anomalies are made.

    Lengths are per feature dimension: a distance in feature space is the length times the square root of D, so that
    one setting suits features of any width whose dimensions have a deviation of about one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise: float = Field(default=0.3, gt=0, description="Standard deviation of the Gaussian noise.")
    steps: int = Field(default=5, ge=0, le=100, description="Steps of gradient ascent.")
    step_length: float = Field(default=0.02, gt=0, description="How far each step goes.")
    project_every: int = Field(default=5, ge=1, description="Steps between truncated projections.")
    inner: float = Field(default=0.3, gt=0, description="Least distance from a good feature (manifold hypothesis).")
    outer_ratio: float = Field(default=2.0, ge=1, description="Greatest distance over least distance.")


def synthesise_global(
    features: Tensor,
    discriminator: Discriminator,
    generator: Generator,
    parameters: AscentParameters | None = None,
    hypersphere: Hypersphere | None = None,
) -> Tensor:
    """Make one global anomaly from each good feature.

    Args:
        features: ``[N, D]`` good features, any device; no gradient flows back into them.
        discriminator: Its parameters collect no gradient.
        generator: On the CPU; draws the noise.
        parameters: Of the synthesis; none means the defaults.
        hypersphere: Anomalies lie in a shell around it (hypersphere hypothesis); none puts them in a shell around the
            feature they come from (manifold hypothesis).

    Returns:
        ``[N, D]`` anomalies of the features' type and device, detached.

    Raises:
        SynthError: If the features are not a table, or not finite.

    Example:
        >>> features = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
        >>> anomalies = synthesise_global(features, lambda x: x.sum(1), torch.Generator().manual_seed(1))
        >>> bool(((anomalies - features).norm(dim=1) >= 0.3 * 4**0.5 - 1e-4).all())
        True
    """
    check_features(features)
    options = parameters or AscentParameters()
    good = features.detach()
    unit = good.shape[1] ** 0.5
    anchors = good if hypersphere is None else hypersphere.centre.to(good).expand_as(good)
    inner = options.inner * unit if hypersphere is None else hypersphere.radius
    outer = options.outer_ratio * inner

    anomalies = add_noise(good, generator, options.noise)
    for step in range(1, options.steps + 1):
        anomalies = ascend(anomalies, discriminator, options.step_length * unit)
        if step % options.project_every == 0:
            anomalies = truncated_projection(anomalies, anchors, inner, outer)
    # The original projects on every fifth step alone; a last one makes the shell hold whatever the number of steps.
    return truncated_projection(anomalies, anchors, inner, outer)


def add_noise(features: Tensor, generator: Generator, noise: float) -> Tensor:
    """Gaussian noise on features ``[N, D]``; drawn on the CPU, so that a seed gives the same on every device."""
    return features + noise * torch.randn(features.shape, generator=generator).to(features)


def ascend(anomalies: Tensor, discriminator: Discriminator, length: float) -> Tensor:
    """Move anomalies ``[N, D]`` by a length along the gradient of the loss of calling them anomalous.

    That is towards where the discriminator takes them for good. Anomalies without a gradient stay.
    """
    with torch.enable_grad():
        moving = anomalies.detach().requires_grad_()
        logits = discriminator(moving).float()
        loss = functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits), reduction="sum")
        (gradient,) = torch.autograd.grad(loss, moving)
    # A gradient may be far smaller than any feature (a sure discriminator): only its direction counts.
    return anomalies.detach() + length * functional.normalize(gradient, dim=1, eps=torch.finfo(gradient.dtype).tiny)
