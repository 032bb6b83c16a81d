"""The U-Net of the ``segment`` detector: small enough to be trained in minutes on two CPU cores."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Convolution(nn.Sequential):
    """A 3x3 convolution with batch normalisation, and ReLU unless a sum follows."""

    def __init__(self, inputs: int, outputs: int, activated: bool = True) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if activated else []))


class _Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al., 2016, arXiv 1512.03385)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _Convolution(inputs, outputs)
        self.second = _Convolution(outputs, outputs, activated=False)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """``[B, inputs, h, w]`` to ``[B, outputs, h, w]``."""
        return functional.relu(self.shortcut(features) + self.second(self.first(features)), inplace=True)


class UNet(nn.Module):
    """Says for every pixel how likely it belongs to a flaw (Ronneberger et al., 2015, arXiv 1505.04597).

    Pixels enter as blocks of ``stem`` x ``stem`` (space to depth) and leave the same way, so that no convolution
    runs at full resolution: that is where a U-Net on a CPU spends its time. The way down is residual; on the way up,
    levels are added rather than laid side by side, and smoothed by a single convolution (Lin et al., 2017, arXiv
    1612.03144), which takes a third of the time.

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
        self.down = nn.ModuleList(_Residual(i, o) for i, o in zip(inputs, widths, strict=True))
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.reduce = nn.ModuleList(nn.Conv2d(deep, shallow, 1) for deep, shallow in pairs)
        self.up = nn.ModuleList(_Convolution(shallow, shallow) for _, shallow in pairs)
        self.head = nn.Conv2d(widths[0], stem**2, 1)
        # Flawed pixels are rare: starting from their share keeps the first steps from drowning in background.
        nn.init.constant_(self.head.bias, -3.0)  # type: ignore[arg-type]
        # Pixels of a block start alike, or maps show the blocks (Aitken et al., 2017, arXiv 1707.02937).
        with torch.no_grad():
            self.head.weight.copy_(self.head.weight[:1].clone().expand_as(self.head.weight))

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
            features = block(functional.interpolate(reduce(features), scale_factor=2, mode="nearest") + skip)
        return features
