"""From a folder of good parts to a bundle: split, train, calibrate, promise, write."""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from learning.acceleration import exact
from learning.auto import Look, choose_detector, rest_of
from learning.bundle import Bundle, PartScores
from learning.cleaning import Cleaned, find_suspects, rest_after, without_suspects
from learning.config import AUTO, TrainConfig
from learning.continuing import check_continuable, split_as, started_from
from learning.defects import bank_digest, usable
from learning.detectors import Budget, Detector, create, detector_class
from learning.errors import DataError
from learning.flaw_sources import NO_SOURCES
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import of_camera, read_data
from learning.images.records import ImageRecord
from learning.looking import looks
from learning.manifest import DefectsUsed, Manifest, TrainingSet
from learning.map_range import MapRange
from learning.progress import Progress, silent
from learning.sealed import file_sha256
from learning.splits import split_groups
from learning.thresholds import smallest_promise_threshold
from synth.rehearsal import rehearse
from synth.sources.defects import DefectBank

_BATCH = 16
_SECONDS_PER_MEGAPIXEL = 0.6
"""Generous: what scoring and embedding take on one core, to leave time for them at the end of a budget."""

_FEW_STEPS = 100
"""Below it a network has hardly begun to learn, whatever it learns from."""

_MOST_EMBEDDED = 2000
"""Good training parts that are kept for "nearest good part"; more make a bundle large and no explanation better."""


def train_bundle(
    data: Path,
    out: Path,
    *,
    config: TrainConfig,
    budget: Budget,
    seed: int = 0,
    device: str = "cpu",
    groups: str | None = None,
    camera: str | None = None,
    defects: DefectBank | None = None,
    progress: Progress = silent,
) -> Bundle:
    """Train a detector on the good parts in ``data`` and write it, calibrated, as a bundle.

    Only good training images are read. Their groups are split in three: those that train, those that set scales,
    and those that calibrate the threshold and are seen by nothing else.

    Args:
        data: Anything ``learning.images.readers.read_data`` reads.
        out: Folder of the bundle; one that is a bundle is replaced, anything else is refused.
        config: Detector and split.
        budget: Minutes for everything, reading and calibration included, but not for compiling loops where they never
            were; or optimiser steps.
        seed: Every random choice follows from it.
        device: ``cpu`` or ``cuda``.
        groups: File or pattern that says which images belong together; see ``read_data``.
        camera: Only images of this one, where the data name cameras: a station, a bundle.
        defects: Confirmed defects to make flaws from. Those of parts that hold back, calibrate or test are left out.
        progress: Told how far it is.

    Returns:
        The bundle as it lies on disk.

    Raises:
        DataError: If there are too few good parts or independent groups, or an image cannot be read.
        BundleError: If ``out`` holds something that is not a bundle.
    """
    started = time.monotonic()
    Bundle.check_writable(out)
    records = of_camera(read_data(data, groups=groups, seed=seed), camera)
    if not good_records(records):
        msg = f"{data} holds no good images to train on; put them into train/good, into good, or into the folder itself"
        raise DataError(msg)
    began = time.monotonic()
    rehearse(progress)
    started += time.monotonic() - began
    return train_on_records(
        records,
        out,
        config=config,
        budget=budget,
        seed=seed,
        device=device,
        defects=defects,
        progress=progress,
        started=started,
    )


