"""Training configurations from YAML, validated."""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from learning.detectors import DETECTORS, detector_class
from learning.errors import ConfigError

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


class TrainConfig(BaseModel):
    """What a training run can be told beside its data, budget and seed.

    Attributes:
        detector: Name of the detector.
        detector_config: Options of that detector, validated by its own class.
        size: Height and width that images are brought to; a crop has about as many pixels. None: the detector's.
        view: ``whole`` pictures, or the ``part`` cut out of them; ``auto`` chooses by the good training images.
        shares: Shares of the good groups that train, set scales, and calibrate the threshold; they add up to 1.
        confidence: Of the first threshold's promise.
        sources: What made-up flaws are taken from.
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

    @field_validator("detector")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in DETECTORS:
            msg = f"no detector is called {name!r}; there are: {', '.join(sorted(DETECTORS))}"
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
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"{path} does not exist; configurations are in configs/"
        raise ConfigError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        msg = f"{path} is not YAML: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error
    if content is not None and not isinstance(content, dict):
        msg = f"{path} must hold keys and values; keys are {', '.join(TrainConfig.model_fields)}"
        raise ConfigError(msg)
    try:
        return TrainConfig.model_validate(content or {})
    except ValidationError as error:
        msg = f"{path}: {describe(error, TrainConfig)}"
        raise ConfigError(msg) from error
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


def describe(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Say in one line which keys are wrong and what is allowed."""
    lines = []
    for wrong in error.errors():
        key = prefix + ".".join(str(step) for step in wrong["loc"])
        if wrong["type"] == "extra_forbidden":
            lines.append(f"{key} is not a key; keys are {', '.join(prefix + name for name in model.model_fields)}")
        else:
            lines.append(f"{key} is {wrong['input']!r}: {wrong['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
