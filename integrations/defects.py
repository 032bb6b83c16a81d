"""Confirmed defects, from wherever a user keeps them."""

from pathlib import Path

from learning.defects import load_bank
from learning.errors import DataError
from learning.progress import Progress, silent
from synth.sources.defects import DefectBank


def defect_bank(place: str, progress: Progress = silent, chosen: bool = False) -> tuple[DefectBank, tuple[str, ...]]:
    """Confirmed defects of a bank or a ledger.

    Args:
        place: Folder of a bank, file of a ledger, or its URL.
        progress: Told how far it is.
        chosen: Of a ledger only images that somebody chose as a source.

    Returns:
        The defects, and why confirmed images of a ledger gave none, a line for each.

    Raises:
        DataError: If there is neither, or no defect in it.
    """
    left_out: tuple[str, ...] = ()
    if Path(place).is_dir():
        bank = load_bank(Path(place))
    elif "://" in place or Path(place).is_file():
        from curation.actions import chosen_sources
        from curation.confirmed_defects import harvest
        from curation.frozen import held_back_groups
        from curation.ledger import Ledger

        with Ledger.open(place) as ledger:
            found = harvest(
                ledger,
                only_images=chosen_sources(ledger) if chosen else None,
                without_groups=held_back_groups(ledger),
                progress=progress,
            )
        bank, left_out = found.bank, found.left_out
    else:
        msg = f"{place} is neither a bank of defects nor a ledger; make a bank with: flawsmith defects --out {place}"
        raise DataError(msg)
    if not bank:
        why = f": {left_out[0]}" if left_out else ""
        msg = f"{place} has no confirmed defect with a mask{why}; ask inspectors to mark where the defect is"
        raise DataError(msg)
    return bank, left_out
