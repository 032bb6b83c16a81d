"""Training configurations from YAML, validated."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from learning.detectors import DETECTORS, detector_class
from learning.errors import ConfigError
from synth.configuration import describe, read_config
from synth.errors import SynthError
from synth.families import ANYWHERE
from synth.regions import Regions

AUTO = "auto"
"""In the place of a detector's name: the best of some candidates."""

_SETS = ("train", "selection", "calibration")


class Sources(BaseModel):
    """What made-up flaws are taken from beside the good parts.

    Attributes:
        defects: Confirmed defects: a bank (``flawsmith defects``) or a ledger; None is none.
        textures: A folder of pictures of textures, such as DTD; None is procedural ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    defects: str | None = None
    textures: Path | None = None


class Auto(BaseModel):
    """How ``detector: auto`` chooses; see ``learning.auto``.

    Attributes:
        candidates: Names of detectors; the first is taken where there are too few good parts to choose by.
        options: Options of candidates, by their names.
        share: Share of the budget that all candidates have together; the winner has the rest.
        left_out: Flaw families that judge, and that no candidate is trained on.
        images: Held-out good images to judge on, at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    candidates: tuple[str, ...] = Field(default=("segment", "glass", "patchcore"), min_length=2)
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    share: float = Field(default=0.4, ge=0.05, le=0.9)
    left_out: tuple[str, ...] = Field(default=("crack", "scratch", "dent", "missing", "stain"), min_length=1)
    images: int = Field(default=32, ge=8, le=1000)

    @field_validator("candidates")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in DETECTORS:
                msg = f"no detector is called {name!r}; there are: {', '.join(sorted(DETECTORS))}"
                raise ValueError(msg)
        if len(set(names)) < len(names):
            msg = "names a candidate twice"
            raise ValueError(msg)
        return names

    @field_validator("left_out")
    @classmethod
    def _some(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(families) - set(ANYWHERE))
        if unknown or len(set(families)) >= len(ANYWHERE):
            msg = f"takes some, not all, of {', '.join(ANYWHERE)}"
            raise ValueError(msg)
        return tuple(dict.fromkeys(families))

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        for name, options in self.options.items():
            if name not in self.candidates:
                msg = f"options are of candidates ({', '.join(self.candidates)}); {name!r} is none"
                raise ValueError(msg)
            check_detector_config(name, options)
            families = options.get("families")
            if families and not set(families) - set(self.left_out):
                msg = f"left_out leaves {name} no family of those it is told to learn from"
                raise ValueError(msg)
        return self


class Clean(BaseModel):
    """How suspected defects are looked for.

    Attributes:
        detector: That judges; None: the one that is trained, with its options.
        share: Of the minutes or steps, for all folds together.
        folds: Into which the groups are cut.
        rate: Probability that an ordinary good part is suspected.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str | None = None
    share: float = Field(default=0.3, gt=0, lt=1)
    folds: int = Field(default=2, ge=2, le=10)
    rate: float = Field(default=0.01, gt=0, le=0.05)

    @field_validator("detector")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and (name not in DETECTORS or detector_class(name).needs_defects):
            msg = f"takes a detector that learns from good parts; there is no such {name!r}"
            raise ValueError(msg)
        return name


class TrainConfig(BaseModel):
    """What a training run can be told beside its data, budget and seed.

    Attributes:
        detector: Name of the detector, or ``auto``.
        detector_config: Options of that detector, validated by its own class.
        size: Height and width that images are brought to; a crop has about as many pixels. None: the detector's.
        view: ``whole`` pictures, or the ``part`` cut out of them; ``auto`` chooses by the good training images.
        shares: Shares of the good groups that train, set scales, and calibrate the threshold; they add up to 1.
        confidence: Of the first threshold's promise.
        sources: What made-up flaws are taken from.
        regions: Where synthetic flaws are allowed, on the pictures as they come; see ``configs/synthesis.yaml``.
        auto: How ``auto`` chooses.
        clean: How defects hidden among the training parts are looked for; None: they are not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    detector: str = "segment"
    detector_config: dict[str, Any] = Field(default_factory=dict)
    size: int | None = Field(default=None, ge=32, le=2048)
    view: Literal["auto", "whole", "part"] = "auto"
    shares: dict[Literal["train", "selection", "calibration"], float] = Field(
        default={"train": 0.7, "selection": 0.1, "calibration": 0.2}
    )
    confidence: float = Field(default=0.95, ge=0.5, le=0.999)
    sources: Sources = Sources()
    regions: Regions = Regions()
    auto: Auto = Auto()
    clean: Clean | None = None

    @field_validator("detector")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in (AUTO, *DETECTORS):
            msg = f"no detector is called {name!r}; there are: {AUTO}, {', '.join(sorted(DETECTORS))}"
            raise ValueError(msg)
        return name

    @field_validator("shares")
    @classmethod
    def _whole(cls, shares: dict[str, float]) -> dict[str, float]:
        if set(shares) != set(_SETS) or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
            msg = f"takes {', '.join(_SETS)}, each above 0, adding up to 1"
            raise ValueError(msg)
        return {name: shares[name] for name in _SETS}

    @model_validator(mode="after")
    def _detector_config_fits(self) -> Self:
        if self.detector_config and self.detector == AUTO:
            msg = "detector_config is for one detector; with auto, options go under auto.options by a candidate's name"
            raise ValueError(msg)
        if self.detector_config:
            check_detector_config(self.detector, self.detector_config)
        return self


def load_config(path: Path) -> TrainConfig:
    """Read a configuration.

    Args:
        path: A YAML file with the keys of ``TrainConfig``; an empty one means all defaults.

    Raises:
        ConfigError: Naming the file, the key and what is allowed.
    """
    try:
        return read_config(path, TrainConfig)
    except SynthError as error:
        raise ConfigError(str(error)) from error
    except ConfigError as error:
        msg = f"{path}: {error}"
        raise ConfigError(msg) from error


def check_detector_config(name: str, config: dict[str, Any]) -> None:
    """Validate a detector's options.

    Raises:
        ConfigError: Naming the key and what is allowed.
    """
    model = detector_class(name).Config
    try:
        model.model_validate(config)
    except ValidationError as error:
        msg = describe(error, model, prefix="detector_config.")
        raise ConfigError(msg) from error
