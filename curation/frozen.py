"""What is set aside for judging: a share of the groups, for good, that neither trains nor sets a threshold.

Which groups these are follows from their names alone, so that a verdict that comes next year falls on the same side as
its group does today. The share cannot be changed once a set is frozen: groups that had trained would be judged on.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from curation.by_hand import BY_HAND, NOT_DRAWN, is_no_sample
from curation.errors import LedgerError
from curation.ledger import ImageRow, Ledger, Resolution, SetMember, SetRow
from curation.ledger.files import image_id_of
from curation.second_looks import chosen_first
from learning.errors import DataError

_SHOWN = 3


@dataclass(frozen=True)
class HeldBack:
    """Which groups are set aside.

    Attributes:
        share: Of all groups.
        frozen: Groups in a frozen set: they stay there.
        free: Groups that are not set aside though their names would have it: those of regression cases.
    """

    share: float
    frozen: frozenset[str]
    free: frozenset[str]

    def __contains__(self, group: str) -> bool:
        """Whether nothing may learn from a group."""
        return group in self.frozen or (group not in self.free and place_of(group) < self.share)


def held_back(ledger: Ledger) -> HeldBack | None:
    """What is set aside; None where no set was ever frozen."""
    rows = ledger.sets("frozen")
    if not rows:
        return None
    # A set holds those of the sets before it that still have verdicts; all of them have been judged on.
    frozen = {member.group for row in rows for member in ledger.set_version(row.name).members}
    return HeldBack(share_of(rows[0]), frozenset(frozen), _groups_of_cases(ledger))


def held_back_groups(ledger: Ledger) -> frozenset[str]:
    """Groups of images in the ledger that nothing may learn from."""
    held = held_back(ledger)
    return frozenset(image.group for image in ledger.images() if image.group in held) if held else frozenset()


def share_of(row: SetRow) -> float:
    """The share of groups that a frozen set was chosen with."""
    return float(json.loads(row.rule)["share"])


def frozen_members(
    ledger: Ledger, share: float, camera: str = "", learnt_from: Collection[str] = ()
) -> list[SetMember]:
    """What the frozen set of a camera would hold by the verdicts there are; nothing is written.

    Args:
        ledger: With verdicts.
        share: Of the groups; the one of the first frozen set, if there is any.
        camera: Only its images; empty for all.
        learnt_from: Image ids, paths, parts and groups that models have been trained on: they are not frozen, unless
            they were before.

    Raises:
        LedgerError: If the share differs from that of earlier sets.
    """
    rows = ledger.sets("frozen")
    if rows and share != share_of(rows[0]):
        msg = (
            f"{100 * share_of(rows[0]):g} % of the groups are set aside since {rows[0].name} was frozen, and "
            f"{100 * share:g} % was asked for: what has trained cannot be judged on, so that the share stays"
        )
        raise LedgerError(msg)
    held = held_back(ledger) or HeldBack(share, frozenset(), _groups_of_cases(ledger))
    learnt = set(learnt_from)
    by_hand = _chosen_by_hand(ledger)
    return [
        member
        for member in resolved_members(ledger, camera)
        if member.image_id not in by_hand
        if member.group in held.frozen
        or (member.group in held and not learnt & {member.image_id, str(member.path), member.part, member.group})
    ]


def freeze(ledger: Ledger, members: Sequence[SetMember], share: float, camera: str = "") -> SetRow:
    """Store what ``frozen_members`` gave; the same members give the set that is there. From now on they are held back.

    Raises:
        DataError: If there is none, or a file is gone or was changed.
    """
    if not members:
        msg = "nothing to freeze: no confirmed verdict lies on the side that is set aside; confirm more parts"
        raise DataError(msg)
    refuse_changed(members)
    rule = json.dumps({"share": share, "camera": camera, "by": "SHA-256 of the group's name"})
    return ledger.create_set("frozen", members, rule=rule)


def resolved_members(ledger: Ledger, camera: str = "") -> list[SetMember]:
    """All images of a camera about which inspectors agree, in the order of image ids."""
    images = {image.image_id: image for image in ledger.images()}
    return [
        _member(images[one.image_id], one)
        for one in ledger.resolved()
        if one.state != "unresolved" and camera in ("", images[one.image_id].camera)
    ]


def refuse_changed(members: Sequence[SetMember]) -> None:
    """Refuse members whose file is not what it was.

    Raises:
        DataError: Naming them.
    """
    wrong = []
    for member in members:
        if not member.path.is_file():
            wrong.append(f"{member.path} is gone")
        elif image_id_of(member.path) != member.image_id:
            wrong.append(f"{member.path} was changed since it was recorded")
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        msg = f"images of the set that cannot be used: {'; '.join(wrong[:_SHOWN])}{more}; restore them from a copy"
        raise DataError(msg)


def _member(image: ImageRow, resolution: Resolution) -> SetMember:
    drawn = [verdict for verdict in resolution.verdicts if verdict.regions_mask] if resolution.mask_path else []
    return SetMember(
        image_id=image.image_id,
        path=Path(image.path),
        part=image.part,
        group=image.group,
        state="defect" if resolution.state == "defect" else "good",
        verdicts=tuple(verdict.number for verdict in resolution.verdicts),
        weight=1 / (resolution.inclusion_probability or 1),
        mask=resolution.mask_path,
        mask_sha256=drawn[-1].regions_sha256 if drawn else None,
    )


def _chosen_by_hand(ledger: Ledger) -> set[str]:
    """Images that somebody picked, and no draw: they are no sample of anything."""
    asks = {key: ask.strategy for key, ask in chosen_first(ledger.asks()).items()}
    picked = set()
    for one in ledger.resolved():
        drawn = any(asks.get(verdict.ask_id or "", BY_HAND) not in NOT_DRAWN for verdict in one.verdicts)
        marked = any(asks.get(v.ask_id or "") == BY_HAND or is_no_sample(v.source) for v in one.verdicts)
        if marked and not drawn:
            picked.add(one.image_id)
    return picked


def _groups_of_cases(ledger: Ledger) -> frozenset[str]:
    cases = {case.image_id for case in ledger.regression_cases()}
    return frozenset(image.group for image in ledger.images() if image.image_id in cases)


def place_of(group: str, what_for: str = "") -> float:
    """A number in [0, 1) that is the name's own, evenly spread over names; another one for another purpose."""
    return int.from_bytes(hashlib.sha256(f"{what_for}{group}".encode()).digest()[:8], "big") / 2**64
