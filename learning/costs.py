"""The threshold of least expected cost, by parts that inspectors decided on. See docs/thresholds.md."""

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, yeojohnson, yeojohnson_normmax

from learning.errors import ConfigError

_LAMBDA = (-3.0, 5.0)
"""Where the power of the transform is held: a few scores can ask for any."""
_SILVERMAN = 1.06
_QUARTILES = 1.349
"""Between the quartiles of a normal distribution lie so many deviations."""

Floats = NDArray[np.float64]


def check_costs(escape: float, false_reject: float) -> None:
    """Refuse costs by which every part would be accepted, or every one rejected.

    Raises:
        ConfigError: If one is not above zero, or not finite.
    """
    if not (escape > 0 and false_reject > 0 and math.isfinite(escape + false_reject)):
        msg = f"costs must be above zero, for example 20 and 1; got {escape:g} and {false_reject:g}"
        raise ConfigError(msg)


def least_cost_value(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike, cost_escape: float, cost_false_reject: float
) -> float:
    """Threshold of the least estimated cost.

    Good parts are many near a threshold and are counted. Defective ones are few, and that none of them was met in some
    place does not say that none lies there: their scores are smoothed (see ``accepted_weight``).

    Args:
        scores: ``[N]`` decision scores of parts that an inspector decided on.
        labels: ``[N]``, true where defective.
        weights: ``[N]``, above zero: one over the probability with which a part was asked about, so that those asked
            about stand for all (Horvitz & Thompson, 1952).
        cost_escape: Of a defective part that is accepted.
        cost_false_reject: Of a good part that is rejected.

    Returns:
        A value between neighbouring scores, or one that rejects all or none. Where several cost the same the lowest
        is returned, as defects that nobody has met yet cost too.

        Between two neighbours nobody has decided on anything. Good parts are taken to thin out evenly from the lower
        to the higher one, and defective ones the other way: a share x of the way up costs
        ``cost_false_reject * (1 - x)**2 + cost_escape * x**2``, which is least at ``x = cost_false_reject /
        (cost_false_reject + cost_escape)``. The dearer an escape, the nearer to the parts that are accepted.

    Raises:
        ValueError: If lengths differ or are 0, a number is not finite, a weight not above zero or a cost negative.
    """
    values, defective = np.asarray(scores, dtype=np.float64).ravel(), np.asarray(labels, dtype=bool)
    weight = np.asarray(weights, dtype=np.float64)
    lengths = [len(values), len(defective), len(weight)]
    if len(set(lengths)) > 1 or not lengths[0]:
        msg = f"scores, labels and weights must be of one length above 0; got {lengths}"
        raise ValueError(msg)
    if not np.isfinite(values).all():
        msg = "scores must be finite"
        raise ValueError(msg)
    if not (np.isfinite(weight).all() and (weight > 0).all() and cost_escape >= 0 and cost_false_reject >= 0):
        msg = "weights must be above zero and finite, and costs not negative"
        raise ValueError(msg)
    levels, position = np.unique(values, return_inverse=True)
    good = np.bincount(position, weight * ~defective, minlength=len(levels))
    origin = float(np.median(values[~defective])) if not defective.all() else float(levels[0])
    # Of accepting the lowest 0, 1, …, all levels.
    rejected = good.sum() - np.concatenate([[0.0], np.cumsum(good)])
    accepted = np.concatenate([[0.0], accepted_weight(levels, values[defective], weight[defective], origin)])
    costs = cost_escape * accepted + cost_false_reject * rejected
    # Sums in another order differ in the last digits; that must not pick a higher value.
    best = int(np.flatnonzero(costs <= costs.min() + 1e-9 * max(1.0, float(np.abs(costs).max())))[0])
    if best == 0:
        return float(np.nextafter(levels[0], -np.inf))
    if best == len(levels):
        return float(levels[-1])
    low, high = float(levels[best - 1]), float(levels[best])
    # Not both are zero here: rejecting all would cost as little.
    share = cost_false_reject / (cost_escape + cost_false_reject)
    return min(low + (high - low) * share, float(np.nextafter(high, -np.inf)))


def accepted_weight(values: ArrayLike, scores: ArrayLike, weights: ArrayLike, origin: float) -> Floats:
    """How many defective parts lie at or below some values, estimated by a transformed, weighted kernel.

    How far scores lie above the origin is transformed so that it looks most like a normal distribution (Yeo & Johnson,
    2000), and smoothed there by normal kernels of Silverman's width (1986, eq. 3.28) for Kish's effective number of
    parts (Wand, Marron & Ruppert, 1991). So it matters little whether scores are odds, probabilities or distances, and
    not at all in which unit.

    Args:
        values: ``[V]`` thresholds.
        scores: ``[N]`` of defective parts; finite.
        weights: ``[N]``, above zero.
        origin: Of an ordinary good part.

    Returns:
        ``[V]``, from 0 to the sum of the weights. Where all parts have one score it is a step there.
    """
    at, own = np.asarray(values, dtype=np.float64).ravel(), np.asarray(scores, dtype=np.float64).ravel()
    weight = np.asarray(weights, dtype=np.float64).ravel()
    step: Floats = ((own <= at[:, None]) * weight).sum(axis=1)
    if len(np.unique(own)) < 2:
        return step
    unit = float(np.median(np.abs(own - origin)))  # not a deviation: one part far off would set it
    standard = (own - origin) / unit if unit > 0 else own
    if not (unit > 0 and np.isfinite(standard).all()):
        return step
    power = _power(standard)
    transformed = yeojohnson(standard, power)
    effective = weight.sum() ** 2 / (weight**2).sum()
    width = _SILVERMAN * _spread(transformed, weight) * effective**-0.2
    if not (np.isfinite(width) and width > 0):
        return step
    distances = (yeojohnson((at - origin) / unit, power)[:, None] - transformed) / width
    smooth: Floats = (norm.cdf(distances) * weight).sum(axis=1)
    return smooth


def _power(standard: Floats) -> float:
    if len(np.unique(standard)) < 3:
        return 1.0  # nothing to tell a skew by
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of powers far off, which are tried and not taken
        power = float(yeojohnson_normmax(standard))
    return float(np.clip(power, *_LAMBDA)) if np.isfinite(power) else 1.0


def _spread(values: Floats, weight: Floats) -> float:
    """Deviation, corrected for the effective number, and at most twice what the quartiles say: one may lie far off."""
    middle = (values * weight).sum() / weight.sum()
    variance = ((values - middle) ** 2 * weight).sum() / weight.sum()
    effective = weight.sum() ** 2 / (weight**2).sum()
    deviation = float(np.sqrt(variance * effective / max(effective - 1, 0.5)))
    low, high = np.quantile(values, [0.25, 0.75], weights=weight, method="inverted_cdf")
    return min(deviation, 2 * float(high - low) / _QUARTILES) if high > low else deviation
