"""Pictures for a report that is one file: parts and maps as data addresses, charts as SVG."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation

from learning.errors import DataError
from learning.images.pixels import read_image, read_mask

_SIDE = 224
_QUALITY = 82
_TRUTH = (255, 64, 64)


def part_picture(path: Path) -> str:
    """A part, small, as a data address."""
    return _data_address(Image.fromarray(_pixels(path)))


def thumbnail(path: Path, gain: float = 1.0, side: int = 200) -> str | None:
    """A picture, small, as a data address; None where it cannot be read.

    Args:
        path: The picture.
        gain: Brightness is multiplied by it: a camera may use a part of 16 bits only.
        side: Of the longer side, in pixels.
    """
    try:
        pixels = read_image(path)
    except DataError:
        return None
    levels = (pixels.permute(1, 2, 0).numpy() * (255 * gain)).round().clip(0, 255).astype(np.uint8)
    image = Image.fromarray(levels.squeeze()).convert("RGB")
    image.thumbnail((side, side))
    return _data_address(image)


def map_picture(path: Path, map_path: Path | None, mask_path: Path | None) -> str:
    """A part with its anomaly map over it and an outline of where the defect truly is, as a data address."""
    from matplotlib import colormaps

    pixels = _pixels(path)
    size = (pixels.shape[1], pixels.shape[0])
    shown = pixels.astype(np.float32)
    if map_path is not None:
        with Image.open(map_path) as opened:
            grey = np.asarray(opened.convert("L").resize(size, Image.Resampling.BILINEAR), dtype=np.float32) / 255
        heat = np.asarray(colormaps["inferno"](grey), dtype=np.float32)[..., :3] * 255
        weight = 0.85 * np.clip(grey * 1.4, 0, 1)[..., None]
        shown = shown.mean(axis=2, keepdims=True) * (1 - weight) + heat * weight
    picture = shown.round().clip(0, 255).astype(np.uint8)
    if mask_path is not None:
        with Image.open(mask_path) as opened:
            mask = np.asarray(opened.convert("L").resize(size, Image.Resampling.NEAREST)) > 127
        picture = _outlined(picture, mask)
    return _data_address(Image.fromarray(picture))


def spot_picture(path: Path, mask_path: Path | None, box: tuple[int, int, int, int], span: float) -> str:
    """A square around a place in a picture, as a data address.

    Args:
        path: The picture.
        mask_path: Outlined, or None.
        box: Left, top, right and bottom of the place, in pixels.
        span: Side of the square, over the picture's shorter side, 0..1.
    """
    pixels = read_image(path)
    height, width = pixels.shape[-2:]
    side = max(1, round(span * min(height, width)))
    x = min(max((box[0] + box[2] - side) // 2, 0), width - side)
    y = min(max((box[1] + box[3] - side) // 2, 0), height - side)
    levels = (pixels[:, y : y + side, x : x + side].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    picture = np.asarray(Image.fromarray(levels.squeeze()).convert("RGB").resize((_SIDE, _SIDE)))
    if mask_path is not None:
        mask = read_mask(mask_path, (height, width))[y : y + side, x : x + side].numpy()
        picture = _outlined(picture, np.asarray(Image.fromarray(mask).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)))
    return _data_address(Image.fromarray(picture))


def histogram(
    good: Sequence[float], defective: Sequence[float], threshold: float, bins: int = 36, label: str = "score"
) -> str:
    """Scores of good and defective parts with the threshold between them, as an SVG.

    Args:
        good: Scores of good parts.
        defective: Scores of defective parts.
        threshold: Drawn as a line.
        bins: Bars.
        label: What is told to those who cannot see it.
    """
    scores = np.array([*good, *defective], dtype=np.float64)
    # Few very high scores must not squeeze all others into one bar; they are counted in the last one.
    low = min(float(scores.min()), threshold)
    high = max(float(np.quantile(scores, 0.98)), threshold + 0.15 * (threshold - low))
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    counts = [np.histogram(np.clip(group, edges[0], edges[-1]), edges)[0] for group in (good, defective)]
    highest = max(int((counts[0] + counts[1]).max()), 1)
    width, height, bar = 560.0, 170.0, 560.0 / bins
    bars = []
    for place in range(bins):
        base = height
        for name, count in zip(("good", "bad"), (counts[0][place], counts[1][place]), strict=True):
            tall = height * 0.94 * count / highest
            if count:
                base -= tall
                bars.append(
                    f'<rect class="{name}" x="{place * bar + 0.5:.1f}" y="{base:.1f}" width="{bar - 1:.1f}" '
                    f'height="{tall:.1f}"><title>{count} {"good" if name == "good" else "defective"} parts'
                    "</title></rect>"
                )
    at = width * (threshold - edges[0]) / (edges[-1] - edges[0])
    return (
        f'<svg class="histogram" viewBox="0 -4 {width:.0f} {height + 26:.0f}" role="img" aria-label="{label}">'
        + "".join(bars)
        + f'<line class="axis" x1="0" y1="{height}" x2="{width}" y2="{height}"/>'
        + f'<line class="threshold" x1="{at:.1f}" y1="-4" x2="{at:.1f}" y2="{height + 4}"/>'
        + _captions(edges, threshold, at, width, height)
        + "</svg>"
    )


def _captions(edges: NDArray[np.floating], threshold: float, at: float, width: float, height: float) -> str:
    anchor = "end" if at > 0.75 * width else "start" if at < 0.25 * width else "middle"
    captions = (
        f'<text class="cut" x="{at:.1f}" y="{height + 18}" text-anchor="{anchor}">threshold {threshold:.3g}</text>'
    )
    if at > 0.2 * width:
        captions += f'<text x="0" y="{height + 18}">{edges[0]:.3g}</text>'
    if at < 0.75 * width:
        captions += f'<text x="{width}" y="{height + 18}" text-anchor="end">{edges[-1]:.3g} and above</text>'
    return captions


def _pixels(path: Path) -> NDArray[np.uint8]:
    """``[h, w, 3]``, at most ``_SIDE`` on its longer side."""
    pixels = (read_image(path).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    image = Image.fromarray(pixels.squeeze()).convert("RGB")
    image.thumbnail((_SIDE, _SIDE))
    return np.asarray(image)


def _outlined(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    near = binary_dilation(mask, iterations=2)
    outlined = picture.copy()
    outlined[binary_dilation(near) & ~near] = _TRUTH
    return outlined


def _data_address(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
