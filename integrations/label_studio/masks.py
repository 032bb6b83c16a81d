"""Regions of an inspector's page, from anomaly maps and into masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from integrations.label_studio.page import FLAW, IMAGE, OUTLINE, REGION

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
    from label_studio_sdk.converter.brush import decode_rle

    shape = (result["original_height"], result["original_width"], 4)
    alpha = decode_rle(result["value"]["rle"]).reshape(shape)[..., 3]
    return np.asarray(alpha >= 128)


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
