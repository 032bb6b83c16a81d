"""Which images to ask about: drawn by the sampling design, written into the ledger before anything is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from curation.by_hand import BY_HAND, NOT_DRAWN
from integrations.daily import DailyBudget, answers_of_the_day
from integrations.deciding import comparable_scores
from integrations.evidence import collect_evidence
from learning.errors import DataError
from learning.sampling import DEFAULT, draw_asks

if TYPE_CHECKING:
    from curation.ledger import ImageRow, Ledger
    from learning.bundle import Bundle

OPEN = ("created", "pushed")
DESIGN = "and audits, one of each part, randomised systematic"
"""Of the draw, after the name of the strategy."""

RETURNED = "returned"
"""Reason of asks about parts that a customer sent back and nobody has marked the defect of."""


@dataclass(frozen=True)
class Asking:
    """How questions are chosen.

    Attributes:
        budget: Questions that may be open at once.
        seed: Of the draw.
        batch: Only images that were scored under this name; by default all.
        strategy: One of ``learning.sampling.STRATEGIES``.
        daily: How many inspectors there are, and how much each may be asked in a day; None is no limit.
        exposures: Ask about every exposure of a part that is drawn, and not only about the one that decides.
    """

    budget: int
    seed: int = 0
    batch: str | None = None
    strategy: str = DEFAULT
    daily: DailyBudget | None = None
    exposures: bool = False


def top_up_each(ledger: "Ledger", bundles: Sequence["Bundle"], asking: Asking, now: datetime | None = None) -> int:
    """Draw as many asks as it takes until the budget is open, an even share of it about the cameras of each bundle.

    What one does not need, as its parts were all asked about, goes to those after it. Parts that customers sent back
    and nobody has marked come first, then what people chose by hand and what is open already; the draw gets the rest.
    Parts that have been asked about before are left out, so that running it again asks nothing twice.

    Args:
        ledger: With scores of each bundle.
        bundles: Whose scores and thresholds decide what is borderline.
        asking: How they are chosen.
        now: The time, by which answers of the day are counted.

    Returns:
        The number of new asks.

    Raises:
        DataError: If the ledger has no scores of one of the bundles.
        ConfigError: If there is no such strategy, or it cannot be used with what the ledger has.
    """
    new, left = 0, asking.budget
    if asking.daily is not None:
        # What is open counts against it below: never is more open than can be answered today.
        left = min(left, asking.daily.left(answers_of_the_day(ledger, now or datetime.now(UTC))))
    for place, bundle in enumerate(bundles):
        share = -(-left // (len(bundles) - place))
        returned = _ask_about_returned(ledger, bundle)
        drawn, waiting = _top_up(ledger, bundle, share, asking)
        new += returned + drawn
        left -= min(share, drawn + waiting)
    return new


def _ask_about_returned(ledger: "Ledger", bundle: "Bundle") -> int:
    """Ask where the defect is in parts that were sent back without a mask; each once, whatever the budget."""
    from curation.ledger import AskEntry
    from curation.regressions import standing_cases

    images = {image.image_id: image for image in ledger.images()}
    cameras = {images[row.image_id].camera for row in ledger.scores(model_id=bundle.fingerprint)}
    asked = {ask.image_id for ask in ledger.asks() if ask.state != "withdrawn"}
    marked = {one.image_id for one in ledger.verdicts() if one.regions_mask is not None}
    new = [
        case.image_id
        for case in standing_cases(ledger)
        if case.image_id not in asked | marked and images[case.image_id].camera in cameras | {None}
    ]
    version = bundle.thresholds.current().version
    if new:
        ledger.create_asks([AskEntry(key, RETURNED, 1.0, BY_HAND, bundle.fingerprint, version) for key in new])
    return len(new)


def _top_up(ledger: "Ledger", bundle: "Bundle", budget: int, asking: Asking) -> tuple[int, int]:
    """Number of asks that were drawn, and of those that were open before."""
    from curation.ledger import AskEntry

    threshold = bundle.thresholds.current()
    rows = ledger.scores(model_id=bundle.fingerprint, batch=asking.batch)
    if not rows:
        where = f" in batch {asking.batch!r}" if asking.batch else ""
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
    # Recorded under other versions of the threshold, they may have been shifted otherwise.
    scores = comparable_scores(ledger, bundle, rows, images, threshold)
    if not scores:
        msg = (
            f"the ledger has scores of {bundle.folder} under thresholds of another fallback and other cameras' values "
            f"only: run flawsmith score {bundle.folder} IMAGES --ledger … again"
        )
        raise DataError(msg)
    candidates = [row for row in rows if row.image_id in scores and images[row.image_id].part not in parts_asked]
    shown = _images_of_parts([row.image_id for row in candidates], images)
    # Whole parts are drawn even where all their exposures are asked about: the probability is the part's.
    each = max((len(keys) for keys in shown.values()), default=1) if asking.exposures else 1
    evidence = collect_evidence(ledger, bundle, [row.image_id for row in candidates])
    draws = draw_asks(
        [scores[row.image_id] for row in candidates],
        threshold.value,
        [images[row.image_id].part for row in candidates],
        max(0, budget - open_) // each,
        seed=asking.seed,
        strategy=asking.strategy,
        embeddings=evidence.embeddings,
        opinions=evidence.opinions,
        known=evidence.known,
        trained=evidence.trained,
    )
    strategy = f"{asking.strategy}{'' if evidence.embeddings is not None else ' without embeddings'} {DESIGN}"
    entries = []
    for draw in draws:
        image_id = candidates[draw.index].image_id
        for key in shown[images[image_id].part] if asking.exposures else [image_id]:
            entries.append(
                AskEntry(
                    image_id=key,
                    reason=draw.reason,
                    inclusion_probability=draw.inclusion_probability,
                    strategy=strategy,
                    model_id=bundle.fingerprint,
                    threshold_version=threshold.version,
                    seed=asking.seed,
                )
            )
    return (len(ledger.create_asks(entries)) if entries else 0), open_


def _images_of_parts(image_ids: Sequence[str], images: dict[str, "ImageRow"]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in dict.fromkeys(image_ids):
        found.setdefault(images[key].part, []).append(key)
    return found
