"""The discriminator, alone and with what puts it on the features of a detector."""

from pathlib import Path
from typing import Protocol, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from learning.detectors.base import Prediction
from learning.errors import BundleError
from learning.feature_discriminator.places import judge_places, to_prediction, to_rows

_FILE = "discriminator.safetensors"
_LEAST_HIDDEN = 64
_SCORE_SHARE = 0.01
"""Share of the places, the highest, whose mean logit is the image score."""


class DenseDetector(Protocol):
    """What has features of places, such as every detector of the registry."""

    device: str

    def dense(self, images: Tensor) -> Tensor:
        """``[B, C, h, w]`` to ``[B, D, h / r, w / r]``."""


class Discriminator(nn.Sequential):
    """Features ``[N, D]`` to logits ``[N, 1]``: one hidden layer, as in the paper.

    Args:
        width: D.
    """

    def __init__(self, width: int) -> None:
        # Shells around narrow features take more units than these have dimensions.
        hidden = max(width, _LEAST_HIDDEN)
        super().__init__(nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))


class FeatureDiscriminator(nn.Module):
    """Judges the features of places, each dimension by the mean and deviation it has on good parts.

    Args:
        width: D of the features.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.discriminator = Discriminator(width)

    def forward(self, dense: Tensor) -> Tensor:
        """Features ``[B, D, h, w]`` as a detector gives them to logits ``[B, h, w]``; above zero is anomalous."""
        return judge_places(self.judge, self.standardise(dense))

    def judge(self, rows: Tensor) -> Tensor:
        """Logits ``[N]`` of standardised features ``[N, D]``."""
        logits: Tensor = self.discriminator(rows)[:, 0]
        return logits

    def standardise(self, dense: Tensor) -> Tensor:
        """``[B, D, h, w]`` to the same, each dimension by what it is on good parts."""
        return (dense - self.mean[:, None, None]) / self.deviation[:, None, None]

    def fit_scales(self, dense: Tensor) -> None:
        """Take mean and deviation from good parts ``[B, D, h, w]``; a dimension that never varies keeps its scale."""
        rows = to_rows(dense)
        deviation = rows.std(dim=0, unbiased=False)
        self.mean.copy_(rows.mean(dim=0))
        self.deviation.copy_(torch.where(deviation > 1e-6 * rows.abs().amax(dim=0), deviation, 1.0))

    @torch.inference_mode()
    def predict(self, detector: DenseDetector, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; scores are logits, maps are probabilities."""
        return to_prediction(self(detector.dense(images)), images, _SCORE_SHARE)

    def save(self, folder: Path) -> None:
        """Write ``discriminator.safetensors`` into a folder that exists."""
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / _FILE)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """Read what ``save`` wrote.

        Raises:
            BundleError: If it is missing or damaged.
        """
        try:
            weights = load_file(folder / _FILE, device=device)
            loaded = cls(len(weights["mean"])).to(device)
            loaded.load_state_dict(weights)
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            msg = f"{folder / _FILE} is missing or damaged ({error}); fit the discriminator again"
            raise BundleError(msg) from error
        return loaded.eval()
