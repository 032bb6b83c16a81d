"""Scores of a ledger on the scale of one threshold, whichever version of it they were recorded under.

Thresholds by camera or lot shift decision scores, each version in its own way: those of two versions are not alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from learning.errors import DataError
from learning.fusion import fuse
from learning.images.records import ImageRecord
from learning.scoring import load_fallback
from learning.thresholds import Origins, Threshold

if TYPE_CHECKING:
    from curation.ledger import ImageRow, Ledger, ScoreRow
    from learning.bundle import Bundle


def decision_scores(
    bundle: "Bundle", rows: Iterable["ScoreRow"], images: Mapping[str, "ImageRow"], threshold: Threshold
) -> dict[str, float]:
    """The latest decision score of each image, as a threshold has it.

    Rows of other models, and of versions with another fallback, are passed over: nothing makes them alike.

    Args:
        bundle: The model; it holds the versions.
        rows: In the order in which they were recorded.
        images: Of the ledger, by their ids; they say what is shifted.
        threshold: On whose scale; need not be stored.
    """
    versions = {one.version: one for one in bundle.thresholds.all() if one.fallback == threshold.fallback}
    found = {}
    for row in rows:
        version = versions.get(row.threshold_version)
        if row.model_id != bundle.fingerprint or version is None:
            continue
        if threshold.origins is not None and version == threshold:
            found[row.image_id] = row.decision_score
        else:
            found[row.image_id] = threshold.shifted(_unshifted(bundle, row, version), images[row.image_id])
    return found


def comparable_scores(
    ledger: "Ledger",
    bundle: "Bundle",
    rows: Iterable["ScoreRow"],
    images: Mapping[str, "ImageRow"],
    threshold: Threshold,
) -> dict[str, float]:
    """As ``decision_scores``; with rows of another fallback as they are, as long as neither version shifts anything."""
    rows = list(rows)
    shifting = {row.version for row in ledger.thresholds(bundle.fingerprint) if row.origins is not None}
    found = {}
    if threshold.origins is None:
        found = {row.image_id: row.decision_score for row in rows if row.threshold_version not in shifting}
    return found | decision_scores(bundle, rows, images, threshold)


def from_where_the_ledger_says(
    ledger: "Ledger", records: Sequence[ImageRecord], model_id: str, version: int, origins: Origins
) -> list[ImageRecord]:
    """Records with the cameras and lots that the ledger knows, so that what it says of an image holds for its score.

    Args:
        ledger: The truth.
        records: About to be scored; where they do not say it, the ledger does.
        model_id: The model.
        version: Of its threshold.
        origins: Of that threshold.

    Raises:
        DataError: If the ledger has another camera or lot of an image; or none, this threshold having decided about it.
    """
    from curation.ledger import image_id_of

    known = {image.image_id: origins.name_of(image) for image in ledger.images()}
    scored = {row.image_id for row in ledger.scores(model_id=model_id) if row.threshold_version == version}
    found = []
    for record in records:
        key = image_id_of(record.path) if known and record.path.is_file() else ""
        there, here = known.get(key), origins.name_of(record)
        if there is not None and here is None:
            record = replace(record, camera=there) if origins.by == "camera" else replace(record, lot=there)
        elif here != there and (there is not None or key in scored):
            was = f"{origins.by} {there}" if there is not None else f"an unknown {origins.by}"
            msg = (
                f"{record.path} is of {was} in the ledger and of {origins.by} {here} here, and threshold {version} has "
                f"values by {origins.by}: correct the table, or score without --ledger"
            )
            raise DataError(msg)
        found.append(record)
    return found


def _unshifted(bundle: "Bundle", row: "ScoreRow", version: Threshold) -> float:
    """What the score was before it was shifted: worked out anew, as taking the shift off again would round."""
    if version.origins is None:
        return row.decision_score
    fallback = load_fallback(bundle, version)
    if fallback is None or fallback.scale is None:
        return row.score
    second = np.nan if row.fallback_score is None else row.fallback_score
    return float(fuse([row.score], [second], fallback.scale)[0])
