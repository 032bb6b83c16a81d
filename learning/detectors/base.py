"""The contract that every detector keeps."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from learning.errors import ConfigError, ExportError
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from learning.images.image_set import ImageSet
    from learning.images.preprocessing import Preprocessing


@dataclass(frozen=True)
class Budget:
    """How long to train: wall-clock minutes, or an exact number of steps.

    Attributes:
        minutes: Stop by itself within this many minutes.
        steps: Train exactly this many steps; the same seed and threads then give the same weights. Detectors that
            read each image once count batches of images, and end by themselves when there is none left.

    Raises:
        ValueError: Unless exactly one of the two is given and positive.
    """

    minutes: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        given = [value for value in (self.minutes, self.steps) if value is not None]
        if len(given) != 1 or given[0] <= 0:
            msg = f"a budget is either minutes or steps, above zero; got minutes={self.minutes}, steps={self.steps}"
            raise ValueError(msg)

    def after(self, seconds: float) -> "Budget":
        """What is left when some seconds are spent: a second of minutes at least, and of steps all."""
        if self.minutes is None:
            return self
        return Budget(minutes=max(60 * self.minutes - seconds, 1.0) / 60)


@dataclass(frozen=True)
class Prediction:
    """What a detector says of a batch; higher is more anomalous.

    Attributes:
        scores: ``[B]`` image scores.
        maps: ``[B, h, w]`` anomaly maps, at the size of the preprocessed images.
    """

    scores: Tensor
    maps: Tensor


@dataclass(frozen=True)
class FitReport:
    """What training did.

    Attributes:
        steps: Optimiser steps taken; batches read, by detectors that have no optimiser.
        seconds: Wall-clock time.
        weights: Where the starting weights came from: ``scratch``, ``pretrained``, ``file``, or ``model`` for those of
            another bundle; ``random`` where a backbone stays as it was drawn, and nothing has trained it.
        backbone: Name of the backbone, or None when the detector has none.
        backbone_sha256: Checksum of the weights it started from, or None when they were drawn at random.
        history: Named values over the steps, for the report.
        waited: Seconds of them in which training did nothing but wait for the next batch.
        selection: Figures on held-out good parts and synthetic flaws; what selects is not what trained.
        choices: What was chosen from the good parts where the configuration left it open, by the name of the option.
        precision: What an optimiser's steps were computed in, ``bf16-mixed`` or ``32-true``; None without an optimiser.
    """

    steps: int
    seconds: float
    weights: str
    backbone: str | None = None
    backbone_sha256: str | None = None
    history: dict[str, list[float]] = field(default_factory=dict)
    waited: float = 0.0
    selection: dict[str, float] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    precision: str | None = None


class Traceable(nn.Module):
    """What a detector says, as a module that can be traced for an export.

    Args:
        detector: Does all of its work in torch, by ``network`` alone.
        network: Its weights.

    Shape:
        Preprocessed images ``[B, C, h, w]``, 0..1, to scores ``[B]``, maps ``[B, h, w]`` and embeddings ``[B, D]``.
    """

    def __init__(self, detector: "Detector", network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._detector = detector
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, maps and embeddings, as the detector gives them."""
        prediction = self._detector.predict(images)
        return prediction.scores, prediction.maps, self._detector.embed(images)


class DetectorConfig(BaseModel):
    """Base of every detector's configuration; an unknown key or a value out of range is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Detector(ABC):
    """Learns from good parts and says how anomalous an image is, and where.

    The constructor only stores what it is given. Tensors are preprocessed images ``[B, C, h, w]``, 0..1.
    """

    name: ClassVar[str]
    Config: ClassVar[type[DetectorConfig]]
    default_size: ClassVar[int] = 256
    learns_from_flaws: ClassVar[bool] = True
    """Whether made-up flaws take part in its training; one that knows good parts alone refuses sources of flaws."""
    needs_defects: ClassVar[bool] = False
    """Whether it cannot be trained without confirmed defects."""
    tunable: ClassVar[bool] = False
    """Whether ``fit`` can go on from weights that are there."""

    def __init__(self, config: Any, preprocessing: "Preprocessing", device: str = "cpu") -> None:
        self.config = config
        self.preprocessing = preprocessing
        self.device = device

    @abstractmethod
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
        """Learn from good parts.

        Args:
            train: Good parts to learn from.
            selection: Other good parts, of other groups, for epochs, hyperparameters and scales. Those that
                calibrate the threshold are never given to a detector.
            seed: Every random choice follows from it.
            budget: When to stop.
            progress: Told how far training is.
            checkpoint: Folder in which an interrupted training leaves its state, and goes on from.
            sources: What made-up flaws may be taken from.
        """

    def go_on_from(self, start: "Detector") -> None:
        """Have ``fit`` go on from weights that are there.

        Args:
            start: A trained detector of the same kind, options and preprocessing; it stays as it is.

        Raises:
            ConfigError: If this detector learns in one go.
        """
        msg = f"{self.name} cannot go on from weights that are there: train it from scratch"
        raise ConfigError(msg)

    def refuse_sources(self, sources: FlawSources) -> None:
        """For detectors that learn from good parts alone: what they were given to make flaws from would be ignored.

        Raises:
            ConfigError: If there is a source.
        """
        if sources.defects or sources.textures is not None:
            msg = (
                f"{self.name} learns from good parts alone and cannot use confirmed defects or textures; leave them "
                "out, or choose another detector: segment, glass"
            )
            raise ConfigError(msg)

    @abstractmethod
    def predict(self, images: Tensor) -> Prediction:
        """Score a batch ``[B, C, h, w]``; a batch gives what its images give one by one."""

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Embed a batch: ``[B, C, h, w]`` to ``[B, D]``, the same D for every batch."""

    def exportable(self, mirrors: bool = True) -> Traceable:
        """The trained detector as a module for an export; detectors that can be exported override this.

        Args:
            mirrors: Average over mirrored images where ``predict`` does; without, a detector that does so looks at
                each image once, which is quicker.

        Raises:
            ExportError: If this detector does not work in torch alone, or was not made for it.
        """
        msg = f"detector {self.name!r} cannot be exported: what it computes is not one network; score with the bundle"
        raise ExportError(msg)

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors`` into a folder that exists."""

    @abstractmethod
    def load(self, folder: Path, device: str = "cpu") -> Self:
        """Read what ``save`` wrote, onto a device; returns itself."""