def train_on_records(
    records: Sequence[ImageRecord],
    out: Path,
    *,
    config: TrainConfig,
    budget: Budget,
    seed: int = 0,
    device: str = "cpu",
    confirmed_good: Sequence[ImageRecord] = (),
    defects: DefectBank | None = None,
    pictures: Sequence[ImageRecord] = (),
    training_set: TrainingSet | None = None,
    start: Bundle | None = None,
    progress: Progress = silent,
    started: float | None = None,
) -> Bundle:
    """As ``train_bundle``, from records.

    Args:
        records: The good ones that are not set aside for testing are split in three.
        out: Folder of the bundle.
        config: Detector and split.
        budget: Minutes for everything; or optimiser steps.
        seed: Every random choice follows from it.
        device: ``cpu`` or ``cuda``.
        confirmed_good: Good parts that inspectors were asked about. They train only: as they were chosen by their
            scores, they are no sample to calibrate with. Those of groups that calibrate or select are left out.
        defects: Confirmed defects to make flaws from.
        pictures: Confirmed defects as they were photographed, with masks where there are any, to learn from as they
            are. Those of parts that hold back, calibrate or test are left out.
        training_set: The version that all of this is, for the manifest.
        start: A model whose weights are gone on from. The good parts are divided as they were for it, and are seen as
            it sees them; what it found among them that does not look good trains nothing here either.
        progress: Told how far it is.
        started: When the budget began to run; by default now.

    Raises:
        DataError: If there are too few good parts or independent groups, or an image cannot be read.
        BundleError: If ``out`` holds something that is not a bundle.
        ConfigError: If it cannot be gone on from ``start``, or not with this configuration.
    """
    started = time.monotonic() if started is None else started
    Bundle.check_writable(out)
    good = good_records(records)
    if start is None:
        parts = split_groups(good, {str(name): share for name, share in config.shares.items()}, seed)
    else:
        check_continuable(start, config)
        parts = split_as(start, good)
    held = {name for part in ("selection", "calibration") for one in parts[part] for name in (one.group, one.part)}
    added = [one for one in confirmed_good if one.group not in held and one.part not in held]
    good = [*good, *added]
    held_back = [*parts["selection"], *parts["calibration"], *(one for one in records if one.split == "test")]
    defects, left_out = usable(defects or DefectBank(()), held_back)
    held |= {name for one in held_back for name in (one.group, one.part)}
    shown = [one for one in pictures if one.group not in held and one.part not in held]
    fingerprint = data_fingerprint(good)
    working = out.with_name(f".{out.name}.training")
    made_of = [fingerprint, bank_digest(defects), config.model_dump_json(), str(budget)]
    made_of += [data_fingerprint(shown), *(file_sha256(one.mask) if one.mask else "" for one in shown)]
    checkpoint = working / _digest(*made_of, start.fingerprint if start else "")[:16]
    look = looks([record.path for record in good], config, defects, shown, start)
    first = config.auto.candidates[0] if config.detector == AUTO else config.detector
    left = _budget_for_fit(budget, started, sum(map(len, parts.values())) + len(added), look(first).preprocessing)

    cleaned = start.manifest.cleaned if start else None
    if cleaned:
        parts["train"] = without_suspects(parts["train"], cleaned)
    elif config.clean:
        began = time.monotonic()
        cleaned = _clean(config, first, look, parts, seed, left, device, progress, checkpoint)
        left = rest_after(left, cleaned, config.clean, began)
        parts["train"] = without_suspects(parts["train"], cleaned)
    parts["train"] += added

    choice = None
    if config.detector == AUTO:
        choice = choose_detector(
            config,
            parts["train"],
            parts["selection"],
            look,
            seed=seed,
            budget=left,
            device=device,
            progress=progress,
            checkpoint=checkpoint,
        )
        left = rest_of(left, choice, config.auto.share)
        options = config.auto.options.get(choice.detector, {})
        config = config.model_copy(update={"detector": choice.detector, "detector_config": options})

    seen = look(config.detector)
    sets = {name: ImageSet(some, seen.preprocessing, regions=config.regions) for name, some in parts.items()}
    detector = create(config.detector, config.detector_config, seen.preprocessing, device)
    if start:
        detector.go_on_from(start.detector)
    report = detector.fit(
        sets["train"], sets["selection"], seed, left, progress, checkpoint=checkpoint, sources=seen.sources
    )
    deadline = started + 60 * budget.minutes if budget.minutes else None
    calibration = _score(detector, parts["calibration"], sets["calibration"], progress, "calibrating")
    selection = _score(detector, parts["selection"], sets["selection"], progress, "scoring held-out parts")
    embeddings = {
        name: _embed(detector, parts[name], sets[name], seed, deadline if name == "train" else None, progress)
        for name in ("calibration", "selection", "train")
    }
    bundle = Bundle.write(
        out,
        detector=detector,
        report=replace(report, seconds=time.monotonic() - started),
        config=config,
        seed=seed,
        data_fingerprint=fingerprint,
        trained_on=len(parts["train"]),
        defects=DefectsUsed.of(defects, left_out, len(shown)),
        training_set=training_set,
        started=started_from(start) if start else None,
        calibration=calibration,
        selection=selection,
        embeddings=embeddings,
        map_range=selection.map_range,
        threshold=smallest_promise_threshold(calibration.by_group(), config.confidence),
        auto=choice,
        cleaned=cleaned,
    )
    shutil.rmtree(working, ignore_errors=True)
    return bundle


