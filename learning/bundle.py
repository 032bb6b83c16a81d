"""One trained model on disk. Loading it runs no code of its own."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from learning.acceleration import Describe, describer
from learning.auto.record import Choice
from learning.card import write_card
from learning.cleaning import Cleaned
from learning.config import TrainConfig
from learning.detectors import Detector, FitReport, create
from learning.errors import BundleError, ConfigError
from learning.images.preprocessing import Preprocessing
from learning.manifest import FORMAT, DefectsUsed, Manifest, Started, TrainingSet
from learning.sealed import file_sha256, read_sealed, write_sealed
from learning.thresholds import Promise, Threshold, ThresholdStore
from learning.writable import check_writable, share

MANIFEST = "bundle.json"
_EMBEDDINGS = "embeddings.safetensors"
_EMBEDDED = "embeddings.parquet"
_AGAIN = "restore it from a copy, or train (export) again"


@dataclass(frozen=True)
class PartScores:
    """Scores of the images of a set.

    Attributes:
        image: ``[N]`` file of each image.
        part: ``[N]`` what gets one decision.
        group: ``[N]`` what is independent.
        score: ``[N]``.
        camera: ``[N]`` camera of each image, None where unknown; empty where that is so for all.
        lot: ``[N]`` lot of each image, likewise.
        map_range: Values of their anomaly maps for black and white in pictures.
    """

    image: Sequence[str]
    part: Sequence[str]
    group: Sequence[str]
    score: NDArray[np.float64]
    map_range: tuple[float, float] = (0.0, 1.0)
    camera: Sequence[str | None] = ()
    lot: Sequence[str | None] = ()

    def table(self) -> pd.DataFrame:
        """Columns image, part, group, score, camera, lot."""
        columns = {"image": list(self.image), "part": list(self.part), "group": list(self.group)}
        table = pd.DataFrame({**columns, "score": np.asarray(self.score, dtype=np.float64)})
        unknown = [None] * len(table)
        return table.assign(
            **{
                name: pd.Series(list(given) or unknown, index=table.index, dtype=object)
                for name, given in (("camera", self.camera), ("lot", self.lot))
            }
        )

    def by_group(self) -> NDArray[np.float64]:
        """Highest score in each group, the groups sorted by name."""
        return by_group(self.table())


def by_group(scores: pd.DataFrame, column: str = "score") -> NDArray[np.float64]:
    """Highest score in each group of a table with the columns group and ``column``, the groups sorted by name."""
    return scores.groupby("group", sort=True)[column].max().to_numpy(dtype=np.float64)


class Bundle:
    """A trained detector, its thresholds, and how it came to be; made by ``write`` or ``load``.

    Attributes:
        folder: Where it lies.
        manifest: What ``bundle.json`` says.
        detector: Ready to predict.
    """

    def __init__(self, folder: Path, manifest: Manifest, detector: Detector) -> None:
        self.folder = folder
        self.manifest = manifest
        self.detector = detector

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to every image."""
        return self.manifest.preprocessing

    @cached_property
    def describe(self) -> Describe:
        """Scores, maps and embeddings of preprocessed images, by the quickest way on the detector's device."""
        return describer(self.detector)

    @property
    def fingerprint(self) -> str:
        """Name of the model in the ledger."""
        return self.manifest.fingerprint()

    @property
    def map_range(self) -> tuple[float, float]:
        """Values of the anomaly map that black and white stand for in pictures."""
        return self.manifest.map_range

    @property
    def thresholds(self) -> ThresholdStore:
        """Versions of the threshold; adding one does not touch the model."""
        return ThresholdStore(self.folder / "thresholds")

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """Good images that chose nothing: image, part, group, score; since they are kept, camera and lot."""
        return pd.read_parquet(self.folder / "calibration.parquet")

    @cached_property
    def selection(self) -> pd.DataFrame:
        """Good images that set scales: columns as ``calibration``."""
        return pd.read_parquet(self.folder / "selection.parquet")

    def embeddings(self, name: str = "train") -> tuple[list[str], NDArray[np.float32]]:
        """Embeddings of good images.

        Args:
            name: ``train``, ``selection`` or ``calibration``.

        Returns:
            Files of the images, and ``[N, D]`` float32.

        Raises:
            BundleError: If the bundle has no embeddings of that name.
        """
        tensors = load_file(self.folder / _EMBEDDINGS)
        if name not in tensors:
            msg = f"{self.folder} has no embeddings called {name!r}; there are: {', '.join(sorted(tensors))}"
            raise BundleError(msg)
        table = pd.read_parquet(self.folder / _EMBEDDED)
        return table.loc[table["set"] == name, "image"].tolist(), tensors[name]

    def has_embeddings(self, name: str) -> bool:
        """Whether there are embeddings of that name; bundles of before have none of their selection parts."""
        with safe_open(self.folder / _EMBEDDINGS, "numpy") as tensors:
            return name in tensors.keys()  # noqa: SIM118

    def fallback_folder(self, name: str) -> Path:
        """Where a supervised fallback lies, whether or not it does yet.

        Raises:
            BundleError: If the name leads out of the bundle.
        """
        return _inside(self.folder, f"fallbacks/{name}")

    @classmethod
    def check_writable(cls, folder: Path) -> None:
        """Refuse a folder that must not be replaced.

        Raises:
            BundleError: If it exists, and is neither empty nor a bundle.
            DataError: If it cannot be written.
        """
        check_writable(folder)
        _recover(folder)
        if not folder.exists():
            return
        if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST).is_file()):
            msg = f"{folder} exists and is not a bundle; it is left alone: choose another folder"
            raise BundleError(msg)

    @classmethod
    def write(
        cls,
        folder: Path,
        *,
        detector: Detector,
        report: FitReport,
        config: TrainConfig,
        seed: int,
        data_fingerprint: str,
        trained_on: int,
        defects: DefectsUsed | None = None,
        training_set: TrainingSet | None = None,
        started: Started | None = None,
        calibration: PartScores,
        selection: PartScores,
        embeddings: Mapping[str, tuple[Sequence[str], NDArray[np.floating]]],
        map_range: tuple[float, float],
        threshold: tuple[float, Promise],
        auto: Choice | None = None,
        cleaned: Cleaned | None = None,
        reason: str = "first threshold: the smallest promise that the calibration parts carry",
    ) -> Self:
        """Write a bundle; the folder holds all of it or what it held before.

        Args:
            folder: A bundle that is there is replaced.
            detector: Trained.
            report: What training did.
            config: What it was told.
            seed: Of the run.
            data_fingerprint: SHA-256 over the training images.
            trained_on: Number of good images that trained; as many as there was time for have embeddings.
            defects: Confirmed defects that flaws were made from.
            training_set: The version in a ledger that it was trained on.
            started: The model whose weights it went on from.
            calibration: Scores of the good parts that chose nothing.
            selection: Scores of the good parts that set scales.
            embeddings: Files and ``[N, D]``, by the name of the set.
            map_range: Values of the anomaly map for black and white.
            threshold: The first one, and what it promises.
            auto: How the detector was chosen, where it was not named.
            cleaned: What was left out of training, where hidden defects were looked for.
            reason: Why this threshold.

        Returns:
            The bundle, as it lies on disk.

        Raises:
            BundleError: If the folder holds something else.
        """
        cls.check_writable(folder)
        with staged(folder) as temporary:
            detector.save(temporary)
            calibration.table().to_parquet(temporary / "calibration.parquet", index=False)
            selection.table().to_parquet(temporary / "selection.parquet", index=False)
            save_embeddings(temporary, embeddings)
            files = sorted(file for file in temporary.rglob("*") if file.is_file())
            for file in files:
                share(file)
            options = detector.config.model_dump(mode="json")
            manifest = Manifest(
                detector=detector.name,
                config=config.model_copy(update={"detector": detector.name, "detector_config": options}),
                preprocessing=detector.preprocessing,
                weights=report.weights,
                backbone=report.backbone,
                backbone_sha256=report.backbone_sha256,
                seed=seed,
                steps=report.steps,
                seconds=report.seconds,
                device=detector.device,
                precision=report.precision,
                data_fingerprint=data_fingerprint,
                defects=defects or DefectsUsed(),
                training_set=training_set,
                started=started,
                images={
                    "train": trained_on,
                    "selection": len(selection.image),
                    "calibration": len(calibration.image),
                },
                groups={"selection": len(set(selection.group)), "calibration": len(set(calibration.group))},
                selection=report.selection,
                choices=report.choices,
                auto=auto,
                cleaned=cleaned,
                history=report.history,
                map_range=map_range,
                files={file.relative_to(temporary).as_posix(): file_sha256(file) for file in files},
            )
            write_sealed(temporary / MANIFEST, manifest.model_dump(mode="json"))
            value, promise = threshold
            ThresholdStore(temporary / "thresholds").add(Threshold(value=value, promise=promise, reason=reason))
            write_card(temporary / "card.md", manifest, promise, value)
        return cls(folder, manifest, detector)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> Self:
        """Read a bundle, trained or exported, and check every file in it.

        Args:
            folder: Written by ``write``, or by ``learning.export.writing.export_bundle``.
            device: Where the detector is to run, ``cpu`` or ``cuda``.

        Raises:
            BundleError: If it is not a bundle, a file is missing or was changed, or it is of another format.
            ExportError: If it is an exported model, and what runs it is not installed.
        """
        manifest = cls.read_manifest(folder)
        _check_files(folder, manifest.files, MANIFEST)
        thresholds = ThresholdStore(folder / "thresholds")
        for threshold in [*thresholds.all(), thresholds.current()]:
            if threshold.fallback and not threshold.fallback_files:
                msg = f"threshold {threshold.version} of {folder} names fallback {threshold.fallback}, which is missing"
                raise BundleError(msg)
            _check_files(folder, threshold.fallback_files, f"threshold {threshold.version}")
        try:
            detector = _new_detector(manifest, device).load(folder, device)
        except (OSError, SafetensorError, KeyError, RuntimeError, ConfigError) as error:
            # torch lists every weight that does not fit, a page of them.
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
            msg = f"{folder} cannot be loaded by this version of flawsmith ({reason}); train again"
            raise BundleError(msg) from error
        return cls(folder, manifest, detector)

    @classmethod
    def read_manifest(cls, folder: Path) -> Manifest:
        """Read what a bundle says of itself, without its weights.

        Raises:
            BundleError: If it is not a bundle, the manifest was changed, or it is of another format.
        """
        _recover(folder)
        if not (folder / MANIFEST).is_file():
            msg = f"{folder} is not a bundle: it has no {MANIFEST}; make one by `flawsmith train DATA --out {folder}`"
            raise BundleError(msg)
        return _read_manifest(folder / MANIFEST)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of ``folder`` if nothing goes wrong, and is removed else."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    temporary.mkdir()
    try:
        yield temporary
        _replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def save_embeddings(folder: Path, embeddings: Mapping[str, tuple[Sequence[str], NDArray[np.floating]]]) -> None:
    """Write the files of images and their embeddings ``[N, D]``, by the name of the set."""
    arrays = {name: np.ascontiguousarray(array, dtype=np.float32) for name, (_, array) in embeddings.items()}
    save_file(arrays, folder / _EMBEDDINGS)
    rows = [(name, str(image)) for name, (images, _) in embeddings.items() for image in images]
    pd.DataFrame(rows, columns=["set", "image"]).to_parquet(folder / _EMBEDDED, index=False)


