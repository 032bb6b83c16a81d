"""Regions of an inspector's page, from anomaly maps and into masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from integrations.label_studio.page import FLAW, IMAGE, OUTLINE, REGION
from integrations.label_studio.rle import decode_mask, encode_mask

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
    counts = np.bincount(anomaly_map.ravel(), minlength=256)
    lowest, peak = np.flatnonzero(counts)[[0, -1]]
    # The least value that at most a tenth of the pixels exceed.
    above_share = np.cumsum(counts) >= (1 - _LARGEST_SHARE) * (anomaly_map.size - 1) + 1
    above = anomaly_map >= max(peak / 2, int(np.argmax(above_share)))
    if lowest == peak or above.mean() > 2 * _LARGEST_SHARE:
        return []
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(above.astype(np.uint8), connectivity=8)
    sizes = boxes[:, cv2.CC_STAT_AREA]
    large = [number for number in range(1, count) if sizes[number] >= max(4, _SMALLEST_SHARE * above.size)]
    peaks = {number: _peak(anomaly_map, labels, boxes[number], number) for number in large}
    best = sorted(large, key=lambda number: (-peaks[number], -sizes[number]))
    return [labels == number for number in best[:_REGIONS]]


def _peak(anomaly_map: NDArray[np.uint8], labels: NDArray[np.int32], box: NDArray[np.int32], number: int) -> int:
    left, top, width, height = box[:4].tolist()
    inside = slice(top, top + height), slice(left, left + width)
    return int(anomaly_map[inside][labels[inside] == number].max())


def region(mask: NDArray[np.bool_], region_id: str) -> dict[str, Any]:
    """A brush region as Label Studio keeps it.

    Args:
        mask: ``[H, W]`` of the image's own size.
        region_id: Unique within the task.
    """
    height, width = mask.shape
    return {
        "id": region_id,
        "from_name": REGION,
        "to_name": IMAGE,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": encode_mask(mask), "brushlabels": [FLAW]},
    }


def mask_of(results: Iterable[dict[str, Any]]) -> NDArray[np.bool_] | None:
    """Union of the brush regions and polygons of an annotation.

    Args:
        results: The annotation's ``result``.

    Returns:
        ``[H, W]`` of the image's own size, or None where nothing is painted.
    """
    masks = []
    for result in results:
        if result.get("original_height", 0) <= 0:
            continue
        if result.get("from_name") == REGION and result.get("value", {}).get("rle"):
            masks.append(decoded(result))
        elif result.get("from_name") == OUTLINE and len(result.get("value", {}).get("points", ())) > 2:
            masks.append(_filled(result))
    sizes: Sequence[tuple[int, ...]] = [mask.shape for mask in masks]
    if not masks or len(set(sizes)) > 1:
        return None
    union = np.logical_or.reduce(masks)
    return union if union.any() else None


def decoded(result: dict[str, Any]) -> NDArray[np.bool_]:
    """The mask of one brush region, ``[H, W]``."""
    return decode_mask(result["value"]["rle"], result["original_height"], result["original_width"])


def _filled(result: dict[str, Any]) -> NDArray[np.bool_]:
    """A polygon, whose points are percent of width and height: the pixels whose middle lies inside."""
    from matplotlib.path import Path as Polygon

    width, height = result["original_width"], result["original_height"]
    corners = np.asarray(result["value"]["points"], dtype=np.float64) / 100 * (width, height)
    rows, columns = np.indices((height, width))
    middles = np.column_stack([columns.ravel(), rows.ravel()]) + 0.5
    inside = np.asarray(Polygon(corners).contains_points(middles)).reshape(height, width)
    if inside.any():
        return inside
    # Thinner than a pixel, as along a scratch: the pixels that its border runs through.
    thin = Image.new("1", (width, height))
    ImageDraw.Draw(thin).polygon([(x - 0.5, y - 0.5) for x, y in corners], fill=1)
    return np.asarray(thin)
