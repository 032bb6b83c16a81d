"""How a challenger comes to be: from which weights, on which parts, and with which threshold. See docs/champion.md."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learning.bundle import MANIFEST, Bundle, by_group
from learning.calibration import calibration_decisions
from learning.challenge import ChallengeConfig
from learning.continuing import check_continuable
from learning.detectors import Budget
from learning.errors import BundleError, DataError, PromiseError
from learning.images.records import GOOD, ImageRecord
from learning.manifest import TrainingSet
from learning.origins import thresholds_by_origin
from learning.progress import Progress, silent
from learning.relearn import Confirmed, Costs, relearn
from learning.starts import Start
from learning.thresholds import (
    FromSomewhere,
    OriginKind,
    Origins,
    Threshold,
    conformal_threshold,
    smallest_promise,
)
from learning.training import train_on_records

if TYPE_CHECKING:
    from curation.ledger import Ledger, SetMember, SetRow
    from curation.set_versions import Roles
    from learning.config import TrainConfig

FIRST_THRESHOLD = 1
"""Version of the threshold that training set."""

_DEFECT = "defect"
"""Label of a confirmed defect of no named kind."""


@dataclass(frozen=True)
class Options:
    """How a challenger is trained.

    Attributes:
        budget: Of the training.
        config: Detector and split; None for the champion's.
        seed: Of the training.
        device: ``cpu`` or ``cuda``.
        groups: Which images belong together, as for training.
    """

    budget: Budget
    config: "TrainConfig | None" = None
    seed: int = 0
    device: str = "cpu"
    groups: str | None = None


def start_of(champion: Bundle, options: Options, rules: ChallengeConfig) -> Bundle | None:
    """The model that a challenger goes on from, if it does.

    Raises:
        ConfigError: If it is to, and cannot.
    """
    if rules.start is Start.CHAMPION:
        check_continuable(champion, options.config or champion.manifest.config)
        return champion
    can = champion.detector.tunable and options.config is None
    return champion if can and rules.start is Start.AUTO else None


def refuse_nothing_new(ledger: "Ledger", start: Bundle, good: Sequence[ImageRecord], training: "SetRow") -> None:
    """Refuse to go on from a model that has learnt from all there is, or from good parts that are not there any more.

    The latter would be forgotten: nobody could tell later that it must not be judged on them.

    Raises:
        DataError: Saying which.
    """
    own = start.manifest.training_set
    if own is not None and own.fingerprint == training.fingerprint:
        msg = (
            f"the champion has learnt from all of {training.name} already: there is nothing new to go on with; confirm "
            "more parts, or train from scratch (--start scratch)"
        )
        raise DataError(msg)
    there = {record.path.resolve() for record in good}
    there |= {member.path.resolve() for roles in _learnt(ledger, start) for member in roles.confirmed_good}
    gone = [name for name in start.embeddings("train")[0] if Path(name).resolve() not in there]
    if gone:
        msg = (
            f"{len(gone)} of the good parts that the champion was trained on are not in the data, such as {gone[0]}: "
            "give them too, or train from scratch (--start scratch)"
        )
        raise DataError(msg)


def train_challenger(
    ledger: "Ledger",
    champion: Bundle,
    training: "SetRow",
    roles: "Roles",
    good: Sequence[ImageRecord],
    home: Path,
    options: Options,
    rules: ChallengeConfig,
    start: Bundle | None = None,
    progress: Progress = silent,
) -> Bundle:
    """Train on a version, and set the threshold by what did not train; a challenger that is whole is taken as it is.

    Its promise is the champion's, or the smallest that its calibration parts carry, if that is more. With ``start`` its
    weights go on from that model's. Where the champion has values of their own for cameras or lots, it gets them too,
    if its calibration parts carry any. ``good`` are good parts of the data set, which know their cameras and lots.
    """
    config = options.config or champion.manifest.config
    limit = _limit(champion)
    origins = champion.thresholds.current().origins
    rule = [
        training.name,
        config.model_dump_json(),
        str(options.budget),
        str(options.seed),
        str(limit),
        str(rules.costs),
        *([start.fingerprint] if start else []),
        *([origins.by] if origins else []),
    ]
    digest = hashlib.sha256("\n".join(rule).encode()).hexdigest()[:8]
    folder = home / "challengers" / f"{training.name}-{digest}"
    if (folder / MANIFEST).is_file():
        bundle = Bundle.load(folder, device=options.device)
    else:
        known = origins_known(ledger, good)
        bundle = train_on_records(
            [record_of(member, known) for member in roles.good],
            folder,
            config=config,
            budget=options.budget,
            seed=options.seed,
            device=options.device,
            confirmed_good=[record_of(member, known) for member in roles.confirmed_good],
            defects=bank_of(ledger, roles, progress),
            pictures=pictures_of(ledger, roles) if start else (),
            training_set=TrainingSet(name=training.name, fingerprint=training.fingerprint),
            start=start,
            progress=progress,
        )
    # Not whether there is a second one: the disk may have been full before it was made current.
    if bundle.thresholds.current().version == FIRST_THRESHOLD:
        # What is new may have taught the weights nothing (from scratch, defects without a mask do not): then this is a
        # model that the ledger knows, with the threshold of another version.
        bundle.thresholds.reserve(max((row.version for row in ledger.thresholds(bundle.fingerprint)), default=0))
        # Of another share, some of them may have taught the weights that this model went on from.
        taught = groups_that_taught(ledger, bundle)
        untaught = [member for member in roles.threshold if member.group not in taught]
        _set_threshold(bundle, untaught, limit, rules, options.seed, progress)
    # By its parent it is the one that was just set, or was when this was ended, and no later one.
    if origins is not None and bundle.thresholds.current().parent == FIRST_THRESHOLD:
        _set_own_values(bundle, origins.by, limit)
    return bundle


def groups_that_taught(ledger: "Ledger", bundle: Bundle) -> frozenset[str]:
    """Groups with verdicts that taught a bundle, or the weights it began with: they tell nothing of its threshold."""
    return frozenset().union(*(roles.taught for roles in _learnt(ledger, bundle)))


def _learnt(ledger: "Ledger", bundle: Bundle) -> list["Roles"]:
    """Training-set versions of a bundle and of those whose weights it went on from, as far as the ledger knows them."""
    from curation.set_versions import roles_of

    made_of = bundle.manifest
    named = [made_of.training_set, *(made_of.started.training_sets if made_of.started else ())]
    known = {row.name for row in ledger.sets("training")}
    return [roles_of(ledger.set_version(one.name)) for one in named if one is not None and one.name in known]


def bank_of(ledger: "Ledger", roles: "Roles", progress: Progress) -> Any:
    """Confirmed defects of a version, as a source of flaws."""
    from curation.confirmed_defects import harvest
    from curation.frozen import held_back_groups

    chosen = {member.image_id for member in roles.defects}
    bank = harvest(ledger, without_groups=held_back_groups(ledger), progress=progress).bank
    return bank.where(lambda defect: defect.image in chosen)


def pictures_of(ledger: "Ledger", roles: "Roles") -> list[ImageRecord]:
    """Confirmed defects of a version as they were photographed, with masks where there are any that can be read.

    Left out are pictures that are gone or were changed, and groups that are held back by now.
    """
    from curation.confirmed_regions import confirmed_regions
    from curation.frozen import held_back_groups
    from curation.ledger.files import image_id_of

    held = held_back_groups(ledger)
    chosen = {one.image_id: one for one in roles.defects if one.group not in held}
    regions, _ = confirmed_regions(ledger, only_images=chosen)
    drawn = {one.image.image_id: one for one in regions}
    records = []
    for image_id, member in sorted(chosen.items()):
        region = drawn.get(image_id)
        if region is None and not (member.path.is_file() and image_id_of(member.path) == image_id):
            continue
        label, mask = (region.label, region.mask) if region else ("", None)
        records.append(ImageRecord(member.path, label or _DEFECT, "train", mask, member.group, member.part))
    return records


def origins_known(ledger: "Ledger", good: Sequence[ImageRecord] = ()) -> dict[str, FromSomewhere]:
    """Which camera and lot images are of: by their id, as the ledger says, and by their path, as records do."""
    known: dict[str, FromSomewhere] = {image.image_id: image for image in ledger.images()}
    return known | {str(record.path.resolve()): record for record in good if record.camera or record.lot}


def record_of(member: "SetMember", known: Mapping[str, FromSomewhere]) -> ImageRecord:
    """A member of a set as a good part to train on, with camera and lot by ``origins_known``."""
    record = replace(ImageRecord(path=member.path), label=GOOD, split="train", part=member.part, group=member.group)
    origins = [known[key] for key in (str(member.path), member.image_id) if key in known]
    camera = next((origin.camera for origin in origins if origin.camera), None)
    lot = next((origin.lot for origin in origins if origin.lot), None)
    return replace(record, camera=camera, lot=lot)


def _set_threshold(
    bundle: Bundle, members: Sequence["SetMember"], limit: float, rules: ChallengeConfig, seed: int, progress: Progress
) -> None:
    groups = by_group(bundle.calibration)
    current = bundle.thresholds.current()
    carried = _carried(bundle, limit)
    known = set(bundle.calibration["group"]) | set(bundle.selection["group"])
    confirmed = [
        Confirmed(m.path, m.part, m.group, m.state == "defect", m.weight, m.mask)
        for m in members
        if m.group not in known
    ]
    costs = Costs(rules.costs.escape, rules.costs.false_reject)
    if not relearn(bundle, confirmed, costs, seed, progress, carried).report["changed"]:
        value, promise = conformal_threshold(groups, carried, current.promise.confidence)
        text = "the champion's promise, by the calibration parts; too few confirmed parts to weigh costs by"
        bundle.thresholds.add(Threshold(value=value, promise=promise, reason=text, parent=current.version))


def _set_own_values(bundle: Bundle, by: OriginKind, limit: float) -> None:
    """A value for each camera or lot, with the fallback that was chosen; one for all where parts are too few."""
    current = bundle.thresholds.current()
    calibration = calibration_decisions(bundle, current)
    limit, confidence = _carried(bundle, limit), current.promise.confidence
    origins: Origins | None = None
    try:
        value, promise, origins = thresholds_by_origin(calibration, by, limit, confidence)
        reason = f"a value for each {by}, as the champion has them, by the calibration parts"
    except (BundleError, PromiseError) as why:
        value, promise = current.value, current.promise
        reason = f"{current.reason}; one value for every {by}, unlike the champion's: {why}"
    bundle.thresholds.add(
        Threshold(
            value=value,
            promise=promise,
            fallback=current.fallback,
            reason=reason,
            parent=current.version,
            origins=origins,
        )
    )


def _carried(bundle: Bundle, limit: float) -> float:
    confidence = bundle.thresholds.get(FIRST_THRESHOLD).promise.confidence
    return max(limit, smallest_promise(len(by_group(bundle.calibration)), confidence))


def _limit(champion: Bundle) -> float:
    promise = champion.thresholds.current().promise
    return promise.limit if promise.kind == "false_reject" else 0.0
