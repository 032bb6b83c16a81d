"""A DCGAN of good windows, and an encoder that finds a window's place in it."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from learning.generative.network import Discriminator, Encoder, Generator, held

_FEATURES = 1.0
"""Weight of the residual of the discriminator's features beside that of pixels (κ in f-AnoGAN)."""


class DcganNetwork(nn.Module):
    """Generator and discriminator as in DCGAN, and the encoder of f-AnoGAN.

    Args:
        latent: Length of a code.
        width: Channels of the widest level.
        channels: Of a window.
    """

    def __init__(self, latent: int, width: int, channels: int) -> None:
        super().__init__()
        self.generator = Generator(latent, width, channels)
        self.discriminator = Discriminator(width, channels)
        self.encoder = Encoder(latent, width, channels)

    def forward(self, windows: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """Losses of windows ``[B, C, 64, 64]``, -1..1, and noise ``[B, latent]``."""
        made = self.generator(noise)
        real, fake = self.discriminator(windows), self.discriminator(made.detach())
        with held(self.discriminator):
            fooled = self.discriminator(made)
        with held(self.generator, self.discriminator):
            pixels, features = self.residuals(windows)
        return {
            "discriminator": functional.softplus(-real).mean() + functional.softplus(fake).mean(),
            "generator": functional.softplus(-fooled).mean(),
            "encoder": pixels.mean() + _FEATURES * features.mean(),
        }

    def residuals(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """What the nearest window that can be made lacks: of pixels ``[B, 64, 64]``, and of features ``[B]``."""
        made = self.generator(self.encoder(windows))
        seen, known = self.discriminator.layers(made), self.discriminator.layers(windows)
        features = (seen - known.detach()).square().flatten(1).mean(dim=1)
        return (made - windows).square().mean(dim=1), features

    def look(self, windows: Tensor) -> Tensor:
        """How little windows look real, everywhere the same, and how badly they are made: ``[B, 2, 64, 64]``."""
        pixels = (self.generator(self.encoder(windows)) - windows).abs().mean(dim=1, keepdim=True)
        doubt = -self.discriminator(windows)[:, None, None, None].expand_as(pixels)
        return torch.cat([doubt, pixels], dim=1)
