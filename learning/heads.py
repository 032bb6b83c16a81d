"""Segmentation heads for the fallback: learnt where inspectors drew masks, judged by what they did not see."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from learning.acceleration import exact
from learning.images.image_set import ImageSet
from learning.images.pixels import read_mask
from learning.progress import Progress, silent
from learning.supervised.head import Places, fit_head, predict_score, sample_places
from learning.supervised.linear import LinearModel
from learning.weighing import Floats, HeadScores

if TYPE_CHECKING:
    from learning.bundle import Bundle
    from learning.relearn import Confirmed

MIN_MASKED_FOR_HEAD = 6
"""Fewer confirmed defective groups with a mask than this train no head: none could be held out."""

_BATCH = 8
"""Images whose dense features are held at once."""


def score_heads(
    bundle: "Bundle",
    confirmed: Sequence["Confirmed"],
    folds: Sequence[NDArray[np.bool_]],
    seed: int,
    progress: Progress = silent,
) -> HeadScores | str:
    """Train a head for each fold and one on everything, and score all that a fallback is judged and calibrated by.

    They learn from confirmed defects with a mask and from confirmed good parts. Every image is looked at at most
    twice, in batches: what is kept of it are at most 400 places and its scores.

    Args:
        bundle: Its detector has to offer ``dense(images) -> [B, D, h, w]``.
        confirmed: Verdicts.
        folds: ``[N]`` each: which verdicts it holds out.
        seed: Of the places that are drawn.
        progress: Told how far it is.

    Returns:
        The scores, or why there are none.

    Raises:
        DataError: If an image or a mask that is there cannot be read.
    """
    masked = {one.group for one in confirmed if _has_mask(one)}
    if len(masked) < MIN_MASKED_FOR_HEAD:
        return f"no segmentation head: {len(masked)} confirmed defects have a mask, and it takes {MIN_MASKED_FOR_HEAD}"
    if not hasattr(bundle.detector, "dense"):
        return "no segmentation head: the detector offers no dense features"
    held_out = {
        name: [Path(image) for image in table["image"]]
        for name, table in (("selection", bundle.selection), ("calibration", bundle.calibration))
    }
    gone = [path for paths in held_out.values() for path in paths if not path.is_file()]
    if gone:
        return (
            f"no segmentation head: {len(gone)} images of held-out good parts are not there any more, such as "
            f"{gone[0]}; put them back to have it weighed"
        )
    images = ImageSet([one.path for one in confirmed], bundle.preprocessing)
    places = _sample(bundle.detector, images, confirmed, seed, progress)
    everything = np.zeros(len(confirmed), dtype=bool)
    heads: list[LinearModel] = []
    for left_out in (*folds, everything):
        head = fit_head([one for one, out in zip(places, left_out, strict=True) if one is not None and not out])
        if head is None:
            return "no segmentation head: without the masks of one fold, none is left to learn from"
        heads.append(head)

    def score(those: ImageSet, by: Sequence[LinearModel], text: str) -> Floats:
        return _score(bundle.detector, those, by, progress, text)

    of_verdicts = score(images, heads[:-1], "judging segmentation heads")
    selection = score(ImageSet(held_out["selection"], bundle.preprocessing), heads, "scoring selection parts")
    calibration = score(
        ImageSet(held_out["calibration"], bundle.preprocessing), heads[-1:], "scoring calibration parts"
    )
    own = np.argmax(folds, axis=0)
    return HeadScores(tuple(heads), of_verdicts[own, np.arange(len(confirmed))], selection, calibration[0])


def _has_mask(one: "Confirmed") -> bool:
    return one.defective and one.mask is not None and one.mask.is_file()


def _sample(
    detector: Any, images: ImageSet, confirmed: Sequence["Confirmed"], seed: int, progress: Progress
) -> list[Places | None]:
    """Places of each image; None of a defect without a mask, of which nobody knows where it is."""
    places: list[Places | None] = [None] * len(confirmed)
    usable = [i for i, one in enumerate(confirmed) if not one.defective or _has_mask(one)]
    for first in range(0, len(usable), _BATCH):
        rows = usable[first : first + _BATCH]
        with exact():
            dense = detector.dense(images.batch(rows)).cpu().numpy()
        for i, features in zip(rows, dense, strict=True):
            one = confirmed[i]
            mask = None
            if one.defective and one.mask is not None:
                mask = images.view(i).from_picture(read_mask(one.mask).numpy())
            places[i] = sample_places(features, mask, np.random.default_rng([seed, i]))
        progress(min(first + _BATCH, len(usable)), len(usable), "learning from masks")
    return places


def _score(detector: Any, images: ImageSet, heads: Sequence[LinearModel], progress: Progress, text: str) -> Floats:
    """``[H, N]`` of every head for every image."""
    scores = np.empty((len(heads), len(images)))
    for first in range(0, len(images), _BATCH):
        rows = range(first, min(first + _BATCH, len(images)))
        with exact():
            dense = detector.dense(images.batch(rows)).cpu().numpy()
        for h, head in enumerate(heads):
            scores[h, rows.start : rows.stop] = predict_score(head, dense)
        progress(rows.stop, len(images), text)
    return scores
