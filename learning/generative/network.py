"""Generator and discriminator of patches of 64 × 64 pixels, as in DCGAN (Radford et al., 2015, arXiv 1511.06434)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SIDE = 64
"""Side of the patches in pixels."""


class Generator(nn.Module):
    """Makes patches from noise.

    Unlike in the paper, levels are doubled by repetition and a convolution: transposed ones leave a chequered pattern
    (Odena et al., 2016).

    Args:
        latent: Length of the noise.
        width: Channels of the last hidden level; every level before has twice as many.
        channels: Of a patch, the mask included.

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
        """Patches of noise; outside of its mask a patch is flat."""
        raw = self.layers(noise[:, :, None, None])
        mask = raw[:, -1:]
        return torch.cat([raw[:, :-1] * (mask + 1) / 2, mask], dim=1)


class Discriminator(nn.Module):
    """Tells made-up patches from confirmed ones.

    Its layers are bounded by spectral normalisation (Miyato et al., 2018, arXiv 1802.05957), and the last one sees how
    much the patches of a batch differ (Karras et al., 2018, arXiv 1710.10196), so that few samples do not all become
    one.

    Shape:
        ``[B, channels, 64, 64]`` to ``[B]``.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
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
        features = self.layers(patches)
        spread = features.std(dim=0, unbiased=False).mean().expand(len(features), 1, *features.shape[-2:])
        scores: Tensor = self.last(torch.cat([features, spread], dim=1))
        return scores.flatten()


def _initialise(module: nn.Module) -> None:
    """Normal weights of a deviation of 0.02, as in the paper."""
    if isinstance(module, nn.ConvTranspose2d | nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
