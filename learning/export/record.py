"""What an exported model says of itself, in the manifest of its folder."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Format(StrEnum):
    """What runs the model."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


class Precision(StrEnum):
    """What the layers with weights compute in; what comes before and after them is always FP32."""

    FP32 = "fp32"
    INT8 = "int8"


class Parity(BaseModel):
    """How an exported model compares with the bundle that it came from, on held-out good parts and made-up flaws.

    Attributes:
        good: Good parts that were compared.
        flawed: The same parts, each with a flaw drawn on it that can be seen.
        largest_score_difference: Of any image, absolute.
        mean_score_difference: Absolute.
        largest_map_difference: Of any pixel, absolute.
        auroc: Of the bundle: good parts against flawed ones; None without flawed ones.
        exported_auroc: Of the exported model, on the same images.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    good: int
    flawed: int
    largest_score_difference: float
    mean_score_difference: float
    largest_map_difference: float
    auroc: float | None
    exported_auroc: float | None


class Exported(BaseModel):
    """How an exported model came to be.

    Attributes:
        format: What runs it.
        precision: Of the layers with weights.
        mirrors: Whether it averages over mirrored images where the bundle does.
        source: Fingerprint of the bundle.
        calibrated_on: Good training images that the ranges of INT8 come from.
        parity: How it compares with the bundle.
        threshold: ``kept``: scores are those of the bundle, and so are its thresholds. ``anew``: scores differ;
            the calibration parts were scored again, and the bundle's promise was made anew from them.
        versions: Of what made it.
        created: UTC, ISO 8601.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format
    precision: Precision
    mirrors: bool
    source: str
    calibrated_on: int
    parity: Parity
    threshold: Literal["kept", "anew"]
    versions: dict[str, str]
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def text(self) -> str:
        """Format and precision in words, for a person."""
        return f"{self.format} {self.precision.upper()}" + ("" if self.mirrors else ", without mirrored images")
