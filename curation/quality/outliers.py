"""Suspected defects among the good: by a bundle's score, or by what is unusual about simple features."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import MinCovDet

from curation.quality.findings import Check, Finding
from curation.quality.near import unusual
from curation.quality.places import oddness
from curation.quality.table import Table
from learning.tails import FEWEST, outlying

_FEATURES = {
    "mean": "brightness",
    "contrast": "contrast",
    "fine": "finest detail",
    "sharpness": "fine detail",
    "darkest_spot": "a dark spot",
    "brightest_spot": "a bright spot",
}
_PATTERN = "the pattern as a whole"
_FITTED = 5000
_FEWEST_EACH = 10
"""Pictures for each feature that a covariance takes."""
_RANKED = 50


@dataclass(frozen=True)
class _Tells:
    """One way to tell what is unlike the others: values ``[N]``, why each is so, and words for both and the limit."""

    values: NDArray[np.float64]
    why: Sequence[str]
    words: str


def check_outliers(table: Table, rate: float, scores: NDArray[np.floating] | None = None) -> Check:
    """Find pictures that are called good, or have no label, and are unlike the others.

    Args:
        table: Of the whole set.
        rate: Probability that an ordinary picture is found.
        scores: ``[N]`` anomaly scores of a bundle, NaN where there are none; else robust distances of simple features
            are taken (P. Rousseeuw and K. Van Driessen, A fast algorithm for the minimum covariance determinant
            estimator, Technometrics 41, 1999), which see what is large or strong only, and how far a picture's oddest
            place is from the places of the others (``places.oddness``); half of the rate goes to each.

    Returns:
        The findings; and in the details the ``ranking``: first what was found, then all others by score or oddness.
        Where many are defective none is beyond what is usual, and the first ones are still those to look at.
    """
    good = np.array([not record.defective for record in table.records]) & table.readable
    good &= table.column("contrast") > 0
    places = np.flatnonzero(good)
    strata = table.strata[places]
    if scores is None:
        distances, why = _distances(table, places, strata)
        tells = [
            _Tells(
                distances, why, "{:.1f} robust deviations from the others, most in {why}; usual is below {limit:.1f}"
            ),
            _Tells(
                _oddness(table, places, strata),
                [""] * len(places),
                "one place is unlike those of the others: {:.2f}, usual is below {limit:.2f}",
            ),
        ]
    else:
        values = np.asarray(scores, dtype=np.float64)[places]
        words = "score {:.4g}, usual among the good is below {limit:.4g}"
        tells = [_Tells(values, [""] * len(places), words)]
    suspects: dict[int, Finding] = {}
    for one in tells:
        found = outlying(one.values, strata, rate / len(tells), 0.0, above=True)
        for at, limit in zip(found.index, found.limits, strict=True):
            value, place = float(one.values[at]), int(places[at])
            text = one.words.format(value, limit=limit, why=one.why[at])
            suspects.setdefault(place, Finding("suspect", [place], text, value, float(limit)))
    notes = [
        f"{f'camera {name}' if name else 'suspected defects'}: too few good pictures (under {FEWEST}) to tell"
        for name in found.few
    ]
    oddest = [int(places[at]) for at in np.argsort(-np.nan_to_num(tells[-1].values), kind="stable")]
    ranking = [*suspects, *(place for place in oddest if place not in suspects)][:_RANKED]
    by = "simple features" if scores is None else "score"
    return Check(list(suspects.values()), {"suspect": found.judged}, notes, {"ranking": ranking, "by": by})


def _oddness(table: Table, places: NDArray[np.intp], strata: NDArray[np.str_]) -> NDArray[np.float64]:
    """How odd the oddest place of each picture is among those of its camera; NaN where it is alone."""
    odd = np.full(len(places), np.nan)
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        if len(own) > 1:
            odd[own] = oddness(table.places[places[own]])
    return odd


def _distances(
    table: Table, places: NDArray[np.intp], strata: NDArray[np.str_]
) -> tuple[NDArray[np.float64], list[str]]:
    """Robust distance of each picture from the others of its camera, and the feature in which it is farthest."""
    pattern = np.sqrt((unusual(table.signatures[places], strata) ** 2).mean(axis=1)) if len(places) else np.empty(0)
    features = np.column_stack([*(table.column(name)[places] for name in _FEATURES), pattern]).astype(np.float64)
    names = [*_FEATURES.values(), _PATTERN]
    distances, why = np.full(len(places), np.nan), [""] * len(places)
    for stratum in np.unique(strata):
        own = np.flatnonzero(strata == stratum)
        if len(own) < FEWEST:
            distances[own] = np.nan
            continue
        scaled = unusual_features(features[own])
        distances[own] = _robust_distance(scaled)
        for at, row in zip(own, np.abs(scaled), strict=True):
            why[at] = names[int(row.argmax())]
    return distances, why


def unusual_features(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[N, D]`` in robust deviations from the median; a feature in which nothing differs counts nothing."""
    low, median, high = np.quantile(features, [0.25, 0.5, 0.75], axis=0)
    spread = (high - low) / 1.349
    usable = spread > 1e-9
    return np.where(usable, (features - median) / np.where(usable, spread, 1), 0.0)


def _robust_distance(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    used = scaled[:, scaled.any(axis=0)]
    if len(used) < _FEWEST_EACH * max(used.shape[1], 1):
        return np.asarray(np.sqrt((used**2).sum(axis=1)))
    chosen = np.random.default_rng(0).permutation(len(used))[:_FITTED]
    with warnings.catch_warnings():
        # Features that follow from each other leave the covariance without full rank: what is missing is ignored.
        warnings.simplefilter("ignore")
        fitted = MinCovDet(random_state=0).fit(used[chosen])
    return np.asarray(np.sqrt(np.maximum(fitted.mahalanobis(used), 0)))
