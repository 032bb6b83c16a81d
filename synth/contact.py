"""Contact sheets: look at what a recipe makes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from synth.errors import SynthError

_LABEL = 14
_GAP = 4


def contact_sheet(rows: Sequence[Tensor], out: Path, labels: Sequence[str] = (), side: int = 128) -> None:
    """Write rows of pictures as one PNG.

    Args:
        rows: Batches ``[B, C, H, W]``, 0..1, with 1 or 3 channels; a row of the sheet each.
        out: The file.
        labels: A text above each row; none, or one for each.
        side: Longer side of a picture in pixels.

    Raises:
        SynthError: If there is no row, or labels do not match the rows.
    """
    if not rows or (labels and len(labels) != len(rows)):
        msg = f"{len(rows)} rows and {len(labels)} labels make no contact sheet; give a label for each row, or none"
        raise SynthError(msg)
    step = side + _GAP
    above = _LABEL if labels else 0
    sheet = Image.new("RGB", (max(map(len, rows)) * step + _GAP, len(rows) * (step + above) + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for down, batch in enumerate(rows):
        top = _GAP + down * (step + above)
        if labels:
            pen.text((_GAP, top), labels[down], fill="black")
        for across, picture in enumerate(_fit(batch, side)):
            sheet.paste(picture, (_GAP + across * step, top + above))
    sheet.save(out, optimize=True)


def outlined(images: Tensor, masks: Tensor, colour: tuple[float, float, float] = (1.0, 0.2, 0.1)) -> Tensor:
    """Draw the outline of masks ``[B, 1, H, W]`` around what they mark; ``[B, 3, H, W]``."""
    around = functional.max_pool2d(masks, 5, stride=1, padding=2) - functional.max_pool2d(masks, 3, stride=1, padding=1)
    ink = torch.tensor(colour).to(images)[None, :, None, None]
    return torch.where(around > 0, ink, images.expand(-1, 3, -1, -1))


def _fit(batch: Tensor, side: int) -> list[Image.Image]:
    levels = (batch.expand(-1, 3, -1, -1) * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    return [_shrink(Image.fromarray(np.ascontiguousarray(picture)), side) for picture in levels]


def _shrink(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    return picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
