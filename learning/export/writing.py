"""From a bundle to a folder that another runtime scores by; the folder is a bundle too, without its training."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from learning.bundle import MANIFEST, Bundle, save_embeddings, staged
from learning.card import write_card
from learning.errors import ExportError, PromiseError
from learning.export.detector import ExportedDetector
from learning.export.examples import evenly, find_parts, flawed_parts
from learning.export.graph import ONNX_FILE, read_openvino, write_onnx, write_openvino
from learning.export.packages import require_to_export, tool_versions
from learning.export.parity import measure_parity
from learning.export.quantisation import quantise
from learning.export.record import Exported, Format, Precision
from learning.images.image_set import ImageSet
from learning.map_range import MapRange
from learning.origins import thresholds_by_origin
from learning.progress import Progress, silent
from learning.sealed import file_sha256, write_sealed
from learning.thresholds import Threshold, ThresholdStore, conformal_threshold, smallest_promise_threshold

_CALIBRATED_ON = 128
"""Good training parts that ranges of INT8 come from, and as many with flaws."""

_SAME_SCORES = 1e-4
"""Of no image may the score differ by more, if the bundle's thresholds are to stay."""

_COPIED = ("calibration.parquet", "selection.parquet", "embeddings.safetensors", "embeddings.parquet")
_BATCH = 16


@dataclass(frozen=True)
class ExportSettings:
    """What to export to.

    Attributes:
        format: What is to run it.
        precision: Of the layers with weights.
        mirrors: Average over mirrored images where the bundle does.
    """

    format: Format = Format.OPENVINO
    precision: Precision = Precision.FP32
    mirrors: bool = True


def export_bundle(
    bundle: Bundle, out: Path, settings: ExportSettings, data: Path | None = None, progress: Progress = silent
) -> Bundle:
    """Export a bundle, compare the exported model with it, and write both down.

    Where the exported model scores as the bundle does, thresholds and calibration scores are the bundle's. Where it
    does not, the calibration parts are scored again and the promise of the bundle's current threshold is made anew.

    Args:
        bundle: Loaded on the CPU.
        out: Folder to write; an export that is there is replaced, anything else is refused.
        settings: What to export to.
        data: Where the data lie now that the bundle was trained on, if they were moved.
        progress: Told how far it is.

    Returns:
        The exported model, as it lies on disk.

    Raises:
        ExportError: If the detector, its threshold, or what is installed does not allow it, or the good images of the
            bundle are not there.
        BundleError: If ``out`` holds something that is not an exported model.
    """
    require_to_export(settings.format, settings.precision)
    _check_bundle(bundle)
    _check_out(out)
    module = bundle.detector.exportable(settings.mirrors)
    names = {name: bundle.embeddings(name)[0] for name in ("train", "selection", "calibration")}
    names |= {"selection": list(bundle.selection["image"]), "calibration": list(bundle.calibration["image"])}
    files = {part: find_parts(those, data) for part, those in names.items()}
    seed = bundle.manifest.seed
    with staged(out) as folder:
        progress(0, 1, "tracing the detector")
        onnx = write_onnx(module, bundle.preprocessing, folder)
        calibrated_on = 0
        if settings.format is Format.OPENVINO:
            model = read_openvino(onnx, bundle.preprocessing)
            if settings.precision is Precision.INT8:
                train = ImageSet(evenly(files["train"], _CALIBRATED_ON), bundle.preprocessing)
                calibrated_on = len(train)
                progress(0, 1, "choosing ranges for INT8")
                model = quantise(model, (image for batch in flawed_parts(train, seed) for image in torch.cat(batch)))
            write_openvino(model, folder)
            (folder / ONNX_FILE).unlink()
        detector = ExportedDetector(settings.format, bundle.preprocessing).load(folder)
        held_out = {
            name: file
            for part in ("selection", "calibration")
            for name, file in zip(names[part], files[part], strict=True)
        }
        parity = measure_parity(bundle, detector, held_out, seed + 1, progress)
        same = parity.largest_score_difference <= _SAME_SCORES
        exported = Exported(
            format=settings.format,
            precision=settings.precision,
            mirrors=settings.mirrors,
            source=bundle.fingerprint,
            calibrated_on=calibrated_on,
            parity=parity,
            threshold="kept" if same else "anew",
            versions=tool_versions(),
        )
        map_range = bundle.map_range
        if same:
            _copy(bundle, folder)
        else:
            map_range = _score_again(bundle, detector, names, files, folder, progress)
            _promise_again(bundle, folder)
        _write_manifest(bundle, folder, exported, map_range)
    return Bundle.load(out)


def _check_bundle(bundle: Bundle) -> None:
    if bundle.manifest.export is not None:
        msg = f"{bundle.folder} is an exported model itself; export the bundle that it came from"
        raise ExportError(msg)
    threshold = bundle.thresholds.current()
    if threshold.fallback is not None:
        msg = (
            f"threshold {threshold.version} of {bundle.folder} has a supervised fallback, which cannot be exported; "
            "export a bundle whose threshold goes by the detector alone"
        )
        raise ExportError(msg)


