"""A convolutional autoencoder."""

from itertools import pairwise

from torch import Tensor, nn

_BLOCK = 2
"""Side of the pixel blocks that enter and leave the network as one: no convolution runs at full resolution."""


class Autoencoder(nn.Module):
    """Halves the resolution at each level down to a few channels, and doubles it again.

    Args:
        channels: Of the images.
        widths: Channels of each level.
        code: Channels of the code: the bottleneck, without which it would learn to copy.

    Shape:
        ``[B, channels, h, w]`` to the same; h and w are multiples of ``stride``.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], code: int) -> None:
        super().__init__()
        self.stride = _BLOCK * 2 ** (len(widths) - 1)
        blocks = channels * _BLOCK**2
        down: list[nn.Module] = [
            nn.PixelUnshuffle(_BLOCK),
            nn.Conv2d(blocks, widths[0], 3, padding=1, bias=False),
            *_after(widths[0]),
        ]
        for narrow, wide in pairwise(widths):
            down += [nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False), *_after(wide)]
        up: list[nn.Module] = [nn.Conv2d(code, widths[-1], 1)]
        for wide, narrow in pairwise(widths[::-1]):
            up += [
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(wide, narrow, 3, padding=1, bias=False),
                *_after(narrow),
            ]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], code, 1))
        self.decoder = nn.Sequential(*up, nn.Conv2d(widths[0], blocks, 3, padding=1), nn.PixelShuffle(_BLOCK))

    def forward(self, images: Tensor) -> Tensor:
        """Images made from their codes."""
        made: Tensor = self.decoder(self.encoder(images))
        return made


def _after(width: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(width), nn.LeakyReLU(0.2, inplace=True)
