"""A segmentation head: the same regression at every place, which is a 1 x 1 convolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from learning.supervised.linear import LinearModel, fit_logistic

_PIXELS_PER_IMAGE = 200
_HIGHEST_SHARE = 0.005
"""Share of the places, the highest, whose mean log-odds is the score of an image."""


@dataclass(frozen=True)
class Places:
    """Features at some places of an image, little enough to be kept of every image.

    Attributes:
        features: ``[P, D]``.
        defective: ``[P]``.
    """

    features: NDArray[np.floating]
    defective: NDArray[np.bool_]


def sample_places(
    dense: NDArray[np.floating], mask: NDArray[np.bool_] | None, generator: np.random.Generator
) -> Places:
    """Draw places to learn from, at most 200 of a kind.

    Args:
        dense: ``[D, h, w]`` features of an image.
        mask: ``[H, W]`` of any size: where it is defective; None for a good image.
        generator: Draws them.
    """
    height, width = dense.shape[1:]
    inside = np.zeros((height, width), dtype=bool)
    if mask is not None and mask.any():
        share = resize(mask.astype(np.float32), (height, width), order=1, anti_aliasing=True)
        # A defect smaller than half a place still marks the place that holds most of it.
        inside = share >= min(0.5, float(share.max())) if share.max() > 0 else inside
    chosen = np.concatenate(
        [generator.permutation(np.flatnonzero((inside == kind).ravel()))[:_PIXELS_PER_IMAGE] for kind in (True, False)]
    )
    return Places(dense.reshape(len(dense), -1).T[chosen], inside.ravel()[chosen])


def fit_head(places: Sequence[Places]) -> LinearModel | None:
    """Learn to tell defective places from good ones; None where one of the kinds is missing."""
    defective = np.concatenate([one.defective for one in places]) if places else np.zeros(0, dtype=bool)
    if defective.all() or not defective.any():
        return None
    return fit_logistic(np.concatenate([one.features for one in places]), defective, iterations=200)


def predict_map(head: LinearModel, dense: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-odds at every place: ``[B, D, h, w]`` to ``[B, h, w]``."""
    return head.predict(np.moveaxis(dense, 1, -1))


def predict_score(head: LinearModel, dense: NDArray[np.floating]) -> NDArray[np.float64]:
    """One score for each image, the mean of its highest places: ``[B, D, h, w]`` to ``[B]``."""
    places = predict_map(head, dense).reshape(len(dense), -1)
    count = max(1, round(_HIGHEST_SHARE * places.shape[1]))
    highest: NDArray[np.float64] = np.sort(places, axis=1)[:, -count:].mean(axis=1)
    return highest
