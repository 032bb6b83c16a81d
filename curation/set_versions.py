"""Training-set versions: what a model is to learn from, and how two versions differ."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from curation.frozen import held_back, place_of, refuse_changed, resolved_members
from curation.ledger import Ledger, SetMember, SetRow, SetVersion
from curation.ledger.files import image_id_of
from learning.images.records import ImageRecord


@dataclass(frozen=True)
class Comparison:
    """How one version differs from another.

    Attributes:
        first: Name of the one.
        second: Name of the other.
        added: Members of the second that the first has not.
        removed: Members of the first that the second has not.
        changed: Pairs of members of the same image of which something else is said.
        unchanged: Number of the rest.
    """

    first: str
    second: str
    added: tuple[SetMember, ...]
    removed: tuple[SetMember, ...]
    changed: tuple[tuple[SetMember, SetMember], ...]
    unchanged: int

    def lines(self) -> list[str]:
        """In words, one difference a line."""
        found = [f"+ {_words(member)}" for member in self.added]
        found += [f"- {_words(member)}" for member in self.removed]
        found += [f"~ {before.path}: {_change(before, after)}" for before, after in self.changed]
        return found


def compare(first: SetVersion, second: SetVersion) -> Comparison:
    """Say how the second version differs from the first; images are the same by content."""
    before = {member.image_id: member for member in first.members}
    after = {member.image_id: member for member in second.members}
    both = sorted(before.keys() & after.keys())
    changed = [(before[key], after[key]) for key in both if _facts(before[key]) != _facts(after[key])]
    return Comparison(
        first.row.name,
        second.row.name,
        tuple(after[key] for key in sorted(after.keys() - before.keys())),
        tuple(before[key] for key in sorted(before.keys() - after.keys())),
        tuple(changed),
        len(both) - len(changed),
    )


@dataclass(frozen=True)
class Roles:
    """What the members of a training-set version are for.

    Attributes:
        good: Good parts of the data set: they train, select and calibrate.
        confirmed_good: Good parts that inspectors were asked about: they train.
        defects: Confirmed defects: those with a mask are a source of flaws.
        threshold: Confirmed parts that train nothing, and set the threshold and the fallback.
    """

    good: tuple[SetMember, ...]
    confirmed_good: tuple[SetMember, ...]
    defects: tuple[SetMember, ...]
    threshold: tuple[SetMember, ...]

    @property
    def taught(self) -> frozenset[str]:
        """Groups with verdicts that trained the model."""
        return frozenset(member.group for member in (*self.confirmed_good, *self.defects))


def roles_of(version: SetVersion) -> Roles:
    """Deal the members out, by the names of their groups."""
    share = float(json.loads(version.row.rule).get("threshold_share", 0))
    said = [member for member in version.members if member.verdicts]
    threshold = [member for member in said if place_of(member.group, "threshold") < share]
    training = [member for member in said if place_of(member.group, "threshold") >= share]
    return Roles(
        tuple(member for member in version.members if not member.verdicts),
        tuple(member for member in training if member.state == "good"),
        tuple(member for member in training if member.state == "defect"),
        tuple(threshold),
    )


def new_since_last(ledger: Ledger, camera: str = "") -> int:
    """Number of images about which something else is confirmed than when a challenger of a camera last learnt from it.

    What was said before its training set was made is not new, nor, in groups that are held back, what was said before
    it was judged: of those, groups that have trained a model and images chosen by hand are in no frozen set either.
    """
    resolved = resolved_members(ledger, camera)
    learnt = [one for one in ledger.challenges(camera) if one.training_set is not None]
    if not learnt:
        return len(resolved)
    training, frozen = (ledger.set_version(str(name)) for name in (learnt[-1].training_set, learnt[-1].frozen_set))
    known = {(one.image_id, one.verdicts) for one in (*training.members, *frozen.members)}
    held = held_back(ledger)
    last_said = {verdict.image_id: verdict.recorded_at for verdict in ledger.verdicts()}

    def is_new(member: SetMember) -> bool:
        seen = learnt[-1].at if held is not None and member.group in held else training.row.created_at
        return (member.image_id, member.verdicts) not in known and last_said[member.image_id] > seen

    return sum(map(is_new, resolved))


def make_training_set(
    ledger: Ledger,
    good: Sequence[ImageRecord],
    camera: str = "",
    threshold_share: float = 0.3,
    name: str | None = None,
    note: str = "",
) -> tuple[SetRow, int]:
    """Make a version of good parts of a data set and all that inspectors confirmed, without what is held back.

    Args:
        ledger: With verdicts.
        good: Good parts of the data set; copies of a picture count once.
        camera: Of the verdicts; empty for all.
        threshold_share: Of the groups with verdicts, those that set the threshold and do not train.
        name: Of the version; by default made of its fingerprint.
        note: Free text.

    Returns:
        The version, and how many images of the data set were left out as they are held back.

    Raises:
        LedgerError: If the name is taken by other members.
        DataError: If a file is gone or was changed since its verdict.
    """
    held = held_back(ledger)
    frozen = {m.image_id for row in ledger.sets("frozen") for m in ledger.set_version(row.name).members}
    groups = held.frozen if held else frozenset()
    members: dict[str, SetMember] = {}
    left_out = 0
    for record in good:
        image_id = image_id_of(record.path)
        # Only what is in a frozen set: of what will be frozen, groups that train are left out.
        if image_id in frozen or record.group in groups or record.part in groups:
            left_out += 1
            continue
        members[image_id] = SetMember(image_id, record.path, record.part, record.group, "good")
    confirmed = [member for member in resolved_members(ledger, camera) if held is None or member.group not in held]
    refuse_changed(confirmed)
    # What inspectors say of a picture is said later than what the data set does.
    members |= {member.image_id: member for member in confirmed}
    without = ledger.sets("frozen")[-1].name if held else None
    rule = json.dumps({"camera": camera, "threshold_share": threshold_share, "without": without})
    return ledger.create_set("training", list(members.values()), name, rule, note), left_out


def _facts(member: SetMember) -> tuple[object, ...]:
    return member.state, member.verdicts, member.part, member.group, member.weight, member.mask_sha256


def _words(member: SetMember) -> str:
    source = f"verdict {', '.join(map(str, member.verdicts))}" if member.verdicts else "data set"
    return f"{member.path}: {member.state} ({source})"


def _change(before: SetMember, after: SetMember) -> str:
    names = ("state", "verdicts", "part", "group", "weight", "mask")
    pairs = zip(names, _facts(before), _facts(after), strict=True)
    return ", ".join(f"{name} {old} → {new}" for name, old, new in pairs if old != new)
