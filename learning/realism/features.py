"""What a detector sees of a defect: its dense features there, against those around."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from learning.images.pixels import read_image, read_mask
from learning.images.preprocessing import Preprocessing
from learning.progress import Progress, silent
from learning.realism.defects import Box

Floats = NDArray[np.float64]

_RING = 1 / 24
"""Width of the surroundings, over the side of the feature map."""


@dataclass(frozen=True)
class Spot:
    """Where in an image features are taken.

    Attributes:
        image: The image; the mask may be that of another one, as of a flaw that was painted on this one's copy.
        mask: Mask of all defects, of the image's size.
        box: Around the one that is meant, in pixels.
    """

    image: Path
    mask: Path
    box: Box


def embed_spots(
    spots: Sequence[Spot],
    dense: Callable[[Tensor], Tensor],
    preprocessing: Preprocessing,
    progress: Progress = silent,
    text: str = "embedding defects",
) -> Floats:
    """Embed places: mean of the dense features in the mask, less their mean in a ring of sound places around it.

    Embeddings of whole patches were tried first: most of a patch is background, and the distance between painted and
    good patches drowned in the differences between backgrounds.

    Args:
        spots: Where; those of one image one after the other are looked at once.
        dense: A detector's: ``[B, C, h, w]`` to ``[B, D, h / r, w / r]``.
        preprocessing: The detector's.
        progress: Told the number of places.
        text: What the progress says.

    Returns:
        ``[N, D]``.

    Raises:
        DataError: If a file cannot be read, or a mask is not of its image's size.
    """
    embedded = []
    seen: tuple[Path, Path] | None = None
    for done, spot in enumerate(spots, 1):
        if (spot.image, spot.mask) != seen:
            image = read_image(spot.image)
            mask = read_mask(spot.mask, (image.shape[-2], image.shape[-1]))
            view = preprocessing.look(image)
            features = dense(view.image[None])[0].cpu()
            seen = spot.image, spot.mask
        left, top, right, bottom = spot.box
        meant = torch.zeros_like(mask)
        meant[top:bottom, left:right] = mask[top:bottom, left:right]
        inside, marked = (torch.from_numpy(view.from_picture(one.numpy())) for one in (meant, mask))
        embedded.append(_against_surroundings(features, inside, marked).double().numpy())
        progress(done, len(spots), text)
    return np.stack(embedded)


def bounded(embeddings: Floats, good: Floats) -> Floats:
    """Embeddings away from those of good parts, in a ball of radius ``sqrt(D)``; ``[N, D]``.

    The mean of the good ones becomes the centre, and what is as far from it as the median of them comes halfway to the
    surface. A kernel of such vectors is bounded: one odd defect cannot decide a distance, and distances of detectors
    whose features have other scales can be compared.

    Args:
        embeddings: ``[N, D]``.
        good: ``[M, D]``, of good parts.
    """
    centre = good.mean(axis=0)
    scale = np.median(np.linalg.norm(good - centre, axis=1))
    moved = embeddings - centre
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    pulled: Floats = moved / np.maximum(lengths + scale, 1e-12) * np.sqrt(moved.shape[1])
    return pulled


def _against_surroundings(features: Tensor, meant: Tensor, marked: Tensor) -> Tensor:
    """``[D]`` from features ``[D, h, w]``, the mask of one defect and that of all; 0 if the detector sees none of it.

    A place is marked if any of its pixels is.
    """
    size = (features.shape[-2], features.shape[-1])
    inside, every = (functional.adaptive_max_pool2d(one[None, None].float(), size)[0, 0] for one in (meant, marked))
    if not inside.any():
        return torch.zeros_like(features[:, 0, 0])
    reach = max(1, round(min(size) * _RING))
    ring = functional.max_pool2d(inside[None, None], 2 * reach + 1, stride=1, padding=reach)[0, 0] * (1 - every)
    around = ring if ring.any() else torch.ones_like(ring)
    return _mean(features, inside) - _mean(features, around)


def _mean(features: Tensor, weights: Tensor) -> Tensor:
    return (features * weights).sum(dim=(-2, -1)) / weights.sum()
