"""Verdicts of the ledger as the parts that a promise is worked out from, weighted by how they were chosen."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curation.by_hand import BY_HAND, NOT_DRAWN, is_no_sample
from curation.defect_classes import known_classes, severity_of
from integrations.deciding import decision_scores
from learning.errors import DataError
from learning.promises import DEFECTIVE, Labelled
from learning.sampling import AUDIT_SHARE

if TYPE_CHECKING:
    from curation.ledger import AskRow, ImageRow, Ledger, Resolution, ScoreRow
    from learning.bundle import Bundle


@dataclass(frozen=True)
class LabelledParts:
    """What a ledger has to make a promise from.

    Attributes:
        labelled: The parts that count.
        left_out: Parts with verdicts that do not, by the reason.
        unanswered: Questions of the same draws that are still open; the promise takes them for a random share of all.
        other_defects: Parts that count and are defective, but not of the kind that the promise is about.
    """

    labelled: Labelled
    left_out: dict[str, int]
    unanswered: int
    other_defects: int = 0


@dataclass(frozen=True)
class Counted:
    """Which defects a promise about escapes is about; by default all.

    Attributes:
        name: Their class, in the inspectors' words.
        critical: Only critical ones.
    """

    name: str | None = None
    critical: bool = False

    @property
    def words(self) -> str:
        """What parts with such a defect are called."""
        kind = f"critically {DEFECTIVE}" if self.critical else DEFECTIVE
        return kind if self.name is None else f"{kind} of class {self.name!r}"

    def holds(self, resolution: "Resolution") -> bool | None:
        """Whether an image shows such a defect by its verdicts; None where they do not say, or not with one voice."""
        if resolution.state != "defect":
            return False if resolution.state == "good" else None
        named = {verdict.defect_class for verdict in resolution.verdicts if verdict.defect_class}
        is_class = self.name is None or (None if not named else self.name in named)
        if is_class and self.name is not None and len(named) > 1:
            is_class = None
        severity = severity_of(resolution)
        is_critical = not self.critical or (None if severity is None else severity == "critical")
        if is_class is False or is_critical is False:
            return False
        return True if is_class and is_critical else None


ALL_DEFECTS = Counted()


@dataclass(frozen=True)
class _Chosen:
    score: float
    defective: bool
    unresolved: bool
    group: str
    probability: float
    wave: tuple[str, datetime] | None


def labelled_parts(
    ledger: "Ledger", bundle: "Bundle", random_sample: bool = False, counted: Counted = ALL_DEFECTS
) -> LabelledParts:
    """Collect the parts about which a promise of a bundle may be made.

    Parts count that trained nothing and chose nothing: no image of the bundle; where confirmed defects trained it, or
    verdicts a fallback, only what was said afterwards. A part that an earlier draw could have chosen and passed over is
    left out: its later probability says nothing of the stream, but only of what the earlier draw had left.

    Scores are as one threshold for all cameras and lots has them, whatever values of their own decided.

    Args:
        ledger: With scores of the bundle and verdicts.
        bundle: Whose threshold is to promise.
        random_sample: Take the parts about which nobody was asked, imported labels, which are a simple random sample.
            By default those that were asked about count, weighted by their inclusion probabilities.
        counted: Which defects the promise is about. Parts with others stay in, as if they were good, so that the sample
            stays what it was; those whose class or severity nobody has named are unresolved.

    Raises:
        DataError: If the ledger has no scores of the bundle, or no verdict names such a class.
    """
    from curation.frozen import held_back_groups
    from curation.second_looks import chosen_first

    _check_named(ledger, counted)
    history = ledger.scores(latest=False)
    images = {image.image_id: image for image in ledger.images()}
    scores = _decision_scores(history, bundle, images)
    held = held_back_groups(ledger)
    asks = {ask.ask_id: ask for ask in ledger.asks()}
    chosen_by = chosen_first(asks.values())
    scored_at: dict[tuple[str, str], datetime] = {}
    for row in history:
        scored_at.setdefault((row.model_id, images[row.image_id].part), row.recorded_at)
    waves = sorted({(ask.created_at, ask.model_id) for ask in asks.values() if ask.strategy not in NOT_DRAWN})

    highest: dict[str, float] = {}
    for image_id, score in scores.items():
        part = images[image_id].part
        highest[part] = max(score, highest.get(part, -np.inf))
    resolved: dict[str, list[Resolution]] = {}
    for one in ledger.resolved():
        resolved.setdefault(images[one.image_id].part, []).append(one)
    made_of = _learnt_from(bundle)
    learnt = {image.part for image in images.values() if Path(image.path).resolve() in made_of}
    since = _counts_since(bundle)

    chosen, left_out, others = [], Counter[str](), 0
    for part, verdicts in resolved.items():
        if part not in highest:
            continue  # of another camera, or scored by another model only
        answers = [verdict for one in verdicts for verdict in one.verdicts]
        asked = [chosen_by[v.ask_id] for v in answers if v.ask_id is not None]
        first = min(
            (ask for ask in asked if ask.strategy not in NOT_DRAWN), key=lambda ask: ask.created_at, default=None
        )
        by_hand = any(ask.strategy == BY_HAND for ask in asked) or any(is_no_sample(v.source) for v in answers)
        reason = ""
        if images[verdicts[0].image_id].group in held:
            reason = "are set aside for judging challengers"
        elif part in learnt:
            reason = "are among the parts that made the model"
        elif since is not None and any(v.at <= since for one in verdicts for v in one.verdicts):
            reason = "were decided on before the model or its fallback had learnt from verdicts"
        elif first is None and by_hand:
            reason = "were chosen by hand, not by a draw"
        elif random_sample and first is not None:
            reason = "were asked about, so that they are no random sample"
        elif not random_sample and first is None:
            reason = "were not asked about (if they are a random sample, say --random-sample)"
        elif first is not None and _passed_over(part, first, waves, scored_at):
            reason = "had been passed over by an earlier draw"
        if reason:
            left_out[reason] += 1
            continue
        shown = [counted.holds(one) for one in verdicts]
        others += not any(word is not False for word in shown) and any(one.state == "defect" for one in verdicts)
        chosen.append(
            _Chosen(
                score=highest[part],
                defective=True in shown,
                unresolved=True not in shown and None in shown,
                group=images[verdicts[0].image_id].group,
                probability=1.0 if first is None else first.inclusion_probability,
                wave=None if first is None else (first.model_id, first.created_at),
            )
        )
    used = {one.wave for one in chosen}
    open_ = sum(ask.state in ("created", "pushed") and (ask.model_id, ask.created_at) in used for ask in asks.values())
    least = _least_probabilities({wave for wave in used if wave}, asks.values(), images, scored_at)
    labelled = replace(_labelled(chosen, least), kind=counted.words)
    return LabelledParts(labelled, dict(left_out), 0 if random_sample else open_, others)


def _check_named(ledger: "Ledger", counted: Counted) -> None:
    if counted.name is None:
        return
    named = {verdict.defect_class for verdict in ledger.verdicts() if verdict.defect_class}
    if counted.name not in named:
        there = f"named are: {', '.join(known_classes(ledger))}" if named else "none is named"
        msg = f"no verdict in the ledger names the class {counted.name!r}; {there}"
        raise DataError(msg)


def _decision_scores(
    history: Iterable["ScoreRow"], bundle: "Bundle", images: Mapping[str, "ImageRow"]
) -> dict[str, float]:
    """The latest decision score of each image, made with the fallback that is on now, and not shifted."""
    one_value = bundle.thresholds.current().model_copy(update={"origins": None})
    scores = decision_scores(bundle, history, images, one_value)
    if not scores:
        msg = (
            f"the ledger has no scores of {bundle.folder} under its current fallback: run flawsmith score "
            f"{bundle.folder} IMAGES --ledger …"
        )
        raise DataError(msg)
    return scores


def _learnt_from(bundle: "Bundle") -> set[Path]:
    names = [*bundle.embeddings("train")[0], *bundle.selection["image"], *bundle.calibration["image"]]
    return {Path(name).resolve() for name in names}


def _counts_since(bundle: "Bundle") -> datetime | None:
    """When verdicts last taught something that decides: those before it are no test of it."""
    current = bundle.thresholds.current()
    times = [bundle.manifest.created] if bundle.manifest.defects.used else []
    if current.fallback is not None:
        times.append(next(t.created for t in bundle.thresholds.all() if t.fallback == current.fallback))
    return max((datetime.fromisoformat(time) for time in times), default=None)


def _passed_over(
    part: str,
    ask: "AskRow",
    waves: list[tuple[datetime, str]],
    scored_at: Mapping[tuple[str, str], datetime],
) -> bool:
    """Whether there was an earlier draw, the part having been scored by then."""
    return any(
        time < ask.created_at and (model, part) in scored_at and scored_at[model, part] <= time for time, model in waves
    )


def _least_probabilities(
    waves: set[tuple[str, datetime]],
    asks: Iterable["AskRow"],
    images: Mapping[str, "ImageRow"],
    scored_at: Mapping[tuple[str, str], datetime],
) -> dict[tuple[str, datetime], float]:
    """The least probability that the design of each draw gave to any part: the audits' even share."""
    rows = [ask for ask in asks if ask.strategy not in NOT_DRAWN]
    least = {}
    for model, time in waves:
        # Of a part, several exposures may have been asked about: it was drawn once.
        drawn = len({images[ask.image_id].part for ask in rows if (ask.model_id, ask.created_at) == (model, time)})
        before = {images[ask.image_id].part for ask in rows if ask.created_at < time}
        there = {part for (by, part), at in scored_at.items() if by == model and at <= time} - before
        least[model, time] = 1.0 if drawn >= len(there) else AUDIT_SHARE * drawn / len(there)
    return least


def _labelled(chosen: list[_Chosen], least: Mapping[tuple[str, datetime], float]) -> Labelled:
    probabilities = np.array([one.probability for one in chosen])
    waves = {one.wave for one in chosen}
    even = not len(chosen) or bool(np.allclose(probabilities, probabilities[0], rtol=1e-9, atol=0))
    is_random = even and (len(waves) < 2 or bool(np.allclose(probabilities, 1)))
    return Labelled(
        scores=np.array([one.score for one in chosen], dtype=np.float64),
        defective=np.array([one.defective for one in chosen], dtype=bool),
        groups=np.array([one.group for one in chosen], dtype=str),
        weights=None if is_random else 1 / probabilities,
        largest_weight=1.0 if is_random else 1 / min([*least.values(), probabilities.min()]),
        unresolved=np.array([one.unresolved for one in chosen], dtype=bool),
    )