def few_steps(manifest: Manifest) -> str:
    """Say that a network was trained for too few steps to be judged by; empty where it was not."""
    if not manifest.history or manifest.steps >= _FEW_STEPS:
        return ""
    return f"it had time for {manifest.steps} training steps only, and models are poor below some hundred"


def data_fingerprint(records: Sequence[ImageRecord]) -> str:
    """SHA-256 over the content, part and group of the images, whatever their order or folder."""
    lines = [
        f"{hashlib.sha256(record.path.read_bytes()).hexdigest()} {record.part} {record.group}" for record in records
    ]
    return _digest(*sorted(lines))


def _clean(
    config: TrainConfig,
    trained: str,
    look: Callable[[str], Look],
    parts: Mapping[str, Sequence[ImageRecord]],
    seed: int,
    budget: Budget,
    device: str,
    progress: Progress,
    checkpoint: Path,
) -> Cleaned:
    """Look for defects hidden among the parts that train; what inspectors confirmed is not among these yet."""
    assert config.clean is not None
    name = config.clean.detector or trained
    options = config.auto.options.get(name, {}) if config.detector == AUTO else config.detector_config
    shown = look(name)

    def images(records: Sequence[ImageRecord]) -> ImageSet:
        return ImageSet(records, shown.preprocessing, regions=config.regions)

    return find_suspects(
        config.clean,
        parts["train"],
        images(parts["selection"]),
        lambda: create(name, options if name == trained else {}, shown.preprocessing, device),
        images,
        shown.sources if detector_class(name).learns_from_flaws else NO_SOURCES,
        seed=seed,
        budget=budget,
        progress=progress,
        checkpoint=checkpoint,
    )


def good_records(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Those that may be learnt from: good or unlabelled, and not set aside for testing."""
    return [record for record in records if record.label in ("good", "unlabelled") and record.split != "test"]


def _budget_for_fit(budget: Budget, started: float, images: int, preprocessing: Preprocessing) -> Budget:
    """What is left of a budget in minutes, less the time that scoring and embedding take at the end."""
    if budget.minutes is None:
        return budget
    megapixels = images * preprocessing.height * preprocessing.width / 1e6
    reserved = min(megapixels * _SECONDS_PER_MEGAPIXEL + 3, 0.25 * 60 * budget.minutes)
    return budget.after(time.monotonic() - started + reserved)


def _score(
    detector: Detector, records: Sequence[ImageRecord], images: ImageSet, progress: Progress, text: str
) -> PartScores:
    scores, shown = [], MapRange()
    for first in range(0, len(images), _BATCH):
        with exact():  # as parts on the line are scored, which thresholds of these scores decide on
            prediction = detector.predict(images.batch(range(first, min(first + _BATCH, len(images)))))
        scores.append(prediction.scores)
        shown.add(prediction.maps)
        progress(min(first + _BATCH, len(images)), len(images), text)
    return PartScores(
        image=[str(record.path) for record in records],
        part=[record.part for record in records],
        group=[record.group for record in records],
        score=torch.cat(scores).double().cpu().numpy(),
        map_range=shown.ends(),
        camera=[record.camera for record in records],
        lot=[record.lot for record in records],
    )


def _embed(
    detector: Detector,
    records: Sequence[ImageRecord],
    images: ImageSet,
    seed: int,
    deadline: float | None,
    progress: Progress,
) -> tuple[list[str], np.ndarray]:
    """Names and embeddings ``[N, D]`` of the parts, in an order drawn by the seed; as many as the deadline allows."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:_MOST_EMBEDDED].tolist()
    names: list[str] = []
    embedded = []
    for first in range(0, len(order), _BATCH):
        if first and deadline and time.monotonic() > deadline - 1:
            break
        chosen = order[first : first + _BATCH]
        with exact():
            embedded.append(detector.embed(images.batch(chosen)).cpu())
        names += [str(records[i].path) for i in chosen]
        progress(len(names), len(order), "embedding good parts")
    return names, torch.cat(embedded).float().numpy()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
