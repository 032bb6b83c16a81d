"""Thresholds and what they promise, counted in independent groups. See docs/thresholds.md."""

import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from pydantic.dataclasses import dataclass
from scipy.stats import beta, binom

from learning.errors import BundleError, ConfigError, PromiseError
from learning.sealed import file_sha256, read_sealed, seal, write_sealed

_CURRENT = "current.json"
_TAKEN = "taken.json"
_ROUNDING = 1e-9
"""Relative tolerance of probabilities that are compared with a confidence."""


@dataclass(frozen=True)
class Promise:
    """What a threshold is known to keep.

    Attributes:
        kind: ``false_reject``: at most ``limit`` of the good groups hold a part that is rejected; ``escape``: at most
            ``limit`` of the defective parts are accepted; ``cost``: wrong decisions cost at most ``limit`` a part.
        limit: 0..1; of a cost, in the unit of the costs.
        confidence: 0..1; how often, over repeated calibrations, the limit holds.
        groups: Independent groups that it was worked out from.
        text: The promise in plain words.
        reading_error: Share of the parts that inspectors are taken to read wrongly at most.
        defects: Which defective parts an ``escape`` is about, in words; empty where it is about all of them.
    """

    kind: Literal["false_reject", "escape", "cost"]
    limit: float
    confidence: float
    groups: int
    text: str
    reading_error: float = 0.0
    defects: str = ""


OriginKind = Literal["camera", "lot"]


class FromSomewhere(Protocol):
    """An image of which it may be known where it comes from."""

    @property
    def camera(self) -> str | None:
        """Where known."""

    @property
    def lot(self) -> str | None:
        """Where known."""


@dataclass(frozen=True)
class OriginLimit:
    """The threshold of one camera or lot.

    Attributes:
        value: On the scale of scores before they are shifted, see ``Threshold.shifted``.
        promise: What it keeps of this camera's or lot's good parts, by itself.
    """

    value: FiniteFloat
    promise: Promise


@dataclass(frozen=True)
class Origins:
    """Values of their own for cameras or lots whose good parts score differently. See docs/thresholds.md.

    Attributes:
        by: What tells them apart.
        limits: By name; one at least.
        lacking: Those with calibration groups, but too few for a value of their own: how many more it takes.
        text: What holds of each and of all, in plain words.
    """

    by: OriginKind
    limits: dict[str, OriginLimit]
    lacking: dict[str, int]
    text: str

    def name_of(self, image: FromSomewhere) -> str | None:
        """The camera or lot of an image; None where it is unknown."""
        name: str | None = getattr(image, self.by)
        return name

    def of(self, image: FromSomewhere) -> OriginLimit | None:
        """What an image's camera or lot has of its own; None where the shared value decides."""
        name = self.name_of(image)
        return None if name is None else self.limits.get(name)

    def about(self, image: FromSomewhere, shared: str) -> str:
        """What decides about an image and what it promises, in words.

        Args:
            image: Says where it comes from.
            shared: What the value promises that those without one of their own share.
        """
        name, own = self.name_of(image), self.of(image)
        if own is not None:
            return f"{own.promise.text} ({self.by} {name} has a value of its own, {own.value:.4g} before the shift)"
        if name is None:
            return f"{shared} (the shared value, as its {self.by} is unknown)"
        few = self.lacking.get(name)
        why = "had no calibration groups" if few is None else f"had {few} calibration groups too few for its own"
        return f"{shared} (the shared value, as {self.by} {name} {why})"


