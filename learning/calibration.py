"""Held-out good parts as a bundle keeps them, and their decision scores where a fallback is switched on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.special import logit

from learning.errors import BundleError
from learning.fusion import fuse
from learning.origins import origin_names
from learning.scoring import load_fallback
from learning.tails import upper_limit
from learning.thresholds import Threshold
from learning.weighing import Floats, Scored

if TYPE_CHECKING:
    from learning.bundle import Bundle

_HEAD_SCORES = "calibration.parquet"

_FALSE_ALARM = 0.05
"""Probability that ``far_above`` names anything of a set in which all is ordinary."""
_LEAST = 1e-9


def held_out_parts(bundle: "Bundle", name: Literal["selection", "calibration"]) -> Scored:
    """Scores and embeddings of held-out good parts, in the order of the bundle's table of that name."""
    table: pd.DataFrame = bundle.calibration if name == "calibration" else bundle.selection
    names, embedded = bundle.embeddings(name)
    row = table["image"].map({image: i for i, image in enumerate(names)})
    embeddings = np.full((len(table), embedded.shape[1]), np.nan)
    there = row.notna().to_numpy()
    embeddings[there] = embedded[row[there].to_numpy(dtype=np.int64)]
    return Scored(table["score"].to_numpy(dtype=np.float64), embeddings, table["group"].to_numpy(dtype=str))


def calibration_decisions(bundle: "Bundle", threshold: Threshold) -> pd.DataFrame:
    """Score the calibration parts as the threshold would have them scored.

    Nothing is read but the bundle: what a segmentation head says of them was kept beside it when it was trained.

    Args:
        bundle: A loaded bundle.
        threshold: Says whether a fallback takes part, and what is shifted.

    Returns:
        Columns of ``Bundle.calibration``, and decision_score. With a fallback, groups whose images are not all embedded
        are left out, see ``Scored.embedded``.

    Raises:
        BundleError: If the fallback is damaged, or the scores of its head are missing.
    """
    table = bundle.calibration
    fallback = load_fallback(bundle, threshold)
    if fallback is None or fallback.scale is None:
        return _shifted(table.assign(decision_score=table["score"]), threshold)
    parts = held_out_parts(bundle, "calibration")
    rows = parts.embedded()
    parts, table = parts.rows(rows), table[rows]
    head_scores = None
    if fallback.needs_dense:
        head_scores = _read_head_scores(bundle.fallback_folder(str(threshold.fallback)), table["image"])
    fused = fuse(parts.scores, fallback.combine(parts.embeddings, head_scores), fallback.scale)
    return _shifted(table.assign(decision_score=fused), threshold)


def far_above(table: pd.DataFrame) -> list[str]:
    """Images of calibration groups that score far above all others, as ``learning.tails`` tells it, the highest first.

    The first threshold is the highest score of them all: one such image, be it flawed or photographed badly, lets
    defects escape that score between it and the rest.

    Args:
        table: ``Bundle.calibration``.

    Returns:
        Empty where all is as usual, or there are too few groups to tell.
    """
    highest = table.loc[table.groupby("group")["score"].idxmax()].sort_values("score", ascending=False)
    scores = highest["score"].to_numpy(dtype=np.float64)
    if ((scores >= 0) & (scores <= 1)).all():  # probabilities, whose tail is no exponential one
        scores = logit(scores.clip(_LEAST, 1 - _LEAST))
    count, rate = 0, _FALSE_ALARM / max(1, len(scores))
    # Each by those below it: of n that are alike, one is above what the others allow with n times the rate at most.
    while (limit := upper_limit(scores[count + 1 :], rate)) is not None and scores[count] > limit:
        count += 1
    return highest["image"].tolist()[:count]


def save_head_scores(folder: Path, images: Sequence[str], scores: Floats) -> None:
    """Keep what a segmentation head says of the calibration parts beside it, as their images may not stay."""
    pd.DataFrame({"image": list(images), "score": scores}).to_parquet(folder / _HEAD_SCORES, index=False)


def _shifted(table: pd.DataFrame, threshold: Threshold) -> pd.DataFrame:
    if threshold.origins is None:
        return table
    names = origin_names(table, threshold.origins.by)
    shifted = [threshold.shifted_of(*pair) for pair in zip(table["decision_score"].tolist(), names, strict=True)]
    return table.assign(decision_score=shifted)


def _read_head_scores(folder: Path, images: pd.Series) -> Floats:
    file = folder / _HEAD_SCORES
    kept = pd.read_parquet(file) if file.is_file() else pd.DataFrame({"image": [], "score": []})
    scores = images.map(dict(zip(kept["image"], kept["score"], strict=True))).to_numpy(dtype=np.float64)
    if not np.isfinite(scores).all():
        msg = (
            f"{file} does not have what the segmentation head says of every calibration part; set the threshold with "
            "flawsmith retrain --max-false-reject"
        )
        raise BundleError(msg)
    return scores
