"""Features of places: what memory banks, clusters and flows take from a backbone."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional


class PatchFeatures(nn.Module):
    """Features of every place of the finest level used: neighbourhoods averaged, levels put on top of each other.

    Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, arXiv 2106.08265, section 3.1.

    Args:
        backbone: ``[B, C, h, w]`` to a list of feature maps, the finest first.
        frozen: Leave the backbone and its batch statistics as they are.
    """

    def __init__(self, backbone: nn.Module, frozen: bool) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(not frozen)
        self.frozen = frozen

    def train(self, mode: bool = True) -> Self:
        """As for any module, but that a frozen backbone stays in evaluation."""
        super().train(mode)
        self.backbone.train(mode and not self.frozen)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """``[B, C, h, w]``, 0..1, to ``[B, E, h / r, w / r]``."""
        levels = [functional.avg_pool2d(level, 3, stride=1, padding=1) for level in self.backbone(images)]
        size = levels[0].shape[-2:]
        resized = [functional.interpolate(level, size, mode="bilinear", align_corners=False) for level in levels[1:]]
        return torch.cat([levels[0], *resized], dim=1)
