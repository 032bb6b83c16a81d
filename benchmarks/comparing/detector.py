"""What is judged: ``segment`` that starts from pretrained weights, and a comparison that is not trained any more."""

import time
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from benchmarks.comparing.network import Comparer, rows
from learning.detectors.base import FitReport
from learning.detectors.segment.detector import Segment
from learning.detectors.segment.network import UNet

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet

_REMEMBERED, _PLACES = 64, 4096
"""Good parts, and places of theirs, that others are compared with."""

_FIRST = ("down.0.first.0.weight", "down.0.shortcut.weight")
"""Weights of the layers that see the picture."""


class Pretrained(Segment):
    """The detector, which starts from weights that were learnt before.

    Attributes:
        start: Of a ``Comparer`` for grey pictures.
    """

    start: dict[str, Tensor]

    def _new_network(self) -> UNet:
        network = super()._new_network()
        own = {name.removeprefix("network."): value for name, value in self.start.items() if "network." in name}
        for name in _FIRST:
            own[name] = _for_channels(own[name], self.preprocessing.channels, self.config.stem**2)
        network.load_state_dict(own)
        return network


class Comparing(Pretrained):
    """Compares with good parts by what was learnt on made-up products; nothing is trained on the user's parts.

    Attributes:
        comparer: As it was pretrained.
        bank: ``[M, D]``, places of good parts.
    """

    comparer: Comparer
    bank: Tensor

    @torch.inference_mode()
    def remember(self, train: "ImageSet", seed: int) -> FitReport:
        """Take the place of training: places of some good parts are kept to compare with."""
        started = time.monotonic()
        self.network = self._new_network()
        self.comparer = Comparer(2 * self.preprocessing.channels, self.config.widths, self.config.stem)
        other = {name: value for name, value in self.start.items() if not name.startswith("network.")}
        self.comparer.load_state_dict(other, strict=False)
        self.comparer.network = self.network
        self.comparer.eval()
        chosen = np.unique(np.linspace(0, len(train) - 1, min(_REMEMBERED, len(train))).round().astype(int))
        good = [rows(self.comparer.places(self._inputs(train.batch([i]))), 1)[0] for i in chosen.tolist()]
        every = torch.cat(good)
        self.bank = every[torch.randperm(len(every), generator=Generator().manual_seed(seed))[:_PLACES]]
        return FitReport(0, time.monotonic() - started, weights="file")

    def _probabilities(self, inputs: Tensor, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        logits = self.comparer.comparison(self.comparer.places(inputs), self.bank[None]).logits
        logits = functional.interpolate(logits, size=inputs.shape[-2:], mode="bilinear", align_corners=False)
        return logits[..., :height, :width].sigmoid()


def _for_channels(value: Tensor, channels: int, blocks: int) -> Tensor:
    """Share out a first layer's weights ``[O, 2 * blocks, k, k]``, learnt on grey, among so many channels."""
    shared = value.unflatten(1, (2, 1, blocks)).expand(-1, -1, channels, -1, -1, -1)
    return torch.flatten(shared / channels, 1, 3)
