"""What a bundle says of itself in ``bundle.json``."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from learning.auto.record import Choice
from learning.cleaning import Cleaned
from learning.config import TrainConfig
from learning.defects import bank_digest
from learning.export.record import Exported
from learning.images.preprocessing import Preprocessing
from learning.machine import cpu_name, installed_versions
from learning.sealed import seal
from synth.sources.defects import DefectBank

FORMAT = 1
"""Raised when a bundle written before can no longer be read."""

_VERSIONS = ("flawsmith", "torch", "numpy", "kornia", "timm", "safetensors")


class Machine(BaseModel):
    """Where something ran."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu: str
    cores: int
    threads: int
    torch: str

    @classmethod
    def here(cls) -> "Machine":
        """Describe this one."""
        return cls(
            cpu=cpu_name(),
            cores=os.cpu_count() or 1,
            threads=torch.get_num_threads(),
            torch=torch.__version__,
        )


class DefectsUsed(BaseModel):
    """Confirmed defects that flaws were made from.

    Attributes:
        digest: Of the bank; empty where there was none.
        used: Name of each and the verdict it comes from.
        left_out: Names of those that come from parts that select, calibrate or test, or that a network made after such.
        shown: How many confirmed defects were learnt from as they were photographed, with masks where there were any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: str = ""
    used: dict[str, str] = Field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    shown: int = 0

    @classmethod
    def of(cls, bank: DefectBank, left_out: Sequence[str], shown: int = 0) -> "DefectsUsed":
        """Describe a bank, and how many pictures of defects there were beside it."""
        used = {defect.name: defect.provenance for defect in bank.defects}
        return cls(digest=bank_digest(bank) if bank else "", used=used, left_out=tuple(left_out), shown=shown)


class TrainingSet(BaseModel):
    """The version that a model was trained on.

    Attributes:
        name: In the ledger.
        fingerprint: SHA-256 over its members.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    fingerprint: str


class Started(BaseModel):
    """The model whose weights another one went on from.

    Attributes:
        model: Its fingerprint.
        training_sets: Versions that it, and those that it came from in the same way, were trained on; the last is its
            own. Models that were trained on a folder have none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    training_sets: tuple[TrainingSet, ...] = ()


class Manifest(BaseModel):
    """How a bundle came to be, and the checksums of what it holds.

    Attributes:
        format: Of the bundle's layout.
        detector: Name in the registry.
        config: The run's configuration, the detector's options filled up with their defaults.
        preprocessing: What is done to every image.
        weights: Where the starting weights came from: ``scratch``, ``pretrained``, ``file``, ``model`` or ``random``.
        backbone: Its name, or None.
        backbone_sha256: Checksum of the weights it started from, or None.
        seed: Every random choice followed from it.
        steps: Optimiser steps; a run by minutes can be repeated with them.
        seconds: Wall-clock time of the training.
        device: ``cpu`` or ``cuda``.
        precision: What training computed in, as the machine has it: ``bf16-mixed`` or ``32-true``; None where nothing
            took steps, and of older bundles.
        machine: Where it was trained.
        data_fingerprint: SHA-256 over the training images, their parts and groups.
        defects: Confirmed defects that flaws were made from.
        training_set: The version in the ledger that it was trained on; None for one that was trained on a folder.
        started: The model whose weights it went on from; None for one that did not.
        images: How many images each set had.
        groups: How many independent groups each set had.
        selection: Figures on held-out good parts and synthetic flaws.
        choices: What was chosen from the good parts where the configuration left it open, by the name of the option.
        auto: How the detector was chosen; None where it was named.
        cleaned: What was left out of training as it did not look good; None where it was not looked for.
        history: Losses over the run.
        map_range: Values of the anomaly map that black and white stand for in pictures: what 99 % of a usual good
            part stay below, and the highest of good parts. Older bundles begin at 0.
        versions: Of the packages that matter.
        created: UTC, ISO 8601.
        files: SHA-256 of each file, by its path in the bundle.
        export: How the model was brought to another runtime; None for a bundle as it was trained.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    detector: str
    config: TrainConfig
    preprocessing: Preprocessing
    weights: str
    backbone: str | None
    backbone_sha256: str | None
    seed: int
    steps: int
    seconds: float
    device: str
    precision: str | None = None
    machine: Machine = Field(default_factory=Machine.here)
    data_fingerprint: str
    defects: DefectsUsed = DefectsUsed()
    training_set: TrainingSet | None = None
    started: Started | None = None
    images: dict[str, int]
    groups: dict[str, int]
    selection: dict[str, float]
    choices: dict[str, str] = Field(default_factory=dict)
    auto: Choice | None = None
    cleaned: Cleaned | None = None
    history: dict[str, list[float]]
    map_range: tuple[float, float]
    versions: dict[str, str] = Field(default_factory=lambda: installed_versions(_VERSIONS))
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    files: dict[str, str]
    export: Exported | None = None

    def fingerprint(self) -> str:
        """Name of the model: the same for the same detector, options, preprocessing and weights."""
        identity: dict[str, Any] = {
            "format": self.format,
            # The preprocessing says which view it is, and how a detector or its parts are chosen makes no other model;
            # older bundles, which know of none of these, keep their names.
            "config": self.config.model_dump(mode="json", exclude={"view", "auto", "clean"}),
            "preprocessing": self.preprocessing.model_dump(mode="json", exclude_none=True),
            "weights": {name: digest for name, digest in self.files.items() if name.endswith("weights.safetensors")},
        }
        if self.export is not None:
            # Its scores are not those of the bundle to the last digit, or not at all: it is a model of its own.
            identity["weights"] = {name: digest for name, digest in self.files.items() if name.startswith("model.")}
            identity["export"] = [self.export.format, self.export.precision, self.export.mirrors]
        return f"{self.detector}-{seal(identity)[:16]}"
