"""The U-Net of the ``segment`` detector: small enough to be trained from scratch in minutes on two CPU cores."""

import torch
from torch import Tensor, nn
from torch.nn import functional


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """Says for every pixel how likely it belongs to a flaw (Ronneberger et al., 2015, arXiv 1505.04597).

    Pixels enter as blocks of ``stem`` x ``stem`` (space to depth) and leave the same way, so that no convolution
    runs at full resolution: that is where a U-Net on a CPU spends its time.

    Args:
        channels: Channels of the input.
        widths: Channels of each level; every level halves the resolution of the one before.
        stem: Side of the pixel blocks, 1 for none.

    Shape:
        ``[B, channels, h, w]`` to logits ``[B, 1, h, w]``; h and w are multiples of ``stride``.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], stem: int) -> None:
        super().__init__()
        self.stem = stem
        self.stride = stem * 2 ** (len(widths) - 1)
        inputs = (channels * stem**2, *widths[:-1])
        self.down = nn.ModuleList(_block(i, o) for i, o in zip(inputs, widths, strict=True))
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.reduce = nn.ModuleList(nn.Conv2d(deep, shallow, 1) for deep, shallow in pairs)
        self.up = nn.ModuleList(_block(2 * shallow, shallow) for _, shallow in pairs)
        self.head = nn.Conv2d(widths[0], stem**2, 1)
        # Flawed pixels are rare: starting from their share keeps the first steps from drowning in background.
        nn.init.constant_(self.head.bias, -3.0)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 1, h, w]``."""
        return self.decode(self.encode(images))

    def encode(self, images: Tensor) -> list[Tensor]:
        """Features of every level, the finest first; level i has ``h / (stem * 2**i)`` rows."""
        features = functional.pixel_unshuffle(images, self.stem)
        levels = []
        for i, block in enumerate(self.down):
            features = block(functional.max_pool2d(features, 2) if i else features)
            levels.append(features)
        return levels

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Logits ``[B, 1, h, w]`` from the features of every level."""
        return functional.pixel_shuffle(self.head(self.dense(levels)), self.stem)

    def dense(self, levels: list[Tensor]) -> Tensor:
        """What the head decides on: ``[B, widths[0], h / stem, w / stem]``."""
        features = levels[-1]
        for reduce, block, skip in zip(self.reduce, self.up, levels[-2::-1], strict=True):
            wide = functional.interpolate(reduce(features), scale_factor=2, mode="nearest")
            features = block(torch.cat([wide, skip], dim=1))
        return features
