"""Contact sheets: look at what a recipe makes, or what a data set holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional

from synth.errors import SynthError
from synth.files import write_file
from synth.journal import Entry
from synth.manifest import ManifestRow
from synth.pictures import Pixels, read_pixels

_TEXT = 13
_LABEL = 18
_GAP = 4
_SHOWN = 20
"""Images of a set on its overview, spread over all of it."""
_SIDE = 200
_ABREAST = 2
"""Images side by side on an overview, each as the good one, the flawed one, its outline and a look closer."""
_CLOSER = (3, 48)
"""A closer look is at this many times the flaw's longer side, and at least at this many pixels."""
_JOINED = 11
"""Marked pixels of a picture that are nearer to each other than this have one outline."""
_INK = (255, 50, 25)


def contact_sheet(rows: Sequence[Tensor], out: Path, labels: Sequence[str] = (), side: int = 128) -> None:
    """Write rows of pictures as one picture.

    Args:
        rows: Batches ``[B, C, H, W]``, 0..1, with 1 or 3 channels; a row of the sheet each.
        out: The file: a JPEG where its name ends in ``.jpg``, else a PNG.
        labels: A text above each row; none, or one for each.
        side: Longer side of a picture in pixels.

    Raises:
        SynthError: If there is no row, labels do not match the rows, or the sheet cannot be written.
    """
    if not rows or (labels and len(labels) != len(rows)):
        msg = f"{len(rows)} rows and {len(labels)} labels make no contact sheet; give a label for each row, or none"
        raise SynthError(msg)
    strips = [
        [_Strip([_shrunk(_levels(picture), side) for picture in batch], labels[row] if labels else "")]
        for row, batch in enumerate(rows)
    ]
    write_file(out, _encoded(_drawn(strips, side, _LABEL if labels else 0), out))


def outlined(images: Tensor, masks: Tensor, colour: tuple[float, float, float] = (1.0, 0.2, 0.1)) -> Tensor:
    """Draw the outline of masks ``[B, 1, H, W]`` around what they mark; ``[B, 3, H, W]``."""
    around = functional.max_pool2d(masks, 5, stride=1, padding=2) - functional.max_pool2d(masks, 3, stride=1, padding=1)
    ink = torch.tensor(colour).to(images)[None, :, None, None]
    return torch.where(around > 0, ink, images.expand(-1, 3, -1, -1))


def write_overview(folder: Path, entries: Iterable[Entry], count: int, out: Path) -> None:
    """Write good image, flawed image, outline of its mask and a closer look, for images spread over a set, as one PNG.

    Args:
        folder: Of the set.
        entries: Of all its images, in order.
        count: Number of them.
        out: The file.

    Raises:
        SynthError: If a picture cannot be read, or the sheet cannot be written.
    """
    shown = set(np.linspace(0, count - 1, min(count, _SHOWN)).round().astype(int).tolist())
    strips = [_overview(folder, entry) for place, entry in enumerate(entries) if place in shown]
    rows = [strips[i : i + _ABREAST] for i in range(0, len(strips), _ABREAST)]
    write_file(out, _encoded(_drawn(rows, _SIDE, _LABEL), out))


@dataclass(frozen=True)
class _Strip:
    """Pictures side by side, ``[h, w, 3]`` uint8, under a text."""

    pictures: list[NDArray[np.uint8]]
    label: str


def _overview(folder: Path, entry: Entry) -> _Strip:
    good = read_pixels(Path(entry.rows[0].source))
    # Cameras of 10 or 12 bits leave most of 16 unused.
    white = float(good.max()) if good.dtype == np.uint16 else 255.0
    flawed = read_pixels(folder / "images" / f"{entry.image}.png")
    mask = read_pixels(folder / "masks" / f"{entry.image}.png")
    pictures = [_shrunk(_to_8_bit(pixels, white), _SIDE) for pixels in (good, flawed)]
    seen = [row for row in entry.rows if row.area]
    closest = min(seen, key=lambda row: row.area)
    near = _around(closest, flawed.shape[:2])
    pictures += [
        _marked(pictures[1], mask),
        _marked(_shrunk(_to_8_bit(flawed[near], white), _SIDE), mask[near]),
    ]
    families = ", ".join(dict.fromkeys(row.family for row in seen))
    return _Strip(pictures, f"{entry.image[:6]} {families} (closer: {closest.family})")


