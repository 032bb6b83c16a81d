"""Tries candidates on some of the good parts and picks the best."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from learning.auto.judging import Exam, Floats, set_exam
from learning.auto.record import Choice, Judged
from learning.detectors import Budget, Detector, create, detector_class
from learning.errors import BundleError, ConfigError
from learning.flaw_sources import FlawSources
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.progress import Progress, named, silent
from learning.sealed import read_sealed, write_sealed
from learning.splits import split_groups
from synth.families import ANYWHERE

if TYPE_CHECKING:
    from learning.config import TrainConfig
    from learning.images.records import ImageRecord

_JUDGED_SHARE = 0.25
"""Of the training groups, that candidates are judged on; in the end the winner learns from them too."""

LEAST_GROUPS = 6
"""Held-out groups that make a comparison; fewer say more about which parts they are than about detectors."""

_SECONDS_PER_MEGAPIXEL = 0.6
"""What scoring takes at most, to leave time for it."""


_TRIED = "tried.json"


@dataclass(frozen=True)
class Look:
    """How a detector is shown the data.

    Attributes:
        preprocessing: At the detector's size.
        sources: What made-up flaws may be taken from, at that size.
    """

    preprocessing: Preprocessing
    sources: FlawSources


@dataclass(frozen=True)
class _Tried:
    judged: Judged
    scores: Floats


def choose_detector(
    config: "TrainConfig",
    train: Sequence["ImageRecord"],
    selection: Sequence["ImageRecord"],
    look: Callable[[str], Look],
    *,
    seed: int,
    budget: Budget,
    device: str = "cpu",
    progress: Progress = silent,
    checkpoint: Path,
) -> Choice:
    """Train candidates on three quarters of the groups that train, and judge them on the others.

    Candidates are never trained on the families of flaws that judge them. Parts that calibrate the threshold take no
    part in this.

    Args:
        config: Its ``auto`` says who the candidates are.
        train: Good parts that train.
        selection: Good parts that candidates set scales and the like by.
        look: How a detector of some name is shown the data.
        seed: Of the split, of every training, and of the flaws that judge.
        budget: Of everything; candidates have ``config.auto.share`` of it in equal parts.
        device: ``cpu`` or ``cuda``.
        progress: Told how far it is.
        checkpoint: Folder in which an interrupted choice leaves what it has, and goes on from.

    Returns:
        The choice; that of the first candidate, with the reason, where there are too few groups to compare by.

    Raises:
        ConfigError: If no candidate can use the given sources of flaws, or the steps are too few to share out.
        DataError: If no flaw can be seen on the held-out parts.
    """
    options = config.auto
    names, passed_over = _able(options.candidates, look)
    groups = len({record.group for record in train})
    if len(names) == 1 or round(_JUDGED_SHARE * groups) < LEAST_GROUPS:
        return Choice(detector=names[0], reason=_nothing_to_compare(names, groups), passed_over=passed_over)
    slot = _slot(budget, options.share, len(names))
    parts = {**split_groups(train, {"train": 1 - _JUDGED_SHARE, "judge": _JUDGED_SHARE}, seed), "selection": selection}
    rooms: dict[Preprocessing, _Room] = {}
    tried: list[_Tried] = []
    for number, name in enumerate(names, start=1):
        started = time.monotonic()
        shown = look(name)
        # Candidates of one size are judged on the very same images, which are read once.
        if shown.preprocessing not in rooms:
            rooms[shown.preprocessing] = _Room.of(shown.preprocessing, parts, config, seed)
        room = rooms[shown.preprocessing]
        detector = create(
            name, _without(name, options.options.get(name, {}), options.left_out), shown.preprocessing, device
        )
        folder = checkpoint / "candidates" / f"{name}-{seed}"
        one = _restore(folder, room.exam) or _try(
            detector,
            room,
            shown.sources,
            seed,
            slot,
            started,
            named(progress, f"{name}, candidate {number} of {len(names)}"),
            folder,
        )
        tried.append(one)
    ranked = sorted(tried, key=lambda one: -one.judged.auroc)
    exams = [room.exam for room in rooms.values()]
    return Choice(
        detector=ranked[0].judged.detector,
        reason=_reason(ranked, exams[0] if len(exams) == 1 else None),
        left_out=options.left_out,
        trained_groups=len({record.group for record in parts["train"]}),
        judged_groups=len(set(exams[0].groups)),
        flaws=exams[0].flaws,
        candidates=tuple(one.judged for one in ranked),
        passed_over=passed_over,
    )


def rest_of(budget: Budget, choice: Choice, share: float) -> Budget:
    """What candidates have left of a budget for the winner."""
    count = len(choice.candidates)
    if not count:
        return budget
    if budget.steps is not None:
        return Budget(steps=budget.steps - count * (_slot(budget, share, count).steps or 0))
    return budget.after(sum(one.seconds for one in choice.candidates))


@dataclass(frozen=True)
class _Room:
    """Good parts at one size, and what candidates are judged on."""

    train: ImageSet
    selection: ImageSet
    exam: Exam

    @classmethod
    def of(
        cls,
        preprocessing: Preprocessing,
        parts: Mapping[str, Sequence["ImageRecord"]],
        config: "TrainConfig",
        seed: int,
    ) -> "_Room":
        sets = {name: ImageSet(some, preprocessing, regions=config.regions) for name, some in parts.items()}
        exam = set_exam(sets["judge"], config.auto.left_out, config.auto.images, seed)
        return cls(sets["train"], sets["selection"], exam)


def _able(names: Sequence[str], look: Callable[[str], Look]) -> tuple[list[str], dict[str, str]]:
    """Candidates that can use the sources of flaws there are, and why the others cannot."""
    able, passed_over = [], {}
    for name in names:
        sources = look(name).sources
        given = bool(sources.defects) or sources.textures is not None
        if detector_class(name).needs_defects and not sources.defects:
            passed_over[name] = "learns from confirmed defects, and there is none that may train"
        elif given and not detector_class(name).learns_from_flaws:
            passed_over[name] = "learns from good parts alone, and would ignore the confirmed defects or textures"
        else:
            able.append(name)
    if not able:
        why = "; ".join(f"{name} {reason}" for name, reason in passed_over.items())
        msg = f"none of the candidates can be trained: {why}; add segment or glass"
        raise ConfigError(msg)
    return able, passed_over


def _nothing_to_compare(names: Sequence[str], groups: int) -> str:
    if len(names) == 1:
        return "the only candidate that can be trained with what was given"
    needed = math.ceil((LEAST_GROUPS - 0.5) / _JUDGED_SHARE)
    return (
        f"the first of the candidates, untried: comparing them takes {needed} independent groups of good parts that "
        f"train, and there are {groups}"
    )


def _slot(budget: Budget, share: float, count: int) -> Budget:
    """What each of ``count`` candidates may use."""
    if budget.minutes is not None:
        return Budget(minutes=budget.minutes * share / count)
    assert budget.steps is not None
    steps = max(1, round(budget.steps * share / count))
    if steps * count >= budget.steps:
        msg = f"{budget.steps} steps are too few for auto with {count} candidates: one each and one for the winner"
        raise ConfigError(msg)
    return Budget(steps=steps)


def _without(name: str, options: Mapping[str, Any], families: Sequence[str]) -> dict[str, Any]:
    """Options of a candidate whose training is to know nothing of some families."""
    if "families" not in detector_class(name).Config.model_fields:
        return dict(options)
    known = [family for family in options.get("families") or ANYWHERE if family not in families]
    return {**options, "families": known}


def _try(
    detector: Detector,
    room: _Room,
    sources: FlawSources,
    seed: int,
    slot: Budget,
    started: float,
    progress: Progress,
    folder: Path,
) -> _Tried:
    """Train a candidate and judge it; ``started`` is when its time began to run."""
    megapixels = room.exam.images[:, 0].numel() / 1e6
    report = detector.fit(
        room.train,
        room.selection,
        seed,
        _less(slot, megapixels * _SECONDS_PER_MEGAPIXEL + time.monotonic() - started),
        progress,
        folder,
        sources,
    )
    # After a kill the report knows of the time before it.
    spent = max(report.seconds, time.monotonic() - started)
    started = time.monotonic()
    progress(0, 1, "judging")
    scores = room.exam.scores(detector)
    by_family = room.exam.by_family(scores)
    low, high = room.exam.interval(scores)
    judged = Judged(
        detector=detector.name,
        auroc=float(np.mean(list(by_family.values()))),
        low=low,
        high=high,
        by_family=by_family,
        steps=report.steps,
        seconds=spent + time.monotonic() - started,
        weights=report.weights,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(folder / _TRIED, {"judged": judged.model_dump(), "scores": scores.tolist()})
    return _Tried(judged, scores)


def _restore(folder: Path, exam: Exam) -> _Tried | None:
    """What an interrupted run has found out of a candidate; None where it had not come so far."""
    if not (folder / _TRIED).is_file():
        return None
    try:
        content = read_sealed(folder / _TRIED)
        one = _Tried(Judged.model_validate(content["judged"]), np.array(content["scores"], dtype=np.float64))
    except (BundleError, ValidationError):
        return None
    return one if len(one.scores) == len(exam.images) else None


def _less(slot: Budget, seconds: float) -> Budget:
    """A slot without the time that other things than training take; half of it is for training at least."""
    if slot.minutes is None:
        return slot
    return Budget(minutes=slot.minutes - min(seconds / 60, slot.minutes / 2))


def _reason(ranked: Sequence[_Tried], exam: Exam | None) -> str:
    best, second = ranked[0].judged, ranked[1].judged
    ahead = f"AUROC {best.auroc:.3f} ({best.low:.3f} to {best.high:.3f}), {second.detector} {second.auroc:.3f}"
    if exam is None:
        return f"{ahead}; they see parts at different sizes, so that the difference has no interval"
    low, high = exam.interval(ranked[0].scores, ranked[1].scores)
    chance = ", which may be chance" if low <= 0 else ""
    return f"{ahead}: ahead by {best.auroc - second.auroc:.3f} ({low:.3f} to {high:.3f}){chance}"