class Threshold(BaseModel):
    """A score above which a part is rejected, and why it is this one.

    Attributes:
        version: Number in the bundle, from 1; 0 until it is stored.
        value: A part is rejected when its decision score is above it.
        promise: What it keeps; with ``origins``, of images that have no value of their own.
        fallback: Name of the supervised fallback that takes part in the decision score, or None.
        fallback_files: SHA-256 of that fallback's files, by their path in the bundle; set when it is stored.
        created: UTC, ISO 8601.
        reason: Why it was set, in words.
        parent: Version that it followed, or None.
        review_up_to: Parts that are rejected with a score up to this one are for a person to decide; None where the
            threshold decides alone.
        review_promise: What holds of the parts above ``review_up_to``.
        origins: Values of their own for cameras or lots; None where one value is for all. Decision scores are shifted
            by them, so that everything goes on comparing with ``value``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(default=0, ge=0)
    value: FiniteFloat
    promise: Promise
    # It names a folder, so it must not lead out of the bundle.
    fallback: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$")
    fallback_files: dict[str, str] = Field(default_factory=dict)
    created: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    reason: str = ""
    parent: int | None = None
    review_up_to: FiniteFloat | None = None
    review_promise: Promise | None = None
    origins: Origins | None = None

    @property
    def words(self) -> str:
        """All that it promises."""
        return self.promise.text if self.origins is None else f"{self.promise.text}; {self.origins.text}"

    def shifted(self, score: float, image: FromSomewhere) -> float:
        """The decision score of an image: above ``value`` if the score is above what its camera or lot has of its own.

        Args:
            score: Of detector and fallback together, or of the detector.
            image: Says where it comes from.
        """
        return score if self.origins is None else self.shifted_of(score, self.origins.name_of(image))

    def shifted_of(self, score: float, name: str | None) -> float:
        """As ``shifted``, of a camera or lot by name; None where it is unknown."""
        own = self.origins.limits.get(name) if self.origins is not None and name is not None else None
        # In this order a score that is no higher than the own value never ends above the shared one by rounding.
        return score if own is None else self.value + (score - own.value)

    def needs_review(self, decision_score: float) -> bool:
        """Whether a person decides about a part with this score."""
        return self.review_up_to is not None and self.value < decision_score <= self.review_up_to


class ThresholdStore:
    """Versions of a threshold in a folder: ``0001.json`` and on, and ``current.json`` that names one of them.

    Safe for several processes: each version is written once, whole, and only then made current.

    Args:
        folder: Made when the first threshold is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, threshold: Threshold) -> int:
        """Store a threshold under the next version, make it current, and return that version.

        Its ``version`` is set; its ``parent`` is the current version, unless it names one. A fallback that it names
        has to lie in the bundle by now.

        Raises:
            BundleError: If the folder is damaged.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        parent = threshold.parent
        # Not whether there are versions: another process may have stored the first one, and not made it current yet.
        if parent is None and (self.folder / _CURRENT).is_file():
            parent = self.current().version
        while True:
            version = max([*self._versions(), self._taken()]) + 1
            files = self._fallback_files(threshold.fallback)
            stored = threshold.model_copy(update={"version": version, "parent": parent, "fallback_files": files})
            try:
                write_sealed(self._file(version), stored.model_dump(mode="json"), exclusive=True)
            except FileExistsError:
                continue  # another process was quicker; take the next version
            current = version
            self.use(current)
            # Another process may have stored a newer one meanwhile; looking after the change, not before it, leaves the
            # newest current whichever of them was the last.
            while current != (newest := max(self._versions())):
                current = newest
                self.use(current)
            return version

    def reserve(self, version: int) -> None:
        """Leave versions up to this one to another folder, which holds the same model: the next one comes after it."""
        write_sealed(self.folder / _TAKEN, {"version": version})

    def use(self, version: int) -> None:
        """Make a stored version current again.

        Raises:
            BundleError: If there is no such version, or it is damaged.
        """
        self.get(version)
        # What the file holds, not what this version of flawsmith makes of it: a later one may know more fields.
        content = read_sealed(self._file(version))
        write_sealed(self.folder / _CURRENT, {"version": version, "threshold": seal(content)})

    def current(self) -> Threshold:
        """Return the threshold in use.

        Raises:
            BundleError: If there is none, or a file is damaged.
        """
        named = read_sealed(self.folder / _CURRENT)
        threshold = self.get(int(named.get("version", 0)))
        if seal(read_sealed(self._file(threshold.version))) != named.get("threshold"):
            msg = f"{self._file(threshold.version)} is not the file that {_CURRENT} names; restore it from a copy"
            raise BundleError(msg)
        return threshold

    def get(self, version: int) -> Threshold:
        """Return a version.

        Raises:
            BundleError: If there is no such version, or it is damaged.
        """
        if version not in self._versions():
            there = ", ".join(map(str, self._versions())) or "none"
            msg = f"{self.folder} has no threshold {version}; there are: {there}"
            raise BundleError(msg)
        try:
            threshold = Threshold.model_validate(read_sealed(self._file(version)))
        except ValidationError as error:
            msg = f"{self._file(version)} is not a threshold that this version of flawsmith can read"
            raise BundleError(msg) from error
        if threshold.version != version:
            msg = f"{self._file(version)} holds version {threshold.version}; restore it from a copy"
            raise BundleError(msg)
        return threshold

    def all(self) -> list[Threshold]:
        """Return every version, oldest first.

        Raises:
            BundleError: If one is damaged.
        """
        return [self.get(version) for version in self._versions()]

    def _taken(self) -> int:
        file = self.folder / _TAKEN
        return int(read_sealed(file)["version"]) if file.is_file() else 0

    def _versions(self) -> list[int]:
        names = [file.stem for file in self.folder.glob("*.json")] if self.folder.is_dir() else []
        return sorted(int(name) for name in names if re.fullmatch(r"\d{4,}", name))

    def _fallback_files(self, name: str | None) -> dict[str, str]:
        bundle = self.folder.parent
        folder = bundle / "fallbacks" / name if name else None
        files = sorted(file for file in folder.rglob("*") if file.is_file()) if folder else []
        return {file.relative_to(bundle).as_posix(): file_sha256(file) for file in files}

    def _file(self, version: int) -> Path:
        return self.folder / f"{version:04d}.json"


def smallest_promise(n_groups: int, confidence: float = 0.95) -> float:
    """Least false-reject limit that ``n_groups`` carry, by their highest score: ``1 - (1 - confidence)^(1/n)``."""
    return -math.expm1(math.log1p(-confidence) / n_groups)


def needed_groups(max_false_reject: float, confidence: float = 0.95) -> int:
    """Fewest groups that carry a false-reject limit: 299 for 1 % with 95 % confidence.

    Raises:
        ConfigError: If the limit or the confidence is not between 0 and 1.
    """
    _check_shares(max_false_reject, confidence)
    needed = max(1, math.ceil(math.log1p(-confidence) / math.log1p(-max_false_reject)))
    # The logarithms may be off by one at the edge; the binomial probability decides.
    while needed > 1 and _keeps(0, needed - 1, max_false_reject, confidence):
        needed -= 1
    while not _keeps(0, needed, max_false_reject, confidence):
        needed += 1
    return needed


def conformal_threshold(
    group_scores: ArrayLike, max_false_reject: float, confidence: float = 0.95
) -> tuple[float, Promise]:
    """Lowest calibration score that keeps a false-reject limit with the confidence given.

    The k-th highest of n scores is exceeded by a new group with a probability that is Beta(k, n - k + 1), or less
    where scores tie (training-conditional split conformal prediction: Vovk, 2012). It stays below the limit with the
    confidence given if at most ``1 - confidence`` of Binomial(n, limit) lies below k. The largest such k is taken.

    Args:
        group_scores: ``[n]``, the highest score in each good group; groups must be independent, and nothing else
            may have been chosen with them.
        max_false_reject: In (0, 1).
        confidence: In (0, 1).

    Returns:
        The value, a part being rejected when its score is *above* it, and the promise.

    Raises:
        PromiseError: If it takes more groups, naming how many more.
        ConfigError: If the limit or the confidence is not between 0 and 1.
    """
    scores = _checked(group_scores)
    needed = needed_groups(max_false_reject, confidence)
    if len(scores) < needed:
        could = f", which carry {percent(smallest_promise(len(scores), confidence))}" if len(scores) else ""
        msg = (
            f"at most {percent(max_false_reject)} of good parts rejected, with {percent(confidence)} confidence, takes "
            f"{needed} independent calibration groups; there are {len(scores)}{could}: "
            f"add {needed - len(scores)} more, or promise less"
        )
        raise PromiseError(msg, needed=needed, available=len(scores))
    kept = _keeps(np.arange(len(scores)), len(scores), max_false_reject, confidence)
    rank = max(1, int(kept.sum()))  # kept is true up to some number of exceedances, and false from there on
    value = float(np.sort(scores)[::-1][rank - 1])
    return value, _promise(max_false_reject, confidence, len(scores))


def smallest_promise_threshold(group_scores: ArrayLike, confidence: float = 0.95) -> tuple[float, Promise]:
    """Highest calibration score, and the smallest promise that it carries.

    Raises:
        PromiseError: If there are no groups.
        ConfigError: If the confidence is not between 0 and 1.
    """
    scores = _checked(group_scores)
    _check_shares(0.5, confidence)
    if not len(scores):
        msg = "a promise takes at least 1 calibration group; there are none"
        raise PromiseError(msg, needed=1, available=0)
    return float(scores.max()), _promise(smallest_promise(len(scores), confidence), confidence, len(scores))


def false_reject_bound(group_scores: ArrayLike, value: float, confidence: float = 0.95) -> Promise:
    """Promise of a value that was chosen *without* these scores: the exact upper bound (Clopper & Pearson, 1934).

    Args:
        group_scores: ``[n]``, the highest score in each good group.
        value: The threshold.
        confidence: In (0, 1), one-sided.
    """
    scores = _checked(group_scores)
    _check_shares(0.5, confidence)
    above = int((scores > value).sum())
    bound = float(beta.ppf(confidence, above + 1, len(scores) - above)) if above < len(scores) else 1.0
    return _promise(bound, confidence, len(scores))


def percent(share: float) -> str:
    """A limit in words, rounded up to 1/100 %, so that no more is promised than holds."""
    return f"{math.ceil(share * 1e4 - 1e-6) / 100:g} %"


def _keeps(exceedances: int | NDArray[np.int64], n: int, limit: float, confidence: float) -> NDArray[np.bool_]:
    """Whether so many of n above a threshold keep the limit: an array of the shape of ``exceedances``.

    Rounding must not take away the smallest promise that n groups carry, hence the tolerance.
    """
    return np.asarray(binom.cdf(np.asarray(exceedances), n, limit) <= (1 - confidence) * (1 + _ROUNDING))


def _promise(limit: float, confidence: float, groups: int) -> Promise:
    text = (
        f"at most {percent(limit)} of good parts rejected, with {percent(confidence)} confidence, "
        f"from {groups} independent calibration groups"
    )
    return Promise("false_reject", limit, confidence, groups, text)


def _check_shares(max_false_reject: float, confidence: float) -> None:
    for name, value in [("the false-reject limit", max_false_reject), ("the confidence", confidence)]:
        if not 0 < value < 1:
            msg = f"{name} is {value}; it must lie between 0 and 1, for example 0.01 and 0.95"
            raise ConfigError(msg)


def _checked(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64).ravel()
    if not np.isfinite(values).all():
        msg = "scores must be finite"
        raise ValueError(msg)
    return values
