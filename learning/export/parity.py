"""Whether an exported model says what the bundle says that it came from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from learning.bundle import Bundle
from learning.detectors.base import Detector, Prediction
from learning.errors import ExportError
from learning.export.examples import evenly, flawed_parts
from learning.export.record import Parity
from learning.images.image_set import ImageSet
from learning.metrics import image_auroc
from learning.progress import Progress, silent

_COMPARED = 64
_SAME_IMAGES = 0.005
"""Scores of the same images differ by less, also on another processor; as a share of 1 and of the score."""


def measure_parity(
    bundle: Bundle, exported: Detector, files: dict[str, Path], seed: int, progress: Progress = silent
) -> Parity:
    """Compare on up to 64 held-out good parts, and on the same parts with flaws drawn on them.

    Args:
        bundle: Where the model came from.
        exported: The model.
        files: Of all held-out parts, by the name that the bundle has for them.
        seed: Of the flaws.
        progress: Told how many parts are done.

    Raises:
        ExportError: If the bundle says something else of its good parts than when it was trained: they are others.
    """
    names = evenly(list(files), _COMPARED)
    images = ImageSet([files[name] for name in names], bundle.preprocessing)
    good: list[tuple[Prediction, Prediction]] = []
    flawed: list[tuple[Prediction, Prediction]] = []
    for parts, with_flaws in flawed_parts(images, seed):
        good.append((bundle.detector.predict(parts), exported.predict(parts)))
        if len(with_flaws):
            flawed.append((bundle.detector.predict(with_flaws), exported.predict(with_flaws)))
        progress(sum(len(own.scores) for own, _ in good), len(images), "comparing with the bundle")
    check_images(bundle, names, _scores([own for own, _ in good]))
    own, other = (_scores([pair[i] for pair in (*good, *flawed)]) for i in (0, 1))
    count = sum(len(own.scores) for own, _ in good)
    defective = np.arange(len(own)) >= count
    return Parity(
        good=count,
        flawed=len(own) - count,
        largest_score_difference=float(np.abs(own - other).max()),
        mean_score_difference=float(np.abs(own - other).mean()),
        largest_map_difference=max(float((a.maps.cpu() - b.maps).abs().max()) for a, b in (*good, *flawed)),
        auroc=image_auroc(own, defective) if flawed else None,
        exported_auroc=image_auroc(other, defective) if flawed else None,
    )


def _scores(predictions: Sequence[Prediction]) -> np.ndarray:
    scores: np.ndarray = torch.cat([one.scores.cpu() for one in predictions]).double().numpy()
    return scores


def check_images(bundle: Bundle, names: Sequence[str], scores: np.ndarray) -> None:
    """Refuse images of which the bundle says something else than when it was trained.

    Raises:
        ExportError: Naming the first.
    """
    known = {
        image: score
        for table in (bundle.selection, bundle.calibration)
        for image, score in zip(table["image"], table["score"], strict=True)
    }
    for name, score in zip(names, scores, strict=True):
        if abs(score - known[name]) > _SAME_IMAGES * (1 + abs(known[name])):
            msg = (
                f"{name} is not the image that it was when {bundle.folder} was trained: it scores {score:.4g} instead "
                f"of {known[name]:.4g}; give the data set that it was trained on: --calibrate DATA"
            )
            raise ExportError(msg)
