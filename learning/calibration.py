"""Decision scores of the good parts that calibrate a bundle, with the fallback where one is switched on."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from learning.errors import BundleError
from learning.fusion import fuse
from learning.scoring import load_fallback
from learning.thresholds import Threshold

if TYPE_CHECKING:
    from learning.bundle import Bundle


def calibration_decisions(bundle: "Bundle", threshold: Threshold) -> pd.DataFrame:
    """Score the calibration parts as the threshold would have them scored.

    Args:
        bundle: A loaded bundle.
        threshold: Says whether a fallback takes part.

    Returns:
        Columns image, part, group, score and decision_score. With a fallback, groups whose images are not all embedded
        are left out: which are embedded was drawn by a seed, so that those that stay are as good a sample.

    Raises:
        BundleError: If the fallback is damaged, or needs more than the embeddings that a bundle keeps.
    """
    table = bundle.calibration
    fallback = load_fallback(bundle, threshold)
    if fallback is None or fallback.scale is None:
        return table.assign(decision_score=table["score"])
    if fallback.needs_dense:
        msg = (
            f"fallback {threshold.fallback} of {bundle.folder} looks at images and not at embeddings alone; set its "
            "threshold with flawsmith retrain --max-false-reject"
        )
        raise BundleError(msg)
    names, embeddings = bundle.embeddings("calibration")
    row = table["image"].map({image: i for i, image in enumerate(names)})
    whole = table[~table["group"].isin(table.loc[row.isna(), "group"])]
    seen = embeddings[row[whole.index].to_numpy(dtype=np.int64)]
    fused = fuse(whole["score"].to_numpy(dtype=np.float64), fallback.predict(seen), fallback.scale)
    return whole.assign(decision_score=fused)
