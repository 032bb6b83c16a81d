"""The networks of GANomaly and their losses."""

from torch import Tensor, nn
from torch.nn import functional

from learning.generative.network import Discriminator, Encoder, Generator, held

_ADVERSARIAL, _CONTEXT, _ENCODER = 1.0, 50.0, 1.0
"""Weights of the generator's losses, as in the paper."""


class GanomalyNetwork(nn.Module):
    """An autoencoder, an encoder of what it makes, and a discriminator (figure 2 of the paper).

    Args:
        latent: Length of a code.
        width: Channels of the widest level.
        channels: Of a window.
    """

    def __init__(self, latent: int, width: int, channels: int) -> None:
        super().__init__()
        self.encoder = Encoder(latent, width, channels)
        self.decoder = Generator(latent, width, channels)
        self.again = Encoder(latent, width, channels)
        self.discriminator = Discriminator(width, channels)

    def forward(self, windows: Tensor, _: Tensor) -> dict[str, Tensor]:
        """Losses of windows ``[B, C, 64, 64]``, -1..1; equations 1 to 4, and that of the discriminator."""
        code = self.encoder(windows)
        made = self.decoder(code)
        real, fake = self.discriminator(windows), self.discriminator(made.detach())
        with held(self.discriminator):
            matched = functional.mse_loss(self.discriminator.layers(made), self.discriminator.layers(windows).detach())
        return {
            "discriminator": functional.softplus(-real).mean() + functional.softplus(fake).mean(),
            "adversarial": _ADVERSARIAL * matched,
            "context": _CONTEXT * functional.l1_loss(made, windows),
            "encoder": _ENCODER * functional.mse_loss(self.again(made), code),
        }

    def look(self, windows: Tensor) -> Tensor:
        """How badly windows are made, at each place: ``[B, 1, 64, 64]``."""
        return (self.decoder(self.encoder(windows)) - windows).abs().mean(dim=1, keepdim=True)
