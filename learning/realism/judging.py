"""Synthetic flaws beside confirmed defects: what is alike, what is missing, and what cannot be said."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from learning.errors import DataError
from learning.images.preprocessing import Preprocessing
from learning.progress import Progress, silent
from learning.realism.coverage import distances, nearest, within_manifold
from learning.realism.examples import Example, Examples
from learning.realism.features import Spot, bounded, embed_spots
from learning.realism.kernel_distance import KernelDistance, kernel_distance, split_half_distances

if TYPE_CHECKING:
    from learning.bundle import Bundle

Floats = NDArray[np.float64]

FEW = 10
"""Independent confirmed defects below which figures are anecdotes."""

_SHOWN = 3
"""Synthetic neighbours that are named for each real defect."""


@dataclass(frozen=True)
class Close:
    """A neighbour: where it is, what it is (``good`` for a good part), and how far (0..2)."""

    spot: Spot
    kind: str
    distance: float


@dataclass(frozen=True)
class Match:
    """A real defect and what is nearest to it.

    Attributes:
        real: The defect.
        synthetic: The nearest synthetic flaws, the nearest first.
        good: The nearest place of a good part.
        covered: Whether it lies in the synthetic manifold; None where that is not known.
    """

    real: Example
    synthetic: list[Close]
    good: Close
    covered: bool | None


@dataclass(frozen=True)
class Chance:
    """Distances between random halves of the real defects.

    Attributes:
        mean: Of the splits.
        high: 95 % of the splits lie below.
    """

    mean: float
    high: float


@dataclass(frozen=True)
class Space:
    """What the space of a detector says.

    Attributes:
        detector: Whose space.
        real_synthetic: Kernel distance between real and synthetic defects; None where it cannot be had.
        real_good: Between real defects and places of good parts.
        synthetic_good: Between synthetic defects and places of good parts.
        real_real: Between halves of the real ones; None for fewer than four independent ones.
        recall: Share of the real defects in the synthetic manifold.
        precision: Share of the synthetic defects in the real manifold.
        matches: Every real defect with its neighbours; first those that nothing synthetic is like.
        closest: How often each family was the nearest to a real defect.
    """

    detector: str
    real_synthetic: KernelDistance | None
    real_good: KernelDistance | None
    synthetic_good: KernelDistance | None
    real_real: Chance | None
    recall: float | None
    precision: float | None
    matches: list[Match] = field(default_factory=list)
    closest: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Realism:
    """All of it.

    Attributes:
        synthetic: What ``read_synthetic`` gave.
        real: What ``read_confirmed`` gave.
        space: None without a bundle.
        sentences: What can be said and what cannot, in words.
    """

    synthetic: Examples
    real: Examples
    space: Space | None
    sentences: list[str]


def judge_realism(
    synthetic: Examples, real: Examples, bundle: "Bundle | None" = None, seed: int = 0, progress: Progress = silent
) -> Realism:
    """Compare synthetic with confirmed defects.

    Args:
        synthetic: From ``read_synthetic``.
        real: From ``read_confirmed``; may be empty.
        bundle: Its detector gives the space of the distances; without one there are none.
        seed: Of the random halves.
        progress: Told how far it is.

    Raises:
        DataError: If the set has no visible flaw, the good images it was made from are not where they were, or the
            detector has no dense features.
    """
    if not synthetic.defects:
        msg = "the synthetic set has no visible flaw, so there is nothing to compare; make another one"
        raise DataError(msg)
    space = None
    if bundle is not None:
        dense = getattr(bundle.detector, "dense", None)
        if dense is None:
            msg = f"{bundle.folder} holds a {bundle.manifest.detector}, which has no dense features to compare by"
            raise DataError(msg)
        name = f"{bundle.manifest.detector}, weights {bundle.manifest.weights}"
        space = compare_in_space(synthetic.defects, real.defects, dense, bundle.preprocessing, name, seed, progress)
    return Realism(synthetic, real, space, in_words(real, space))


def compare_in_space(
    synthetic: Sequence[Example],
    real: Sequence[Example],
    dense: Callable[[Tensor], Tensor],
    preprocessing: Preprocessing,
    detector: str,
    seed: int = 0,
    progress: Progress = silent,
) -> Space:
    """Embed all defects, and the places of the synthetic ones in the images without them, and compare.

    Raises:
        DataError: If the good images that the flaws were painted on are not where they were.
    """
    missing = sorted({str(one.source) for one in synthetic if one.source is None or not one.source.is_file()})
    if missing:
        msg = (
            f"{len(missing)} good images that the set was made from are not where they were, {missing[0]} for one; "
            "put them back, or make the set again"
        )
        raise DataError(msg)
    spots = {
        "synthetic": [Spot(one.image, one.mask, one.measured.box) for one in synthetic],
        "good": [Spot(one.source, one.mask, one.measured.box) for one in synthetic if one.source],
        "real": [Spot(one.image, one.mask, one.measured.box) for one in real],
    }
    groups = {
        "synthetic": [one.group for one in synthetic],
        "good": [one.group for one in synthetic],
        # Named apart: what inspectors call a group has nothing to do with the file that a flaw was painted on.
        "real": [f"real/{one.group}" for one in real],
    }
    embedded = {
        name: embed_spots(places, dense, preprocessing, progress, f"embedding {name} places")
        for name, places in spots.items()
        if places
    }
    pulled = {name: bounded(rows, embedded["good"]) for name, rows in embedded.items()}

    def distance(first: str, second: str) -> KernelDistance | None:
        return kernel_distance(pulled[first], pulled[second], groups[first], groups[second])

    if not real:
        return Space(detector, None, None, distance("synthetic", "good"), None, None, None)
    halves = split_half_distances(pulled["real"], groups["real"], seed=seed)
    unit = {name: rows / np.sqrt(rows.shape[1]) for name, rows in pulled.items()}
    apart = {
        (first, second): distances(unit[first], unit[second], groups[first], groups[second])
        for first, second in (("real", "synthetic"), ("real", "good"), ("real", "real"), ("synthetic", "synthetic"))
    }
    covered = within_manifold(apart["real", "synthetic"], apart["synthetic", "synthetic"])
    precise = within_manifold(apart["real", "synthetic"].T, apart["real", "real"])
    matches = _matches(real, synthetic, spots, apart["real", "synthetic"], apart["real", "good"], covered)
    return Space(
        detector,
        distance("real", "synthetic"),
        distance("real", "good"),
        distance("synthetic", "good"),
        Chance(float(halves.mean()), float(np.quantile(halves, 0.95))) if len(halves) else None,
        None if covered is None else float(covered.mean()),
        None if precise is None else float(precise.mean()),
        matches,
        dict(Counter(match.synthetic[0].kind for match in matches if match.synthetic).most_common()),
    )


def _matches(
    real: Sequence[Example],
    synthetic: Sequence[Example],
    spots: dict[str, list[Spot]],
    to_synthetic: Floats,
    to_good: Floats,
    covered: NDArray[np.bool_] | None,
) -> list[Match]:
    neighbours, sound = nearest(to_synthetic, _SHOWN), nearest(to_good, 1)
    matches = [
        Match(
            one,
            [Close(spots["synthetic"][i], synthetic[i].kind, float(to_synthetic[n, i])) for i in neighbours[n]],
            Close(spots["good"][sound[n][0]], "good", float(to_good[n, sound[n][0]])),
            None if covered is None else bool(covered[n]),
        )
        for n, one in enumerate(real)
    ]
    return sorted(matches, key=lambda match: (match.covered is not False, -match.synthetic[0].distance))


def in_words(real: Examples, space: Space | None) -> list[str]:
    """Say what can be said and what cannot."""
    groups = len({one.group for one in real.defects})
    said = [_how_many(real, groups)]
    if space is None:
        said.append(
            "Without a bundle there is no space to compare in: sizes, contrasts and places are shown, kernel distances "
            "and neighbours are not. Give one with --bundle."
        )
        return said
    if not groups:
        return said
    if space.real_synthetic is not None:
        said.append(_distances(space.real_synthetic, space))
    uncovered = sum(match.covered is False for match in space.matches)
    if space.recall is not None:
        said.append(
            f"{len(space.matches) - uncovered} of {len(space.matches)} real defects lie within what the synthetic "
            f"flaws cover{'' if uncovered else ': none is left without a synthetic one close by'}."
        )
    like_good = sum(match.good.distance < match.synthetic[0].distance for match in space.matches)
    if like_good:
        said.append(
            f"{like_good} of {len(space.matches)} are more like a place of a good part than like any synthetic flaw."
        )
    return said


def _how_many(real: Examples, groups: int) -> str:
    if not groups:
        return (
            "Realism cannot be judged yet: there is no confirmed defect with a mask to compare with. What is shown "
            "says what was made and how it differs from good parts, not whether it looks like what this line produces."
        )
    if groups == 1:
        return (
            "One confirmed defect says how close the synthetic flaws come to it, and nothing about its kind: a kernel "
            "distance takes two independent ones, its error three, the distance of real to real four."
        )
    if groups < 4:
        return (
            f"With {groups} independent confirmed defects no distance of real to real can be had (it takes four), so "
            "there is nothing to hold the kernel distance against."
        )
    if groups < FEW:
        return f"{groups} independent confirmed defects are few: read every figure below as an anecdote."
    return f"{len(real.defects)} confirmed defects of {groups} independent parts are compared."


def _distances(measured: KernelDistance, space: Space) -> str:
    said = f"The kernel distance between real and synthetic is {_with_error(measured)}"
    if space.real_good is not None:
        said += f"; between real defects and good parts it is {_with_error(space.real_good)}"
    if space.real_real is None:
        return said + "."
    alike = measured.value <= space.real_real.high
    verdict = (
        "so that with so many they cannot be told apart" if alike else "so that more than chance lies between them"
    )
    return (
        f"{said}. Two random halves of the real defects differ by up to {space.real_real.high:.3f} by chance alone, "
        f"{verdict}."
    )


def _with_error(measured: KernelDistance) -> str:
    return f"{measured.value:.3f}" + ("" if measured.error is None else f" ± {measured.error:.3f}")
