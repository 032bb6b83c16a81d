"""The realism report of a synthetic set: what inspectors confirmed comes from the ledger or from a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from integrations.recording import last_model, load_bundle
from integrations.report.place import check_page
from integrations.report.realism import write_realism_report
from learning.bundle import Bundle
from learning.images.records import ImageRecord
from learning.progress import Progress, silent
from learning.realism import Realism, find_confirmed, judge_realism, read_confirmed, read_synthetic

if TYPE_CHECKING:
    from curation.ledger import Ledger


@dataclass(frozen=True)
class Real:
    """What a synthetic set is compared with.

    Attributes:
        records: Confirmed defects.
        bundle: In whose space they are compared, if in any.
    """

    records: list[ImageRecord]
    bundle: Bundle | None


def find_real(*, bundle: Path | None = None, ledger: "Ledger | None" = None, confirmed: Path | None = None) -> Real:
    """Find what a synthetic set is to be compared with; no image is read.

    Args:
        bundle: In whose space defects are compared; by default the one that scored last, by the ledger.
        ledger: Whose confirmed defects with a mask are the real ones.
        confirmed: Folder in MVTec AD's layout whose defects are the real ones, instead of the ledger's.

    Raises:
        DataError: If the folder holds no confirmed defects.
        BundleError: If the bundle is damaged.
    """
    if confirmed is not None:
        records = find_confirmed(confirmed)
    else:
        records = [] if ledger is None else confirmed_defects(ledger)
    if bundle is not None:
        return Real(records, Bundle.load(bundle))
    return Real(records, load_bundle(ledger) if ledger is not None and last_model(ledger) is not None else None)


def report_realism(synthetic: Path, report: Path, real: Real, *, seed: int = 0, progress: Progress = silent) -> Realism:
    """Compare a synthetic set with what inspectors confirmed, and write the report.

    Args:
        synthetic: Folder that ``flawsmith synth`` wrote.
        report: HTML file.
        real: What it is compared with.
        seed: Of what is drawn at random.
        progress: Told how far it is.

    Returns:
        What the report says.

    Raises:
        DataError: If the set, a confirmed defect, the bundle's detector or the file's name cannot be used.
    """
    check_page(report)
    realism = judge_realism(
        read_synthetic(synthetic, seed=seed, progress=progress),
        read_confirmed(real.records, progress=progress),
        real.bundle,
        seed,
        progress,
    )
    write_realism_report(realism, report)
    return realism


def confirmed_defects(ledger: "Ledger") -> list[ImageRecord]:
    """Images that inspectors together call defective, with their mask where it is known and there."""
    images = {image.image_id: image for image in ledger.images()}
    return [
        ImageRecord(
            path=Path(images[one.image_id].path),
            label=next((v.defect_class for v in reversed(one.verdicts) if v.defect_class), "defect"),
            mask=Path(one.mask_path) if one.mask_path and Path(one.mask_path).is_file() else None,
            group=images[one.image_id].group,
            part=images[one.image_id].part,
        )
        for one in ledger.resolved()
        if one.state == "defect"
    ]
