"""A segmentation head: the same regression at every place, which is a 1 x 1 convolution."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from learning.supervised.linear import LinearModel, fit_logistic

_PIXELS_PER_IMAGE = 200
_HIGHEST_SHARE = 0.005
"""Share of the places, the highest, whose mean log-odds is the score of an image."""


def fit_head(
    dense: Sequence[NDArray[np.floating]], masks: Sequence[NDArray[np.bool_] | None], seed: int
) -> LinearModel | None:
    """Learn to tell defective places from good ones.

    Args:
        dense: Features of each image, ``[D, h, w]``.
        masks: For each image where it is defective, ``[H, W]`` of any size; None for a good image.
        seed: Of the draw of places: at most 200 of a kind in an image.

    Returns:
        The head, or None when no mask covers a place.
    """
    generator = np.random.default_rng(seed)
    rows: list[NDArray[np.floating]] = []
    labels: list[NDArray[np.bool_]] = []
    for features, mask in zip(dense, masks, strict=True):
        height, width = features.shape[1:]
        inside = np.zeros((height, width), dtype=bool)
        if mask is not None:
            share = resize(mask.astype(np.float32), (height, width), order=1, anti_aliasing=True)
            inside = share >= min(0.5, float(share.max())) if share.max() > 0 else inside
        for kind in (True, False):
            places = np.flatnonzero((inside == kind).ravel())
            chosen = generator.permutation(places)[:_PIXELS_PER_IMAGE]
            rows.append(features.reshape(len(features), -1).T[chosen])
            labels.append(np.full(len(chosen), kind))
    defective = np.concatenate(labels)
    if not defective.any():
        return None
    return fit_logistic(np.concatenate(rows), defective, iterations=200)


def predict_map(head: LinearModel, dense: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-odds at every place: ``[B, D, h, w]`` to ``[B, h, w]``."""
    return head.predict(np.moveaxis(dense, 1, -1))


def predict_score(head: LinearModel, dense: NDArray[np.floating]) -> NDArray[np.float64]:
    """One score for each image, the mean of its highest places: ``[B, D, h, w]`` to ``[B]``."""
    places = predict_map(head, dense).reshape(len(dense), -1)
    count = max(1, round(_HIGHEST_SHARE * places.shape[1]))
    highest: NDArray[np.float64] = np.sort(places, axis=1)[:, -count:].mean(axis=1)
    return highest
