"""Learning from inspectors: a bundle gets a fallback, if that helps, and a new threshold with its promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from learning.acceleration import exact
from learning.calibration import held_out_parts, save_head_scores
from learning.errors import ConfigError
from learning.heads import score_heads
from learning.images.image_set import ImageSet
from learning.progress import Progress, silent
from learning.supervised.fallback import Fallback
from learning.thresholds import Threshold
from learning.weighing import (
    MIN_OF_A_KIND,
    Costs,
    Floats,
    HeadScores,
    Scored,
    Verdicts,
    deal_folds,
    enough_for_threshold,
    expected_cost,
    weigh,
)

if TYPE_CHECKING:
    from learning.bundle import Bundle

__all__ = ["Confirmed", "Costs", "Relearned", "relearn"]

_BATCH = 16


@dataclass(frozen=True)
class Confirmed:
    """An image about which the inspectors agree.

    Attributes:
        path: The image.
        part: What gets one decision.
        group: What is independent; folds never tear it apart.
        defective: What they say.
        weight: One over the probability with which it was asked about.
        mask: Where it is defective, if they said so.
    """

    path: Path
    part: str
    group: str
    defective: bool
    weight: float = 1.0
    mask: Path | None = None


@dataclass(frozen=True)
class Relearned:
    """What came of it.

    Attributes:
        threshold: The bundle's threshold from now on; the one it had before, where too little is confirmed.
        report: What was weighed: ``changed``, ``text``, and figures.
    """

    threshold: Threshold
    report: dict[str, Any]


def relearn(
    bundle: "Bundle",
    confirmed: Sequence[Confirmed],
    costs: Costs,
    seed: int = 0,
    progress: Progress = silent,
    max_false_reject: float | None = None,
) -> Relearned:
    """Choose fallback and threshold anew by all that is confirmed, and store them in the bundle.

    Args:
        bundle: Its weights stay as they are.
        confirmed: Verdicts on parts of the stream; none of them may be among the bundle's calibration parts.
        costs: Of wrong decisions.
        seed: Every random choice follows from it.
        progress: Told how far it is.
        max_false_reject: What the new threshold is to promise; by default the limit of the current one.

    Returns:
        The threshold and the report. With fewer than three good or three defective groups nothing changes.

    Raises:
        PromiseError: If the calibration parts cannot carry ``max_false_reject``.
        ConfigError: If there is none, and the current threshold does not say either.
        DataError: If an image cannot be read.
    """
    parent = bundle.thresholds.current()
    if max_false_reject is None and parent.promise.kind != "false_reject":
        msg = (
            f"threshold {parent.version} promises nothing about good parts ({parent.promise.text}): say what the new "
            "one is to promise, with --max-false-reject"
        )
        raise ConfigError(msg)
    verdicts = _verdicts(bundle, confirmed, progress)
    if not enough_for_threshold(verdicts):
        text = (
            f"{(~verdicts.defective).sum()} good and {verdicts.defective.sum()} defective parts are confirmed; a "
            f"threshold takes {MIN_OF_A_KIND} independent ones of each: nothing changed"
        )
        return Relearned(parent, {"changed": False, "text": text})
    heads = score_heads(bundle, confirmed, deal_folds(verdicts, seed), seed, progress)
    weighed = weigh(
        verdicts,
        bundle.embeddings("train")[1].astype(np.float64),
        held_out_parts(bundle, "selection"),
        held_out_parts(bundle, "calibration"),
        costs,
        parent.promise.limit if max_false_reject is None else max_false_reject,
        parent.promise.confidence,
        seed,
        None if isinstance(heads, str) else heads,
    )
    name = None if weighed.fallback is None else _save(bundle, weighed.fallback, heads)
    if isinstance(heads, str):
        weighed.report["fallback"]["text"] += f"; {heads}"
    text = (
        f"least expected cost over {len(verdicts.defective)} confirmed parts, within the promise; "
        f"{weighed.report['fallback']['text']}"
    )
    if parent.origins is not None:
        by = parent.origins.by
        text += f"; one value for every {by}, as verdicts are weighed together (else: flawsmith threshold --by {by})"
    version = bundle.thresholds.add(
        Threshold(value=weighed.value, promise=weighed.promise, fallback=name, reason=text, parent=parent.version)
    )
    report = {"changed": True, "text": text, "version": version, "parent": parent.version} | weighed.report
    if parent.fallback is None:
        report["expected_cost_per_part_before"] = expected_cost(verdicts.seen.scores, verdicts, parent.value, costs)
    return Relearned(bundle.thresholds.get(version), report)


def _verdicts(bundle: "Bundle", confirmed: Sequence[Confirmed], progress: Progress) -> Verdicts:
    images = ImageSet([one.path for one in confirmed], bundle.preprocessing)
    scores, embeddings = [], []
    for first in range(0, len(confirmed), _BATCH):
        batch = images.batch(range(first, min(first + _BATCH, len(confirmed))))
        with exact():
            scores.append(bundle.detector.predict(batch).scores)
            embeddings.append(bundle.detector.embed(batch))
        progress(min(first + _BATCH, len(confirmed)), len(confirmed), "looking at confirmed parts")
    return Verdicts(
        Scored(_array(scores), _array(embeddings), np.array([one.group for one in confirmed], dtype=str)),
        np.array([one.defective for one in confirmed], dtype=bool),
        np.array([one.weight for one in confirmed], dtype=np.float64),
    )


def _save(bundle: "Bundle", fallback: Fallback, heads: HeadScores | str) -> str:
    """Store a fallback under the next free name, and return that."""
    number = 1
    while True:
        folder = bundle.fallback_folder(f"{number:04d}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            continue
        fallback.save(folder)
        if fallback.needs_dense and not isinstance(heads, str):
            save_head_scores(folder, bundle.calibration["image"].tolist(), heads.calibration)
        return folder.name


def _array(batches: list[torch.Tensor]) -> Floats:
    if not batches:
        return np.empty(0)
    array: Floats = torch.cat(batches).double().cpu().numpy()
    return array
