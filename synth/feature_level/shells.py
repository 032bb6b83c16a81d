"""Where feature-level anomalies may lie: shells around each good feature, or around all of them."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from synth.errors import SynthError


class Hypothesis(StrEnum):
    """Around what anomalies lie: around each good feature (manifold), or around all of them (hypersphere)."""

    MANIFOLD = "manifold"
    HYPERSPHERE = "hypersphere"


@dataclass(frozen=True)
class Hypersphere:
    """Where good features lie, taken together.

    Attributes:
        centre: ``[D]``, or ``[N, D]`` with a centre of its own for each feature, such as the mean of its place.
        radius: Of the ball that holds most of them.
    """

    centre: Tensor
    radius: float


def check_features(features: Tensor) -> None:
    """Refuse what is no table of features.

    Raises:
        SynthError: Unless it is ``[N, D]`` of floating point, D at least 1, and finite.
    """
    if features.ndim != 2 or features.shape[1] == 0 or not features.is_floating_point():
        msg = f"features are a table [N, D] of floating point; got {tuple(features.shape)} {features.dtype}"
        raise SynthError(msg)
    if not torch.isfinite(features).all():
        rows = int((~torch.isfinite(features)).any(dim=1).sum())
        msg = f"{rows} of {len(features)} features are not a finite table row: the network that made them diverged"
        raise SynthError(msg)


def truncated_projection(points: Tensor, anchors: Tensor, inner: float, outer: float) -> Tensor:
    """Bring points into the shell around their anchors, along the line from there.

    Args:
        points: ``[N, D]``.
        anchors: ``[N, D]`` or ``[D]``; a point that lies on its anchor stays there, having no direction.
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
        anchors + offset * (distance.clamp(inner, outer) / distance.clamp_min(torch.finfo(points.dtype).tiny)),
    )


def fit_hypersphere(features: Tensor, share: float = 0.75) -> Hypersphere:
    """The ball around the mean of good features ``[N, D]`` that holds a share of them.

    Raises:
        SynthError: If they are no finite table, or all the same: such a ball has no radius, and a shell around it
            would be made of good features.
    """
    check_features(features)
    good = features.detach().float()
    distance = (good - good.mean(dim=0)).norm(dim=1)
    radius = float(distance.quantile(share)) if len(good) else 0.0
    if radius <= torch.finfo(torch.float32).eps * float(good.abs().max() if len(good) else 1):
        msg = (
            f"{len(good)} good features that are all the same span no hypersphere; "
            "give more parts, or use the manifold hypothesis"
        )
        raise SynthError(msg)
    return Hypersphere(good.mean(dim=0).to(features), radius)
