"""Generator, discriminator and encoder of patches of 64 × 64 pixels, as in DCGAN (Radford et al., 2015, 1511.06434)."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SIDE = 64
"""Side of the patches in pixels."""

_FOLLOWS = 0.1
"""Share of a new batch in what patches usually differ by."""


class Generator(nn.Module):
    """Makes patches from noise.

    Unlike in the paper, levels are doubled by repetition and a convolution: transposed ones leave a chequered pattern
    (Odena et al., 2016).

    Args:
        latent: Length of the noise.
        width: Channels of the last hidden level; every level before has twice as many.
        channels: Of a patch.

    Shape:
        ``[B, latent]`` to ``[B, channels, 64, 64]``, -1..1.
    """

    def __init__(self, latent: int, width: int, channels: int) -> None:
        super().__init__()
        widths = [8 * width, 4 * width, 2 * width, width, width]
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        ]
        for wide, narrow in pairwise(widths):
            layers += [
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(wide, narrow, 3, padding=1, bias=False),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, channels, 3, padding=1), nn.Tanh())
        self.apply(_initialise)

    def forward(self, noise: Tensor) -> Tensor:
        """Patches of noise."""
        made: Tensor = self.layers(noise[:, :, None, None])
        return made


class DefectPainter(Generator):
    """A generator whose last channel is a mask: outside of it a patch is flat."""

    def forward(self, noise: Tensor) -> Tensor:
        """Patches of noise, and their masks."""
        raw = super().forward(noise)
        mask = raw[:, -1:]
        return torch.cat([raw[:, :-1] * (mask + 1) / 2, mask], dim=1)


class Discriminator(nn.Module):
    """Tells made-up patches from real ones.

    Its layers are bounded by spectral normalisation (Miyato et al., 2018, arXiv 1802.05957), and the last one sees how
    much the patches of a batch differ (Karras et al., 2018, arXiv 1710.10196), so that few samples do not all become
    one. In evaluation it takes what they usually differ by, so that a patch is judged alone.

    Shape:
        ``[B, channels, 64, 64]`` to ``[B]``.
    """

    usual: Tensor

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("usual", torch.zeros(()))
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for narrow, wide in pairwise(widths):
            layers += [
                spectral_norm(nn.Conv2d(narrow, wide, 4, stride=2, padding=1)),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers)
        self.last = spectral_norm(nn.Conv2d(8 * width + 1, 1, 4))

    def forward(self, patches: Tensor) -> Tensor:
        """How real each patch looks."""
        return self.judge(self.layers(patches))

    def judge(self, features: Tensor) -> Tensor:
        """The same, from what ``layers`` makes of the patches."""
        spread = self.usual
        if self.training:
            spread = features.std(dim=0, unbiased=False).mean()
            self.usual.lerp_(spread.detach().to(self.usual), _FOLLOWS)
        scores: Tensor = self.last(torch.cat([features, spread.expand(len(features), 1, *features.shape[-2:])], dim=1))
        return scores.flatten()


class Encoder(nn.Module):
    """From patches to codes, the way back of a generator.

    Shape:
        ``[B, channels, 64, 64]`` to ``[B, latent]``.
    """

    def __init__(self, latent: int, width: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for narrow, wide in pairwise([width, 2 * width, 4 * width, 8 * width]):
            layers += [
                nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, latent, 4))

    def forward(self, patches: Tensor) -> Tensor:
        """Codes of patches."""
        codes: Tensor = self.layers(patches)
        return codes.flatten(1)


@contextmanager
def held(*players: nn.Module) -> Iterator[None]:
    """What is computed meanwhile teaches other networks through these, but not these."""
    parameters = [one for player in players for one in player.parameters()]
    for one in parameters:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in parameters:
            one.requires_grad_(True)


def _initialise(module: nn.Module) -> None:
    """Normal weights of a deviation of 0.02, as in the paper."""
    if isinstance(module, nn.ConvTranspose2d | nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
