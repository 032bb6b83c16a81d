"""How far inspectors agree, beyond what chance alone would give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Cohen's kappa of two inspectors (Cohen, 1960).

    Args:
        first: What one said of each image, ``[N]``.
        second: What the other said of the same images, ``[N]``.

    Returns:
        At most 1, 0 for what chance would give; NaN where both say one and the same of every image, or without images.

    Raises:
        ValueError: If the lengths differ.
    """
    if len(first) != len(second):
        msg = f"two inspectors' answers to the same images have one length; got {len(first)} and {len(second)}"
        raise ValueError(msg)
    names = sorted({*first, *second})
    if len(names) < 2:
        return float("nan")
    from sklearn.metrics import cohen_kappa_score

    return float(cohen_kappa_score(first, second, labels=names))


def fleiss_kappa(counts: ArrayLike) -> float:
    """Fleiss' kappa of any number of inspectors (Fleiss, 1971).

    Images may have been answered by different numbers of inspectors: the agreement within each is averaged over
    images, as in the paper, and the shares of categories are taken over all answers. With equal numbers it is the
    paper's (and ``statsmodels``', which knows only that case).

    Args:
        counts: How many inspectors put image ``i`` into category ``j``, ``[N, K]``; images with less than two answers
            say nothing and are left out.

    Returns:
        At most 1, 0 for what chance would give; NaN where only one category was used, or no image has two answers.

    Raises:
        ValueError: If it is no table of counts.
    """
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or (table < 0).any():
        msg = f"counts are a table of images and categories, none below 0; got shape {table.shape}"
        raise ValueError(msg)
    table = table[table.sum(axis=1) >= 2]
    if not len(table):
        return float("nan")
    answers = table.sum(axis=1)
    observed = float(((table * (table - 1)).sum(axis=1) / (answers * (answers - 1))).mean())
    expected = float(((table.sum(axis=0) / table.sum()) ** 2).sum())
    return float("nan") if expected == 1 else (observed - expected) / (1 - expected)
