"""Reading and writing the pictures of a synthetic data set, lossless and at their own size."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor
from torch.nn import functional

from synth.errors import SynthError


def read_picture(path: Path) -> Tensor:
    """Read a picture as ``[C, H, W]`` float32 in 0..1 on 8-bit levels; grey stays grey, anything else becomes RGB.

    Raises:
        SynthError: If the file is missing or cannot be decoded.
    """
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            picture.load()
    except FileNotFoundError as error:
        msg = f"{path} does not exist"
        raise SynthError(msg) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        msg = f"{path} cannot be read as an image ({error}); remove it or save it again"
        raise SynthError(msg) from error
    if picture.mode.startswith("I;16") or picture.mode == "I":
        levels = np.round(np.asarray(picture).astype(np.float64).clip(0, 65535) / 257).astype(np.uint8)
    else:
        levels = np.array(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
    pixels = torch.from_numpy(levels).float() / 255
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()


def write_picture(picture: Tensor, path: Path) -> None:
    """Write ``[C, H, W]``, 0..1, as an 8-bit PNG, in one step."""
    levels = (picture * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    working = path.with_name(f".{path.name}.writing")
    Image.fromarray(levels[..., 0] if levels.shape[-1] == 1 else levels).save(working, format="PNG")
    working.replace(path)


def fit_picture(picture: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    """Bring ``[C, h, w]`` to a number of channels and a size, on 8-bit levels."""
    if picture.shape[0] != channels:
        picture = picture.mean(dim=0, keepdim=True) if channels == 1 else picture.expand(channels, -1, -1)
    if picture.shape[-2:] != size:
        picture = functional.interpolate(picture[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    return (picture * 255).round() / 255
