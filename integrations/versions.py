"""Training a model on a training-set version, as it stands in the ledger."""

from pathlib import Path
from typing import TYPE_CHECKING

from integrations.challengers import bank_of, origins_known, record_of
from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.detectors import Budget
from learning.errors import DataError
from learning.manifest import TrainingSet
from learning.progress import Progress, silent
from learning.training import train_on_records

if TYPE_CHECKING:
    from curation.ledger import Ledger


def train_on_version(
    ledger: "Ledger",
    name: str,
    out: Path,
    *,
    config: TrainConfig,
    budget: Budget,
    seed: int = 0,
    device: str = "cpu",
    progress: Progress = silent,
) -> Bundle:
    """Train on the members of a version; the bundle names it, with its fingerprint.

    Good members that nobody was asked about train, select and calibrate. Those that somebody was asked about train
    only: they were chosen by their scores, so that they are no sample to calibrate with. Confirmed defects with a mask
    are a source of flaws. Members that set a challenger's threshold train nothing.

    Args:
        ledger: With the version.
        name: Of the version.
        out: Folder of the bundle.
        config: Detector and split.
        budget: Minutes, or steps.
        seed: Every random choice follows from it.
        device: ``cpu`` or ``cuda``.
        progress: Told how far it is.

    Raises:
        LedgerError: There is no such version.
        DataError: It is one to judge on, a member's file is gone or was changed, its group is held back since, or too
            few good members can calibrate.
    """
    from curation.frozen import held_back, refuse_changed
    from curation.set_versions import roles_of

    version = ledger.set_version(name)
    if version.row.kind != "training":
        msg = f"{name} is a set that models are judged on: nothing may learn from it"
        raise DataError(msg)
    held = held_back(ledger)
    late = [member for member in version.members if held is not None and member.group in held]
    if late:
        msg = (
            f"{len(late)} members of {name} are held back for judging challengers since it was made, the first is "
            f"{late[0].path}: make a new version, which leaves them out"
        )
        raise DataError(msg)
    refuse_changed(version.members)
    roles = roles_of(version)
    asked = {row.number for row in ledger.verdicts() if row.ask_id is not None}
    chosen = [member for member in roles.confirmed_good if asked & set(member.verdicts)]
    good = [*roles.good, *(member for member in roles.confirmed_good if not asked & set(member.verdicts))]
    known = origins_known(ledger)
    return train_on_records(
        [record_of(member, known) for member in good],
        out,
        config=config,
        budget=budget,
        seed=seed,
        device=device,
        confirmed_good=[record_of(member, known) for member in chosen],
        defects=bank_of(ledger, roles, progress),
        training_set=TrainingSet(name=name, fingerprint=version.row.fingerprint),
        progress=progress,
    )
