"""Which backbone, and where its weights come from."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Origin(StrEnum):
    """Where weights come from; every report names it."""

    SCRATCH = "scratch"
    PRETRAINED = "pretrained"
    FILE = "file"


class BackboneConfig(BaseModel):
    """A network of ``timm`` and the levels of it that are used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="resnet18", min_length=1, description="A model name of timm.")
    weights: Origin = Field(
        default=Origin.SCRATCH,
        description="scratch: drawn from the seed; pretrained: downloaded by timm's hub; file: brought along.",
    )
    file: Path | None = Field(default=None, description="State dict as safetensors, when weights is file.")
    sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="What the file must be, to the byte; checked when given."
    )
    levels: tuple[int, ...] = Field(
        default=(2, 3), min_length=1, description="Levels whose features are used; 0 is the finest."
    )

    @model_validator(mode="after")
    def _file_belongs_to_weights(self) -> "BackboneConfig":
        if (self.file is not None) != (self.weights is Origin.FILE):
            msg = "`file` goes with `weights: file`, and only with it"
            raise ValueError(msg)
        return self
