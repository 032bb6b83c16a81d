"""Which images to ask about: drawn by the sampling design, written into the ledger before anything is sent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from curation.by_hand import NOT_DRAWN
from learning.errors import DataError
from learning.sampling import draw_asks

if TYPE_CHECKING:
    from curation.ledger import Ledger
    from learning.bundle import Bundle

OPEN = ("created", "pushed")
STRATEGY = "borderline and audits, one of each part, randomised systematic"


def top_up_each(
    ledger: "Ledger", bundles: Sequence["Bundle"], budget: int, seed: int = 0, batch: str | None = None
) -> int:
    """``top_up_asks`` for several bundles, each of which gets an even share of the budget.

    What one does not need, as its parts were all asked about, goes to those after it.

    Raises:
        DataError: If the ledger has no scores of one of the bundles.
    """
    new = 0
    for place, bundle in enumerate(bundles):
        share = -(-budget // (len(bundles) - place))
        drawn, waiting = _top_up(ledger, bundle, share, seed, batch)
        new += drawn
        budget -= min(share, drawn + waiting)
    return new


def top_up_asks(ledger: "Ledger", bundle: "Bundle", budget: int, seed: int = 0, batch: str | None = None) -> int:
    """Draw as many asks as it takes until ``budget`` of them are open about the cameras that a bundle scored.

    Parts that have been asked about before are left out, so that running it again asks nothing twice.

    Args:
        ledger: With scores of this bundle.
        bundle: Whose scores and threshold decide what is borderline.
        budget: Questions that inspectors may have open at once.
        seed: Of the draw.
        batch: Only images that were scored under this name; by default all.

    Returns:
        The number of new asks.

    Raises:
        DataError: If the ledger has no scores of this bundle.
    """
    return _top_up(ledger, bundle, budget, seed, batch)[0]


def _top_up(ledger: "Ledger", bundle: "Bundle", budget: int, seed: int, batch: str | None) -> tuple[int, int]:
    """Number of asks that were drawn, and of those that were open before."""
    from curation.ledger import AskEntry

    threshold = bundle.thresholds.current()
    rows = ledger.scores(model_id=bundle.fingerprint, batch=batch)
    if not rows:
        where = f" in batch {batch!r}" if batch else ""
        msg = (
            f"the ledger has no scores of {bundle.folder}{where}: run flawsmith score {bundle.folder} IMAGES --ledger …"
        )
        raise DataError(msg)
    asks = ledger.asks()
    images = {image.image_id: image for image in ledger.images()}
    cameras = {images[row.image_id].camera for row in rows}
    open_ = sum(ask.state in OPEN and images[ask.image_id].camera in cameras for ask in asks)
    # What no draw chose can still be drawn: else promises would be about the parts that nobody noticed.
    asked = {
        ask.image_id for ask in asks if ask.state in OPEN or (ask.state == "answered" and ask.strategy not in NOT_DRAWN)
    }
    # By part, not by group: a group may be a whole lot, of which one image would ever be asked about.
    parts_asked = {images[image_id].part for image_id in asked}
    candidates = [row for row in rows if images[row.image_id].part not in parts_asked]
    draws = draw_asks(
        [row.decision_score for row in candidates],
        threshold.value,
        [images[row.image_id].part for row in candidates],
        max(0, budget - open_),
        seed=seed,
    )
    entries = [
        AskEntry(
            image_id=candidates[draw.index].image_id,
            reason=draw.reason,
            inclusion_probability=draw.inclusion_probability,
            strategy=STRATEGY,
            model_id=bundle.fingerprint,
            threshold_version=threshold.version,
            seed=seed,
        )
        for draw in draws
    ]
    return (len(ledger.create_asks(entries)) if entries else 0), open_
