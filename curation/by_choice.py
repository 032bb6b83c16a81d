"""Training-set versions that a person puts together: from a view, a selection, a tag, or all that is confirmed."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curation.errors import LedgerError
from curation.frozen import held_back, refuse_changed, resolved_members
from curation.ledger import ImageRow, SetMember, SetRow

if TYPE_CHECKING:
    from curation.ledger import Ledger


@dataclass(frozen=True)
class Chosen:
    """A version that was put together, and what did not get into it.

    Attributes:
        row: The version.
        good: Number of its good members.
        defective: Number of its defective ones.
        assumed: Good ones about which nobody has said anything.
        unjudged: Images left out, as nobody has said anything about them.
        unresolved: Images left out, as inspectors disagree or are unsure.
        held_back: Images left out, as challengers are judged on their groups.
    """

    row: SetRow
    good: int
    defective: int
    assumed: int
    unjudged: int
    unresolved: int
    held_back: int

    @property
    def text(self) -> str:
        """In words."""
        said = f"{self.row.name}: {self.good} good, {self.defective} defective"
        said += f" ({self.assumed} taken as good, nobody has said so)" if self.assumed else ""
        left = [
            (self.unjudged, "without a verdict"),
            (self.unresolved, "unresolved"),
            (self.held_back, "held back for judging challengers"),
        ]
        out = ", ".join(f"{count} {why}" for count, why in left if count)
        return said + (f"; left out: {out}" if out else "") + f"; fingerprint {self.row.fingerprint[:12]}"


def make_version(
    ledger: Ledger,
    name: str,
    image_ids: Collection[str] | None = None,
    chosen_by: str = "all",
    assume_good: bool = False,
    who: str = "",
    note: str = "",
) -> Chosen:
    """Store a named list of images and what is confirmed of them; it never changes.

    Args:
        ledger: With verdicts.
        name: Of the version; the same name with the same members is the version that is there.
        image_ids: Which images; by default all.
        chosen_by: How they were chosen, in words.
        assume_good: Whether images about which nobody has said anything are taken as good.
        who: Who put it together.
        note: Free text.

    Raises:
        LedgerError: If the name is empty or taken by other members, an image is unknown, or none is left.
        DataError: If a file is gone or was changed since its verdict.
    """
    name = name.strip()
    if not name:
        msg = "a version needs a name"
        raise LedgerError(msg)
    if image_ids is not None and not image_ids:
        msg = f"nothing is chosen for {name!r}: no image is meant by {chosen_by!r}"
        raise LedgerError(msg)
    images = {image.image_id: image for image in ledger.images()}
    wanted = set(images) if image_ids is None else set(image_ids)
    if unknown := wanted - images.keys():
        msg = f"the ledger has no image {min(unknown)}; score it into the ledger first"
        raise LedgerError(msg)
    held = held_back(ledger)
    free = {key for key in wanted if held is None or images[key].group not in held}
    said = {one.image_id for one in ledger.resolved()} & free
    members = [member for member in resolved_members(ledger) if member.image_id in free]
    # What somebody vouches for as a defect is not taken as good; where the defect is nobody has said.
    vouched = {item.image_id for item in ledger.gold_items() if item.truth == "defect"} & free - said
    rest = sorted(free - said - vouched)
    if assume_good:
        members += [_assumed(images[key]) for key in rest]
    if not members:
        msg = f"nothing to train on is left for {name!r}: none of {len(wanted)} images has a verdict that counts"
        raise LedgerError(msg)
    refuse_changed(members)
    rule = json.dumps({"by": who, "chosen": chosen_by, "assume_good": assume_good})
    row = ledger.create_set("training", members, name, rule, note)
    return Chosen(
        row,
        sum(member.state == "good" for member in members),
        sum(member.state == "defect" for member in members),
        len(rest) if assume_good else 0,
        0 if assume_good else len(rest),
        len(said) + len(vouched) - sum(bool(member.verdicts) for member in members),
        len(wanted) - len(free),
    )


def _assumed(image: ImageRow) -> SetMember:
    return SetMember(image.image_id, image.path, image.part, image.group, "good")
