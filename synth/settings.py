"""What a synthesis is told: families with their ranges, severities, regions and sources."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from synth.errors import SynthError
from synth.families import ANYWHERE, FAMILIES, Family
from synth.image_level import Odds, Synthesizer
from synth.regions import Regions

Share = Annotated[float, Field(ge=0, le=1)]

CONFIRMED_SHARE = 0.3
"""Share of the flaws that are confirmed defects, where there are any: what has occurred is what will occur."""

_TRIED = 64
"""Flaws drawn to see whether a family's ranges can be drawn from."""


class FamilySettings(BaseModel):
    """One family: how often it is drawn, and what its constructor takes, such as ranges of size and contrast.

    Attributes:
        weight: How often it is drawn, relative to the others.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)


class Sources(BaseModel):
    """What content is taken from.

    Attributes:
        parts: Other good parts at hand for each image.
        textures: Folder of pictures of textures, in class folders as DTD has them or loose; relative to the
            configuration's folder. Without it textures are made up.
        defects: Confirmed defects: a bank (``flawsmith defects``) or a ledger. With them, where no families are named,
            three in ten flaws are such defects.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parts: int = Field(default=4, ge=0, le=16)
    textures: Path | None = None
    defects: str | None = None

    @field_validator("textures")
    @classmethod
    def _beside_the_configuration(cls, folder: Path | None, info: ValidationInfo) -> Path | None:
        return folder if folder is None or info.context is None else info.context["folder"] / folder


class Visibility(BaseModel):
    """What an image needs before it counts as flawed; other flaws are drawn until it has it.

    Attributes:
        area: Pixels that its flaws visibly change together.
        contrast: Of its clearest flaw against its surroundings, 0..1 of the range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: int = Field(default=3, ge=1)
    contrast: Share = 0.0


class SynthesisSettings(BaseModel):
    """How flaws are made; every key has a default.

    Attributes:
        families: Settings by family; none means all families, equally often.
        severity: Least and greatest, 0 (barely visible) to 1 (gross).
        flaws_per_image: Least and greatest number.
        foreground: Keep flaws to the part where it can be told from its background.
        regions: Where flaws are allowed.
        sources: What content is taken from.
        visibility: What an image needs before it counts as flawed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    families: dict[str, FamilySettings] | None = Field(default=None, min_length=1)
    severity: tuple[Share, Share] = (0.0, 1.0)
    flaws_per_image: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(le=20)]] = (1, 3)
    foreground: bool = True
    regions: Regions = Regions()
    sources: Sources = Sources()
    visibility: Visibility = Visibility()

    @field_validator("families", mode="before")
    @classmethod
    def _names_alone_will_do(cls, families: Any) -> Any:
        if isinstance(families, list):
            return {name: {} for name in families}
        if isinstance(families, dict):
            return {name: {} if value is None else value for name, value in families.items()}
        return families

    @field_validator("families")
    @classmethod
    def _families_fit(cls, families: dict[str, FamilySettings] | None) -> dict[str, FamilySettings] | None:
        for name, settings in (families or {}).items():
            _check_family(name, settings)
        if families and not any(settings.weight for settings in families.values()):
            msg = "have no weight above 0"
            raise ValueError(msg)
        return families

    @field_validator("severity", "flaws_per_image", mode="before")
    @classmethod
    def _a_range_has_two_ends(cls, limits: Any) -> Any:
        if not isinstance(limits, list | tuple) or len(limits) != 2:
            msg = "takes the least and the greatest, such as [0, 1] for severity or [1, 3] for flaws_per_image"
            raise ValueError(msg)
        return limits

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name in ("severity", "flaws_per_image"):
            least, greatest = getattr(self, name)
            if least > greatest:
                msg = f"{name} is [{least:g}, {greatest:g}]: the least comes first"
                raise ValueError(msg)
        return self

    def only(self, names: Sequence[str]) -> Self:
        """The same settings for some of the families, or for others as they are by default.

        Raises:
            SynthError: If there is no family of such a name.
        """
        unknown = [name for name in names if name not in FAMILIES]
        if unknown or not names:
            wrong = f"there is no flaw family {', '.join(unknown)}" if unknown else "no flaw family is named"
            msg = f"{wrong}; choose some of {', '.join(FAMILIES)}"
            raise SynthError(msg)
        chosen = {name: (self.families or {}).get(name, FamilySettings()) for name in names}
        return self.model_copy(update={"families": chosen})

    @property
    def names(self) -> list[str]:
        """Families that are drawn."""
        return list(self._weights)

    @property
    def _weights(self) -> dict[str, float]:
        if self.families is not None:
            return {name: settings.weight for name, settings in self.families.items() if settings.weight}
        weights = dict.fromkeys(ANYWHERE, 1.0)
        if self.sources.defects is None:
            return weights
        return {**weights, "confirmed": len(weights) * CONFIRMED_SHARE / (1 - CONFIRMED_SHARE)}

    def synthesizer(self) -> Synthesizer:
        """What draws by these settings."""
        ranges = {name: settings.model_extra or {} for name, settings in (self.families or {}).items()}
        families = [FAMILIES[name](**ranges.get(name, {})) for name in self.names]
        odds = Odds({name: (weight,) for name, weight in self._weights.items()})
        return Synthesizer(families, self.flaws_per_image, self.severity, odds)


def _check_family(name: str, settings: FamilySettings) -> None:
    """Refuse what the constructor of a family does not take, and ranges that nothing can be drawn from."""
    if name not in FAMILIES:
        msg = f"{name} is no flaw family; there are {', '.join(FAMILIES)}"
        raise ValueError(msg)
    takes = inspect.signature(FAMILIES[name]).parameters
    extra = settings.model_extra or {}
    for key, value in extra.items():
        if key not in takes:
            msg = f"{name}.{key} is not a key; keys are {', '.join(f'{name}.{key}' for key in ('weight', *takes))}"
            raise ValueError(msg)
        extra[key] = _checked(f"{name}.{key}", value, takes[key].annotation)
    _try(name, FAMILIES[name], extra)


def _checked(key: str, value: Any, annotation: Any) -> Any:
    try:
        checked = TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        msg = f"{key} is {value!r}: {error.errors()[0]['msg']}"
        raise ValueError(msg) from error
    if isinstance(checked, tuple) and len(checked) == 2 and checked[0] > checked[1]:
        msg = f"{key} is {value!r}: the least comes first"
        raise ValueError(msg)
    return checked


def _try(name: str, family: Callable[..., Family[Any]], arguments: dict[str, Any]) -> None:
    try:
        with np.errstate(all="ignore"):  # what is not finite is answered below
            drawn = vars(family(**arguments).draw(torch.Generator().manual_seed(0), _TRIED))
        sound = all(bool(np.isfinite(values).all()) for values in drawn.values())
    except (ArithmeticError, ValueError, RuntimeError):
        sound = False
    if not sound:
        msg = f"{name} cannot be drawn from {arguments}; ranges of lengths and contrasts begin above 0"
        raise ValueError(msg)
