"""Patch features of a backbone, an adaptor, and the discriminator that judges each place."""

from collections.abc import Sequence

from torch import Tensor, nn

from learning.backbones import PatchFeatures
from learning.feature_discriminator import Discriminator, judge_places


class GlassNetwork(nn.Module):
    """The whole detector.

    Args:
        backbone: As for ``PatchFeatures``.
        channels: Feature maps of each level.
        width: D, of the adapted features.
        frozen: Leave the backbone as it is.
    """

    def __init__(self, backbone: nn.Module, channels: Sequence[int], width: int, frozen: bool) -> None:
        super().__init__()
        self.patches = PatchFeatures(backbone, frozen)
        # Standardised before and after, so that lengths in feature space mean the same whatever the backbone, and the
        # adaptor cannot blow features up until noise of a given length is no challenge.
        self.standardise = nn.BatchNorm2d(sum(channels), affine=False)
        self.adaptor = nn.Conv2d(sum(channels), width, 1, bias=False)
        self.level = nn.BatchNorm2d(width, affine=False)
        self.discriminator = Discriminator(width)

    def forward(self, images: Tensor) -> Tensor:
        """Adapted features ``[B, D, h / r, w / r]``, each dimension of mean 0 and deviation 1 in training."""
        features: Tensor = self.level(self.adaptor(self.standardise(self.patches(images))))
        return features

    def judge(self, rows: Tensor) -> Tensor:
        """Logits ``[N]`` of features ``[N, D]``; above zero is anomalous."""
        logits: Tensor = self.discriminator(rows)[:, 0]
        return logits

    def judge_places(self, features: Tensor) -> Tensor:
        """Logits ``[B, h, w]`` of features ``[B, D, h, w]``."""
        return judge_places(self.judge, features)
