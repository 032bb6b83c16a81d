"""Near twins of images about which nobody has said anything: a proposal to give them their verdict, never a deed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curation.errors import LedgerError
from curation.likeness import Seen, drawn, nearest_other
from curation.lookalikes import Lookalike, described, latest_score
from learning.intervals import clopper_pearson
from learning.tails import FEWEST

if TYPE_CHECKING:
    from curation.ledger import Ledger

MOST = 200
ASKED = 1000
"""Images that say how near the nearest is; where there are more, as many are drawn."""
_WRONG = 0.05
_AT_ONCE = 64


@dataclass(frozen=True)
class Limit:
    """How near a twin has to be.

    Attributes:
        distance: At most, 0 to 2.
        text: Where it comes from.
    """

    distance: float
    text: str


@dataclass(frozen=True)
class Proposal:
    """What is proposed.

    Attributes:
        image_ids: The images whose verdict would spread.
        verdict: ``good`` or ``defect``.
        twins: Images without a verdict that are near enough to one of them, the nearest first.
        limit: How near that is.
        judged: Near ones that have a verdict already, or are unresolved.
        contested: Near ones that are nearer to an image with the other verdict.
    """

    image_ids: tuple[str, ...]
    verdict: str
    twins: tuple[Lookalike, ...]
    limit: Limit
    judged: int
    contested: int

    @property
    def text(self) -> str:
        """In words."""
        of = "an image that is" if len(self.image_ids) == 1 else f"{len(self.image_ids)} images that are"
        count = len(self.twins)
        found = f"{count} near twins" if count > 1 else "one near twin" if count else "no near twin"
        own, other = ("defective", "good") if self.verdict == "defect" else ("good", "defective")
        return (
            f"{found} without a verdict, of {of} {own}; {self.judged} near ones have a verdict, "
            f"{self.contested} are nearer to one that is {other}. Near is a distance up to "
            f"{self.limit.distance:.3f}: {self.limit.text}. Nothing was written"
        )


def propose_twins(
    ledger: Ledger, image_ids: Sequence[str], most: int = MOST, distance: float | None = None
) -> Proposal:
    """Say which images without a verdict could be given that of some images. Nothing is written.

    Distances are 1 - cosine of what is unusual about embeddings beside good parts (``curation.likeness``): raw ones of
    parts that all look alike hardly differ. Twins are looked for among all images that the model saw which saw the
    first of these last. What is nearer to an image with the other verdict is left out.

    Args:
        ledger: With embeddings, and a verdict on the images.
        image_ids: Whose verdict; it has to be the same.
        most: At most so many twins.
        distance: How near they have to be, 0 to 2; by default learnt from the ledger, see ``limit_of``.

    Raises:
        LedgerError: An image is unknown, has no verdict that counts, another one than the first, or no embedding; or
            there are too few images to learn from.
    """
    image_ids = tuple(dict.fromkeys(image_ids))
    seen = Seen(ledger, latest_score(ledger, image_ids[0]).model_id)
    verdict = _verdict_of(ledger, seen, image_ids)
    ids = seen.embedded.ids
    if distance is None and not (seen.standardised and len(ids) >= FEWEST):
        msg = f"the good images that model {seen.model_id} saw are too few to tell how near twins are: say how near"
        raise LedgerError(msg)
    unit = seen.unusual(ids)
    groups = seen.groups_of(ids)
    states = np.array([seen.states.get(key, "") for key in ids])
    limit = limit_of(unit, groups, states, verdict) if distance is None else Limit(distance, "as given")
    own = np.isin(ids, image_ids)
    away = _to_nearest(unit, unit[own])
    near = np.flatnonzero((away <= limit.distance) & ~own)
    free = near[states[near] == ""]
    contested = _to_nearest(unit[free], unit[np.isin(states, ["good", "defect"]) & (states != verdict)]) < away[free]
    chosen = free[~contested]
    chosen = chosen[np.argsort(away[chosen], kind="stable")][:most]
    found = {ids[row]: float(away[row]) for row in chosen}
    twins = tuple(described(ledger, found, seen.states, seen.decisions))
    return Proposal(image_ids, verdict, twins, limit, len(near) - len(free), int(contested.sum()))


def _verdict_of(ledger: Ledger, seen: Seen, image_ids: Sequence[str]) -> str:
    """The verdict that images share."""
    verdicts = []
    for key in image_ids:
        verdict = seen.states.get(key)
        if verdict not in ("good", "defect"):
            said = "inspectors do not agree about" if verdict else "nobody has said anything about"
            msg = f"{said} {ledger.image(key).path}, so that there is nothing to spread: mark it first"
            raise LedgerError(msg)
        if key not in seen.embedded:
            msg = f"model {seen.model_id} has left no embedding of {ledger.image(key).path}: score it again"
            raise LedgerError(msg)
        verdicts.append(verdict)
    if len(set(verdicts)) > 1:
        good = verdicts.count("good")
        msg = f"{good} of these are good and {len(verdicts) - good} defective: spread one verdict at a time"
        raise LedgerError(msg)
    return verdicts[0]


def limit_of(
    unit: NDArray[np.floating], groups: NDArray[np.str_], states: NDArray[np.str_], verdict: str, seed: int = 0
) -> Limit:
    """Learn how near twins are.

    From verdicts, where they tell: as far as, of the images with a verdict whose nearest other one with a verdict has
    the one that is spread, at most 1 in 20 has another. Where nearly all are good that would hold at any distance; so
    these may be at most 1 in 20 of all with the other verdict too, and it is no farther than half of all images are
    from their nearest. Under ``FEWEST`` of either there is no telling; then it is so near that only 1 in 20 images has
    another so near. Images of one group are not compared.

    Args:
        unit: ``[N, D]`` of length 1.
        groups: ``[N]``.
        states: ``[N]`` ``good``, ``defect``, or anything else.
        verdict: Which is spread.
        seed: Of the images that are drawn where there are many.
    """
    rng = np.random.default_rng(seed)
    some = drawn(len(unit), ASKED, rng)
    _, strangers = nearest_other(unit[some], unit, groups[some], groups)
    judged = np.flatnonzero(np.isin(states, ["good", "defect"]))
    some = judged[drawn(len(judged), ASKED, rng)]
    away: NDArray[np.float64] = np.empty(0)
    wrong: NDArray[np.bool_] = np.empty(0, dtype=bool)
    if len(judged):
        rows, away = nearest_other(unit[some], unit[judged], groups[some], groups[judged])
        like = (states[judged][rows] == verdict) & (away <= np.median(strangers))
        order = np.argsort(away[like], kind="stable")
        away, wrong = away[like][order], (states[some] != verdict)[like][order]
    counts = np.arange(1, len(away) + 1)
    errors = np.cumsum(wrong)
    others = int((states[some] != verdict).sum())
    # One error more than was seen, as the distance is chosen by these very images (conformal risk control).
    kept = (errors + 1 <= _WRONG * (counts + 1)) & (errors <= _WRONG * others)
    fine = np.flatnonzero(kept & (counts >= FEWEST) & (others >= FEWEST))
    if len(fine):
        last = fine[-1]
        known = f"of {counts[last]} images whose nearest one with a verdict is {verdict} and so near"
        _, most = clopper_pearson(int(errors[last]), int(counts[last]))
        sure = f"{errors[last]} are not, so that up to {100 * most:.0f} % of those proposed may be otherwise"
        return Limit(float(away[last]), f"{known}, {sure}")
    return Limit(
        float(np.quantile(strangers, _WRONG)),
        "only 1 in 20 images has one of another group so near; there are too few verdicts on near ones to tell more",
    )


def _to_nearest(unit: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distances ``[N]`` to the nearest of ``[M, D]``; infinite where there is none."""
    found = np.full(len(unit), np.inf)
    for start in range(0, len(others), _AT_ONCE):
        np.minimum(found, 1 - (unit @ others[start : start + _AT_ONCE].T).max(axis=1), out=found)
    return np.maximum(found, 0)
