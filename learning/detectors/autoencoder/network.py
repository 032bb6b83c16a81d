"""A convolutional autoencoder."""

from itertools import pairwise

from torch import Tensor, nn


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
        self.stride = 2 ** len(widths)
        down: list[nn.Module] = []
        for narrow, wide in pairwise((channels, *widths)):
            down += [
                nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(0.2),
            ]
        up: list[nn.Module] = [nn.Conv2d(code, widths[-1], 1)]
        for wide, narrow in pairwise((*widths[::-1], widths[0])):
            up += [
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(wide, narrow, 3, padding=1, bias=False),
                nn.BatchNorm2d(narrow),
                nn.LeakyReLU(0.2),
            ]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], code, 1))
        self.decoder = nn.Sequential(*up, nn.Conv2d(widths[0], channels, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Images made from their codes."""
        made: Tensor = self.decoder(self.encoder(images))
        return made
