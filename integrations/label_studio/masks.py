"""Regions of an inspector's page, from anomaly maps and into masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from integrations.label_studio.project import FLAW, IMAGE, REGION

_REGIONS = 3
_LARGEST_SHARE = 0.1
_SMALLEST_SHARE = 1e-4


def propose_regions(anomaly_map: NDArray[np.uint8]) -> list[NDArray[np.bool_]]:
    """Outline where an anomaly map peaks, as a first guess for the inspector to correct.

    Kept are pixels of at least half of the map's peak, at most a tenth of the image (a flat map would cover it all),
    and of these the three connected regions with the highest peaks.

    Args:
        anomaly_map: ``[H, W]``, 0 to 255.

    Returns:
        Up to three masks ``[H, W]``, the highest peak first; none for a map without a peak.
    """
    level = max(anomaly_map.max() / 2, np.quantile(anomaly_map, 1 - _LARGEST_SHARE, method="higher"))
    above = anomaly_map >= level
    if anomaly_map.max() == anomaly_map.min() or above.mean() > 2 * _LARGEST_SHARE:
        return []
    labels, count = ndimage.label(above, structure=np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    peaks = ndimage.maximum(anomaly_map.astype(float), labels, numbers)
    sizes = ndimage.sum_labels(above, labels, numbers)
    large = [number for number in numbers if sizes[number - 1] >= max(4, _SMALLEST_SHARE * above.size)]
    best = sorted(large, key=lambda number: (-peaks[number - 1], -sizes[number - 1]))
    return [labels == number for number in best[:_REGIONS]]


def region(mask: NDArray[np.bool_], region_id: str) -> dict[str, Any]:
    """A brush region as Label Studio keeps it.

    Args:
        mask: ``[H, W]`` of the image's own size.
        region_id: Unique within the task.
    """
    from label_studio_sdk.converter.brush import mask2rle

    height, width = mask.shape
    return {
        "id": region_id,
        "from_name": REGION,
        "to_name": IMAGE,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": mask2rle(mask.astype(np.uint8) * 255), "brushlabels": [FLAW]},
    }


def mask_of(results: Iterable[dict[str, Any]]) -> NDArray[np.bool_] | None:
    """Union of the brush regions of an annotation.

    Args:
        results: The annotation's ``result``.

    Returns:
        ``[H, W]`` of the image's own size, or None where nothing is painted.
    """
    masks = [decoded(result) for result in results if result.get("from_name") == REGION and _is_brush(result)]
    sizes: Sequence[tuple[int, ...]] = [mask.shape for mask in masks]
    if not masks or len(set(sizes)) > 1:
        return None
    union = np.logical_or.reduce(masks)
    return union if union.any() else None


def _is_brush(result: dict[str, Any]) -> bool:
    return bool(result.get("value", {}).get("rle")) and result.get("original_height", 0) > 0


def decoded(result: dict[str, Any]) -> NDArray[np.bool_]:
    """The mask of one brush region, ``[H, W]``."""
    from label_studio_sdk.converter.brush import decode_rle

    shape = (result["original_height"], result["original_width"], 4)
    alpha = decode_rle(result["value"]["rle"]).reshape(shape)[..., 3]
    return np.asarray(alpha >= 128)
