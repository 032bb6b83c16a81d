"""A threshold for each camera or lot, where the calibration parts of it carry one. See docs/thresholds.md."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learning.errors import BundleError, PromiseError
from learning.thresholds import (
    OriginKind,
    OriginLimit,
    Origins,
    Promise,
    conformal_threshold,
    needed_groups,
    percent,
)

_SHOWN = 3


def origin_names(table: pd.DataFrame, by: OriginKind) -> NDArray[np.object_]:
    """``[N]`` camera or lot of each image of a calibration table, None where unknown.

    Raises:
        BundleError: If the table is of a bundle from before they were kept.
    """
    if by not in table:
        msg = (
            f"this bundle does not know the {by} of its calibration parts, as it was made before that was kept: train "
            f"again, from a CSV with the column {by}"
        )
        raise BundleError(msg)
    return np.array([name if isinstance(name, str) else None for name in table[by]], dtype=object)


def thresholds_by_origin(
    calibration: pd.DataFrame, by: OriginKind, max_false_reject: float, confidence: float = 0.95
) -> tuple[float, Promise, Origins]:
    """A threshold for each camera or lot with groups enough for the limit, and one that all others share.

    Each own value is ``conformal_threshold`` of the groups with images from there, by those images alone. The shared
    one is the highest of: all own values, what all groups together give, and every score of an image whose camera or
    lot has no value of its own. So it keeps the limit

    - for parts in the mix of the calibration parts, as it is no lower than what all groups together give;
    - for any mix of those with own values, no part being seen by several, with the full confidence: let ``q`` be the
      highest of the scores that a share ``max_false_reject`` of the good parts of each exceeds. The limit breaks only
      where the shared value lies below ``q``, hence only where the own value of the one that has this ``q`` does, which
      has its own promise.

    Args:
        calibration: Columns group, camera, lot and decision_score, not shifted.
        by: What tells them apart.
        max_false_reject: In (0, 1).
        confidence: In (0, 1), of each promise by itself.

    Returns:
        The shared value, what it promises, and the own values.

    Raises:
        PromiseError: If no camera or lot has groups enough, naming how many more each takes.
        BundleError: If no calibration image names its camera or lot.
        ConfigError: If the limit or the confidence is not between 0 and 1.
    """
    names = origin_names(calibration, by)
    known = sorted({name for name in names if name is not None})
    if not known:
        msg = f"no calibration part of this bundle names its {by}: train again, from a CSV with the column {by}"
        raise BundleError(msg)
    needed = needed_groups(max_false_reject, confidence)
    scores = {name: _by_group(calibration[names == name]) for name in known}
    lacking = {name: needed - len(own) for name, own in scores.items() if len(own) < needed}
    if len(lacking) == len(known):
        raise _none_has_enough(
            {name: len(own) for name, own in scores.items()}, by, needed, max_false_reject, confidence
        )
    overlap = _several_origins(calibration, names)
    limits = {}
    for name in known:
        if name not in lacking:
            value, promise = conformal_threshold(scores[name], max_false_reject, confidence)
            limits[name] = OriginLimit(value, _of_one(promise, f"{by} {name}", overlap))
    together, promise = conformal_threshold(_by_group(calibration), max_false_reject, confidence)
    sharing = calibration["decision_score"].to_numpy(dtype=np.float64)[[name not in limits for name in names]]
    shared = max([together, *(own.value for own in limits.values()), *sharing.tolist()])
    text = f"{promise.text}, in their mix of {by}s"
    if not overlap:
        text += f" or any mix of {_listed(by, list(limits))}"
    promise = replace(promise, text=text)
    return shared, promise, Origins(by, limits, lacking, _of_all(limits, by, max_false_reject, confidence, overlap))


def _by_group(calibration: pd.DataFrame) -> NDArray[np.float64]:
    highest = calibration.groupby("group", sort=True)["decision_score"].max()
    return highest.to_numpy(dtype=np.float64)


def _several_origins(calibration: pd.DataFrame, names: NDArray[np.object_]) -> bool:
    """Whether a group has images of several cameras or lots."""
    named = pd.DataFrame({"group": calibration["group"].to_numpy(), "name": names}).dropna()
    return bool((named.groupby("group")["name"].nunique() > 1).any())


def _of_one(promise: Promise, name: str, overlap: bool) -> Promise:
    alone = " by its pictures alone" if overlap else ""
    return replace(promise, text=promise.text.replace("good parts rejected", f"good parts of {name} rejected{alone}"))


def _of_all(limits: dict[str, OriginLimit], by: OriginKind, limit: float, confidence: float, overlap: bool) -> str:
    text = (
        f"each of {_listed(by, list(limits))} has a value and a promise of its own: at most {percent(limit)} of its "
        f"good parts rejected, with {percent(confidence)} confidence for each by itself"
    )
    if len(limits) > 1:
        at_once = 1 - len(limits) * (1 - confidence)
        of_all = f"{_rounded_down(at_once)} confidence" if at_once > 0 else "no confidence is stated"
        text += f" (that all {len(limits)} hold at once: {of_all})"
    if overlap:
        text += f"; parts that several {by}s see are rejected if one of them does, so that their limits add up"
    return text


def _none_has_enough(
    groups: dict[str, int], by: OriginKind, needed: int, limit: float, confidence: float
) -> PromiseError:
    most = sorted(groups, key=lambda name: (-groups[name], name))
    there = ", ".join(f"{name} {groups[name]}" for name in most[:_SHOWN]) + _more(len(most))
    best = groups[most[0]]
    msg = (
        f"at most {percent(limit)} of good parts of one {by} rejected, with {percent(confidence)} confidence, takes "
        f"{needed} independent calibration groups of that {by}, and none has them ({there}): add {needed - best} more "
        f"of {most[0]}, promise less, or leave out --by"
    )
    return PromiseError(msg, needed=needed, available=best)


def _listed(by: OriginKind, names: list[str]) -> str:
    return f"{by} {', '.join(names[:_SHOWN])}{_more(len(names))}"


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""


def _rounded_down(share: float) -> str:
    return f"{np.floor(share * 1e4 + 1e-6) / 100:g} %"