def _new_detector(manifest: Manifest, device: str) -> Detector:
    if manifest.export is None:
        return create(manifest.detector, manifest.config.detector_config, manifest.preprocessing, device)
    from learning.export.detector import ExportedDetector

    return ExportedDetector(manifest.export.format, manifest.preprocessing)


def _read_manifest(file: Path) -> Manifest:
    content = read_sealed(file)
    if content.get("format") != FORMAT:
        msg = f"{file} is of format {content.get('format')}; this version of flawsmith reads format {FORMAT}"
        raise BundleError(msg)
    try:
        return Manifest.model_validate(content)
    except (ValidationError, ConfigError) as error:
        msg = (
            f"{file} does not describe a bundle that this version of flawsmith can read: {' '.join(str(error).split())}"
        )
        raise BundleError(msg) from error


def _check_files(folder: Path, checksums: Mapping[str, str], source: str) -> None:
    for name, expected in checksums.items():
        file = _inside(folder, name)
        if not file.is_file():
            msg = f"{file} is missing; {_AGAIN}"
            raise BundleError(msg)
        if file_sha256(file) != expected:
            msg = f"{file} is damaged: its checksum does not fit {source}; {_AGAIN}"
            raise BundleError(msg)


def _inside(folder: Path, name: str) -> Path:
    """Path of a file in the bundle; a name that leads out of it is refused, as a bundle may come from anywhere."""
    relative = PurePosixPath(name)
    outside = relative.is_absolute() or ".." in relative.parts or "\\" in name or ":" in name or not relative.parts
    if outside or not (folder / name).resolve().is_relative_to(folder.resolve()):
        msg = f"{folder / MANIFEST} names {name!r}, which lies outside of the bundle; do not use it"
        raise BundleError(msg)
    return folder / name


def _replace(temporary: Path, folder: Path) -> None:
    """Put a folder in the place of another; ``_recover`` undoes it when killed between the two renames."""
    old = _replaced(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)  # noqa: PTH104
    os.rename(temporary, folder)  # noqa: PTH104
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    old = _replaced(folder)
    if old.is_dir() and not folder.exists():
        old.rename(folder)


def _replaced(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.replaced")
