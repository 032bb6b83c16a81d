"""Feature-level anomaly synthesis: anomalies near the good features, where the discriminator is most wrong.

Global anomaly synthesis of GLASS (Chen et al., "A Unified Anomaly Synthesis Strategy with Gradient Ascent for
Industrial Anomaly Detection and Localization", ECCV 2024, arXiv 2407.09359): Gaussian noise on good features, a few
steps of gradient ascent on the discriminator's loss, and a truncated projection that keeps the result at a distance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Generator, Tensor
from torch.nn import functional

from synth.errors import SynthError

Discriminator = Callable[[Tensor], Tensor]
"""Features ``[N, D]`` to logits ``[N]``; above zero is anomalous."""

_TINY = 1e-10


class Hypothesis(StrEnum):
    """Around what anomalies lie: around each good feature (manifold), or around all of them (hypersphere)."""

    MANIFOLD = "manifold"
    HYPERSPHERE = "hypersphere"


class AscentParameters(BaseModel):
    """How global anomalies are made.

    Lengths are per feature dimension: a distance in feature space is the length times the square root of D, so that
    one setting suits features of any width.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise: float = Field(default=0.3, gt=0, description="Standard deviation of the Gaussian noise.")
    steps: int = Field(default=5, ge=0, le=100, description="Steps of gradient ascent.")
    step_length: float = Field(default=0.02, gt=0, description="How far each step goes.")
    project_every: int = Field(default=5, ge=1, description="Steps between truncated projections.")
    inner: float = Field(default=0.3, gt=0, description="Least distance from a good feature (manifold hypothesis).")
    outer_ratio: float = Field(default=2.0, ge=1, description="Greatest distance over least distance.")


@dataclass(frozen=True)
class Hypersphere:
    """Where good features lie, taken together.

    Attributes:
        centre: ``[D]``.
        radius: Of the ball that holds most of them.
    """

    centre: Tensor
    radius: float


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
        ``[N, D]`` anomalies, detached.

    Raises:
        SynthError: If the features are not a table, or not finite.

    Example:
        >>> features = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
        >>> anomalies = synthesise_global(features, lambda x: x.sum(1), torch.Generator().manual_seed(1))
        >>> bool(((anomalies - features).norm(dim=1) >= 0.3 * 4**0.5 - 1e-4).all())
        True
    """
    if features.ndim != 2 or not torch.isfinite(features).all():
        msg = f"features are a finite table [N, D]; got {tuple(features.shape)}"
        raise SynthError(msg)
    options = parameters or AscentParameters()
    good = features.detach()
    unit = good.shape[1] ** 0.5
    anchors = good if hypersphere is None else hypersphere.centre.to(good).expand_as(good)
    inner = options.inner * unit if hypersphere is None else hypersphere.radius

    anomalies = add_noise(good, generator, options.noise)
    for step in range(1, options.steps + 1):
        anomalies = ascend(anomalies, discriminator, options.step_length * unit)
        if step % options.project_every == 0:
            anomalies = truncated_projection(anomalies, anchors, inner, options.outer_ratio * inner)
    return truncated_projection(anomalies, anchors, inner, options.outer_ratio * inner)


def add_noise(features: Tensor, generator: Generator, noise: float) -> Tensor:
    """Gaussian noise on features ``[N, D]``."""
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
    return anomalies.detach() + length * gradient / gradient.norm(dim=1, keepdim=True).clamp_min(_TINY)


def truncated_projection(points: Tensor, anchors: Tensor, inner: float, outer: float) -> Tensor:
    """Bring points into the shell around their anchors, along the line from there.

    Args:
        points: ``[N, D]``.
        anchors: ``[N, D]``; a point that lies on its anchor stays there, having no direction.
        inner: Least distance.
        outer: Greatest distance, at least the inner one.

    Returns:
        ``[N, D]``; points that are in the shell are not moved.
    """
    offset = points - anchors
    distance = offset.norm(dim=1, keepdim=True)
    return torch.where(
        (distance >= inner) & (distance <= outer),
        points,
        anchors + offset * distance.clamp(inner, outer) / distance.clamp_min(_TINY),
    )


def fit_hypersphere(features: Tensor, share: float = 0.75) -> Hypersphere:
    """The ball around the mean of good features ``[N, D]`` that holds a share of them."""
    centre = features.detach().mean(dim=0)
    distance = (features.detach() - centre).norm(dim=1)
    return Hypersphere(centre, float(distance.quantile(share)))