def _check_out(out: Path) -> None:
    Bundle.check_writable(out)
    if (out / MANIFEST).is_file() and Bundle.read_manifest(out).export is None:
        msg = f"{out} is a trained bundle and no export; it is left alone: choose another folder"
        raise ExportError(msg)


def _copy(bundle: Bundle, folder: Path) -> None:
    for name in _COPIED:
        shutil.copyfile(bundle.folder / name, folder / name)
    shutil.copytree(bundle.thresholds.folder, folder / "thresholds")
    if (bundle.folder / "fallbacks").is_dir():  # earlier versions of the threshold may name one
        shutil.copytree(bundle.folder / "fallbacks", folder / "fallbacks")


def _score_again(
    bundle: Bundle,
    detector: ExportedDetector,
    names: dict[str, list[str]],
    files: dict[str, list[Path]],
    folder: Path,
    progress: Progress,
) -> tuple[float, float]:
    """Scores of held-out good parts and embeddings of all, by the exported model; returns the range of its maps."""
    tables = {"selection": bundle.selection, "calibration": bundle.calibration}
    embeddings, ends = {}, bundle.map_range
    for part in ("calibration", "selection", "train"):
        scores, embedded, shown = _look(detector, ImageSet(files[part], bundle.preprocessing), progress)
        embeddings[part] = (names[part], embedded)
        if part in tables:
            tables[part].assign(score=scores).to_parquet(folder / f"{part}.parquet", index=False)
        if part == "selection":
            ends = shown.ends()
    save_embeddings(folder, embeddings)
    return ends


def _look(detector: ExportedDetector, images: ImageSet, progress: Progress) -> tuple[np.ndarray, np.ndarray, MapRange]:
    """Scores ``[N]``, embeddings ``[N, D]`` and what their maps look like."""
    scores: list[np.ndarray] = []
    embedded: list[np.ndarray] = []
    shown = MapRange()
    for first in range(0, len(images), _BATCH):
        batch = images.batch(range(first, min(first + _BATCH, len(images))))
        prediction = detector.predict(batch)
        scores.append(prediction.scores.double().numpy())
        embedded.append(detector.embed(batch).numpy())
        shown.add(prediction.maps)
        progress(min(first + _BATCH, len(images)), len(images), "scoring good parts again")
    return np.concatenate(scores), np.concatenate(embedded), shown


def _promise_again(bundle: Bundle, folder: Path) -> None:
    """The promise of the current threshold, from what the exported model says of the calibration parts."""
    import pandas as pd

    current = bundle.thresholds.current()
    table = pd.read_parquet(folder / "calibration.parquet")
    scores = table.groupby("group", sort=True)["score"].max().to_numpy(dtype=np.float64)
    reason = f"the promise of threshold {current.version} of {bundle.fingerprint}, on the exported model's own scores"
    if current.promise.kind != "false_reject":
        # The verdicts that it was made from are not in a bundle.
        value, promise = smallest_promise_threshold(scores, current.promise.confidence)
        reason = (
            f"the smallest promise of the exported model's own scores: that of {bundle.fingerprint} is about verdicts; "
            "make it again with flawsmith threshold"
        )
        ThresholdStore(folder / "thresholds").add(Threshold(value=value, promise=promise, reason=reason))
        return
    origins = None
    try:
        if current.origins is None:
            value, promise = conformal_threshold(scores, current.promise.limit, current.promise.confidence)
        else:
            value, promise, origins = thresholds_by_origin(
                table.assign(decision_score=table["score"]),
                current.origins.by,
                current.promise.limit,
                current.promise.confidence,
            )
    except PromiseError:
        # It was made from more parts than those that calibrate: from verdicts.
        value, promise = smallest_promise_threshold(scores, current.promise.confidence)
        reason = (
            f"the smallest promise of the exported model's own scores: that of {bundle.fingerprint} takes more parts"
        )
    ThresholdStore(folder / "thresholds").add(Threshold(value=value, promise=promise, reason=reason, origins=origins))


def _write_manifest(bundle: Bundle, folder: Path, exported: Exported, map_range: tuple[float, float]) -> None:
    def described(files: Sequence[Path]) -> dict[str, str]:
        return {file.relative_to(folder).as_posix(): file_sha256(file) for file in sorted(files)}

    manifest = bundle.manifest.model_copy(
        update={
            "export": exported,
            "map_range": map_range,
            "device": "cpu",
            "files": described(list(folder.glob("*.*"))),
        }
    )
    first = ThresholdStore(folder / "thresholds").get(1)
    write_card(folder / "card.md", manifest, first.promise, first.value)
    # Thresholds are versions with checksums of their own: moving one does not touch this file.
    manifest = manifest.model_copy(update={"files": described(list(folder.glob("*.*")))})
    write_sealed(folder / MANIFEST, manifest.model_dump(mode="json"))
