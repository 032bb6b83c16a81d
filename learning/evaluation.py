"""How well a bundle does on parts whose state is known."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learning.errors import DataError
from learning.examples import Examples
from learning.images.pixels import check_mask_size, read_mask
from learning.images.records import GOOD, ImageRecord
from learning.intervals import Rate, group_bootstrap, rate_by_group
from learning.manifest import Machine
from learning.metrics import PixelMetrics, image_auroc
from learning.progress import Progress, silent
from learning.scoring import ImageScore, PartDecision, ScoreFailure, decide, score_records
from learning.thresholds import Origins, Threshold

if TYPE_CHECKING:
    from learning.bundle import Bundle

CONFIDENCE = 0.95
"""Of all intervals."""


@dataclass
class _Seen:
    """What is kept of each image; its map is counted and dropped."""

    scores: list[ImageScore] = field(default_factory=list)
    failures: list[ScoreFailure] = field(default_factory=list)
    pixels: PixelMetrics = field(default_factory=PixelMetrics)
    with_mask: int = 0
    without_mask: int = 0


def evaluate(
    bundle: "Bundle",
    records: Sequence[ImageRecord],
    progress: Progress = silent,
    threshold: Threshold | None = None,
    examples: Examples | None = None,
) -> dict[str, Any]:
    """Measure detection, localisation, and both kinds of error at the threshold.

    Where records have splits, those of ``test`` are used; unlabelled ones are passed over. The rates count parts, AUROC
    counts images. Pixel measures are taken at the size of the images, over good ones and those with a mask that is not
    empty; others are counted in ``n_without_mask``.

    Args:
        bundle: A loaded bundle.
        records: From ``read_data``.
        progress: Told how many images are done.
        threshold: By default the bundle's current one.
        examples: Shown every image with its map.

    Returns:
        Plain data for JSON, None where a measure has no value. Rates and the image AUROC have their 95 % interval
        under ``<name>_interval``: exact by group, and a bootstrap of groups. Where the threshold has values for cameras
        or lots, ``origins`` has a row for each that is met, what shares a value being one row. Their rates decide on
        parts by the images from there alone, as the promises do.

    Raises:
        DataError: If no labelled image is there to test on, the bundle was made from one of them, none can be read, or
            a mask has another size.
    """
    used = threshold or bundle.thresholds.current()
    tested = _tested(records)
    _refuse_learnt_from(bundle, tested)
    for record in tested:
        if record.mask is not None:
            check_mask_size(record.mask, record.path)
    seen = _look(bundle, tested, used, progress, examples)
    if not seen.scores:
        msg = f"none of the {len(tested)} images to evaluate on can be read; the first: {seen.failures[0].reason}"
        raise DataError(msg)
    found = seen.scores
    scores = np.array([item.decision_score for item in found])
    defective = np.array([item.record.defective for item in found])
    rejections = _rejections(found, decide(found, used))
    classes = sorted({item.record.label for item in found} - {GOOD})
    result = {
        "image_auroc": image_auroc(scores, defective),
        "image_auroc_interval": _auroc_interval(found, scores, defective, bundle.manifest.seed),
        "image_auroc_by_class": {name: _auroc_of(name, found, scores) for name in classes},
        "pixel_auroc": seen.pixels.pixel_auroc(),
        "aupro": seen.pixels.aupro(),
        **_describe("false_reject", rejections.rate([GOOD], rejected=True)),
        **_describe("escape", rejections.rate(classes, rejected=False)),
        "escape_rate_by_class": {name: _plain(rejections.rate([name], rejected=False)) for name in classes},
        "ms_per_image": 1000 * median(item.seconds for item in found),
        "n_good": int((~defective).sum()),
        "n_defective": int(defective.sum()),
        "n_with_mask": seen.with_mask,
        "n_without_mask": seen.without_mask,
        "n_part_not_found": sum(not item.part_found for item in found),
        "n_failed": len(seen.failures),
        "failed": [{"image": str(item.record.path), "reason": item.reason} for item in seen.failures],
        "groups_by_class": _groups_by_class(item.record for item in found),
        "confidence": CONFIDENCE,
        "threshold": {
            "version": used.version,
            "value": used.value,
            "promise": used.words,
            "fallback": used.fallback,
            **({} if used.origins is None else {"by": used.origins.by}),
        },
        **({} if used.origins is None else {"origins": _origins(used, used.origins, found)}),
        "model": bundle.fingerprint,
        "detector": bundle.manifest.detector,
        "view": bundle.preprocessing.view,
        "weights": bundle.manifest.weights,
        "steps": bundle.manifest.steps,
        "seed": bundle.manifest.seed,
        "machine": Machine.here().model_dump(),
    }
    return {name: _without_nan(value) for name, value in result.items()}


def _origins(threshold: Threshold, origins: Origins, found: Sequence[ImageScore]) -> list[dict[str, Any]]:
    """What decided about each camera or lot that has a value of its own, and about the rest together, and how well."""
    by_name: dict[str | None, list[ImageScore]] = defaultdict(list)
    for item in found:
        by_name[origins.name_of(item.record) if origins.of(item.record) else None].append(item)
    rows = []
    for name, some in sorted(by_name.items(), key=lambda pair: (pair[0] is None, pair[0])):
        own = None if name is None else origins.limits[name]
        rejections = _rejections(some, decide(some, threshold))
        classes = sorted({item.record.label for item in some} - {GOOD})
        rows.append(
            {
                "name": name,
                "value": threshold.value if own is None else own.value,
                "promise": (threshold if own is None else own).promise.text,
                "n_images": len(some),
                "false_reject_rate": _plain(rejections.rate([GOOD], rejected=True)),
                "escape_rate": _plain(rejections.rate(classes, rejected=False)),
            }
        )
    return rows


@dataclass(frozen=True)
class _Rejections:
    """Decisions on parts, and the class of each part: that of its defective images, else good."""

    decisions: list[PartDecision]
    label: dict[str, str]

    def rate(self, labels: Sequence[str], rejected: bool) -> Rate:
        """Share of the parts of some classes that are rejected, or that are not."""
        chosen = [decision for decision in self.decisions if self.label[decision.part] in labels]
        hits = np.array([decision.rejected == rejected for decision in chosen], dtype=bool)
        return rate_by_group(hits, [decision.group for decision in chosen], CONFIDENCE)


def _tested(records: Sequence[ImageRecord]) -> list[ImageRecord]:
    split = any(record.split is not None for record in records)
    tested = [r for r in records if (r.label == GOOD or r.defective) and (r.split == "test" or not split)]
    if not tested:
        msg = (
            "there are no labelled images to evaluate on; put them into test/good and test/<defect>, into class "
            "folders, or into a CSV with the column label"
        )
        raise DataError(msg)
    return tested


def _refuse_learnt_from(bundle: "Bundle", records: Sequence[ImageRecord]) -> None:
    """A split drawn anew with another seed or grouping would test on what was trained on."""
    kept = [*bundle.embeddings("train")[0], *bundle.selection["image"], *bundle.calibration["image"]]
    known = {Path(image).resolve() for image in kept}
    learnt = [record for record in records if record.path.resolve() in known]
    if learnt:
        msg = (
            f"{len(learnt)} of the {len(records)} images to evaluate on made this bundle, {learnt[0].path} among them; "
            f"use other images, or split as in training: the same --groups, and seed {bundle.manifest.seed}"
        )
        raise DataError(msg)


def _look(
    bundle: "Bundle",
    records: Sequence[ImageRecord],
    threshold: Threshold,
    progress: Progress,
    examples: Examples | None,
) -> _Seen:
    seen = _Seen()
    for item in score_records(bundle, records, progress=progress, threshold=threshold):
        if isinstance(item, ScoreFailure):
            seen.failures.append(item)
            continue
        mask = _mask(item)
        if mask is None:
            seen.without_mask += 1
        else:
            seen.with_mask += int(item.record.defective)
            seen.pixels.update(item.map, mask)
        if examples is not None:
            examples.add(item)
        seen.scores.append(_without_map(item))
    return seen


def _mask(item: ImageScore) -> NDArray[np.bool_] | None:
    """The mask, false everywhere on a good image; None for a defect of which nobody says where it is."""
    if not item.record.defective:
        return np.zeros(item.map.shape, dtype=bool)
    if item.record.mask is None:
        return None
    mask: NDArray[np.bool_] = read_mask(item.record.mask, (item.map.shape[0], item.map.shape[1])).numpy()
    return mask if mask.any() else None


def _without_map(item: ImageScore) -> ImageScore:
    nothing = np.empty((0, 0), dtype=np.float32)
    return replace(item, map=nothing, embedding=nothing)


def _rejections(found: Sequence[ImageScore], decisions: list[PartDecision]) -> _Rejections:
    label: dict[str, str] = {}
    for item in found:
        if label.get(item.record.part, GOOD) == GOOD:
            label[item.record.part] = item.record.label
    return _Rejections(decisions, label)


def _auroc_of(name: str, found: Sequence[ImageScore], scores: NDArray[np.float64]) -> float:
    chosen = np.array([item.record.label in (GOOD, name) for item in found])
    defective = np.array([item.record.label == name for item in found])
    return image_auroc(scores[chosen], defective[chosen])


def _auroc_interval(
    found: Sequence[ImageScore], scores: NDArray[np.float64], defective: NDArray[np.bool_], seed: int
) -> list[float]:
    groups = [item.record.group for item in found]
    interval = group_bootstrap(lambda i: image_auroc(scores[i], defective[i]), groups, CONFIDENCE, seed=seed)
    return list(interval)


def _describe(name: str, rate: Rate) -> dict[str, Any]:
    counts = {"hits": rate.hits, "n_parts": rate.n_parts, "n_groups": rate.n_groups}
    return {
        f"{name}_rate": rate.value,
        f"{name}_rate_interval": [rate.low, rate.high],
        f"{name}_rate_counts": counts,
    }


def _plain(rate: Rate) -> dict[str, float | int]:
    return {
        "value": rate.value,
        "low": rate.low,
        "high": rate.high,
        "hits": rate.hits,
        "n_parts": rate.n_parts,
        "n_groups": rate.n_groups,
    }


def _groups_by_class(records: Iterable[ImageRecord]) -> dict[str, int]:
    groups: dict[str, set[str]] = defaultdict(set)
    for record in records:
        groups[record.label].add(record.group)
    return {name: len(found) for name, found in sorted(groups.items())}


def _without_nan(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