def _marked(picture: NDArray[np.uint8], mask: Pixels) -> NDArray[np.uint8]:
    """A copy of a picture ``[h, w, 3]`` with the outline of a mask around what it marks; a pixel beside it is free."""
    height, width = picture.shape[:2]
    # However small, what is marked stays so when it shrinks, and keeps its pixels when it grows.
    how = cv2.INTER_AREA if mask.shape[0] > height else cv2.INTER_NEAREST_EXACT
    scaled = cv2.resize((mask > 0).astype(np.uint8) * 255, (width, height), interpolation=how)
    # One outline around what lies close together: more would hide what is to be seen.
    joined = cv2.morphologyEx((scaled > 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_JOINED, _JOINED), np.uint8))
    near = cv2.dilate(joined, np.ones((3, 3), np.uint8))
    drawn = picture.copy()
    drawn[cv2.dilate(near, np.ones((3, 3), np.uint8)) > near] = _INK
    return drawn


def _around(row: ManifestRow, size: tuple[int, ...]) -> tuple[slice, slice]:
    """A square around a flaw, as far as it lies in the image."""
    side = max(_CLOSER[0] * max(row.right - row.left, row.bottom - row.top), _CLOSER[1])
    spans = zip((row.top + row.bottom, row.left + row.right), size, strict=True)
    starts = [(max(0, min((middle - side) // 2, length - side)), length) for middle, length in spans]
    down, across = (slice(start, min(start + side, length)) for start, length in starts)
    return down, across


def _levels(picture: Tensor) -> NDArray[np.uint8]:
    levels = (picture.expand(3, -1, -1) * 255).round().clamp(0, 255).byte()
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def _to_8_bit(pixels: NDArray[np.uint8] | NDArray[np.uint16], white: float) -> NDArray[np.uint8]:
    levels = pixels if pixels.dtype == np.uint8 else (pixels * (255 / max(white, 1.0))).clip(0, 255).astype(np.uint8)
    return np.asarray(levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2))


def _shrunk(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Bring the longer side of ``[h, w]`` or ``[h, w, 3]`` to a length; ``[h, w, 3]``."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrunk = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.asarray(shrunk if shrunk.ndim == 3 else np.repeat(shrunk[..., None], 3, axis=2), dtype=np.uint8)


def _drawn(rows: Sequence[Sequence[_Strip]], side: int, above: int) -> Image.Image:
    """Strips in rows, each under its label."""
    font = ImageFont.load_default(_TEXT)
    step = side + _GAP
    wide = max(len(strip.pictures) for row in rows for strip in row) * step + 2 * _GAP
    abreast = max(map(len, rows))
    sheet = Image.new("RGB", (abreast * wide, len(rows) * (step + above) + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for down, row in enumerate(rows):
        top = _GAP + down * (step + above)
        for across, strip in enumerate(row):
            left = _GAP + across * wide
            pen.text((left, top), _cut_to(strip.label, font, wide - 2 * _GAP), fill="black", font=font)
            for place, picture in enumerate(strip.pictures):
                sheet.paste(Image.fromarray(picture), (left + place * step, top + above))
    return sheet


def _encoded(sheet: Image.Image, out: Path) -> bytes:
    """As the name of the file says."""
    data = BytesIO()
    if out.suffix == ".jpg":
        sheet.save(data, format="JPEG", optimize=True, quality=88)
    else:
        # The level Pillow takes to optimise, 9, takes 15 times as long for a fifth less of noise.
        sheet.save(data, format="PNG", compress_level=3)
    return data.getvalue()


def _cut_to(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of a text as fits."""
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
