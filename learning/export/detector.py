"""An exported model behind the contract of detectors: another way to predict, and nothing else to learn."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from learning.detectors.base import Budget, Detector, DetectorConfig, FitReport, Prediction
from learning.errors import ExportError
from learning.export.record import Format
from learning.export.runtimes import Floats, Runtime, open_runtime
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet
    from learning.images.preprocessing import Preprocessing


class ExportedDetector(Detector):
    """Predicts by another runtime.

    Args:
        config: Format of the model.
        preprocessing: Of the bundle it came from.
    """

    name = "exported"
    Config: ClassVar[type[DetectorConfig]] = DetectorConfig

    def __init__(self, config: Format, preprocessing: "Preprocessing", device: str = "cpu") -> None:
        super().__init__(config, preprocessing, device)
        self._runtime: Runtime | None = None
        self._last: tuple[Tensor, int | None, tuple[Floats, Floats, Floats]] | None = None

    def fit(
        self,
        train: "ImageSet",
        selection: "ImageSet",
        seed: int,
        budget: Budget,
        progress: Progress = silent,
        checkpoint: Path | None = None,
        sources: FlawSources = NO_SOURCES,
    ) -> FitReport:
        """Refuse.

        Raises:
            ExportError: Always.
        """
        raise ExportError(_CANNOT)

    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``."""
        scores, maps, _ = self._run(images)
        return Prediction(torch.from_numpy(scores), torch.from_numpy(maps))

    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: ``[B, D]``; at no cost where it has just been predicted."""
        return torch.from_numpy(self._run(images)[2])

    def save(self, folder: Path) -> None:
        """Refuse.

        Raises:
            ExportError: Always.
        """
        raise ExportError(_CANNOT)

    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Open the model in a folder, to compute with as many threads as torch does."""
        self._runtime = open_runtime(folder, self.config, self.preprocessing, torch.get_num_threads())
        return self

    def _run(self, images: Tensor) -> tuple[Floats, Floats, Floats]:
        version = None if images.is_inference() else images._version
        if self._last is not None and self._last[0] is images and self._last[1] == version is not None:
            return self._last[2]
        assert self._runtime is not None
        arrays: Any = images.float().cpu().contiguous().numpy()
        found = [self._runtime(arrays[i : i + 1]) for i in range(len(arrays))]
        scores, maps, embeddings = (np.concatenate(those) for those in zip(*found, strict=True))
        self._last = (images, version, (scores, maps, embeddings))
        return scores, maps, embeddings


_CANNOT = "an exported model is there to score; train, and export the bundle that comes of it"
