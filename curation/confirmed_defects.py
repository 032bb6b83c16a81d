"""Confirmed defects out of the ledger: what inspectors agree is a defect, and where, becomes a source of flaws."""

from collections.abc import Collection
from dataclasses import dataclass

from curation.confirmed_regions import confirmed_regions
from curation.ledger import Ledger
from learning.defects import cut_from_files
from learning.errors import DataError
from learning.progress import Progress, silent
from synth.sources.defects import LARGEST_SHARE, SMALLEST_AREA, DefectBank, bank_of


@dataclass(frozen=True)
class Harvest:
    """What was found.

    Attributes:
        bank: The defects.
        left_out: Why images gave none, a line for each: as for ``confirmed_regions``, and masks without surroundings.
    """

    bank: DefectBank
    left_out: tuple[str, ...]


def harvest(
    ledger: Ledger,
    *,
    only_images: Collection[str] | None = None,
    without_images: Collection[str] = (),
    without_groups: Collection[str] = (),
    progress: Progress = silent,
) -> Harvest:
    """Cut all confirmed regions out of their images; arguments as for ``confirmed_regions``."""
    regions, left_out = confirmed_regions(
        ledger, only_images=only_images, without_images=without_images, without_groups=without_groups
    )
    cuts = []
    for number, region in enumerate(regions):
        try:
            cut = cut_from_files(
                region.image.path,
                region.mask,
                name=region.image.image_id,
                label=region.label,
                provenance=region.provenance,
                image_id=region.image.image_id,
                group=region.image.group,
            )
        except DataError as error:
            left_out.append(str(error))
            continue
        if not cut:
            left_out.append(
                f"no region of {region.mask} has {SMALLEST_AREA} pixels or more, and {LARGEST_SHARE:.0%} or less "
                f"of {region.image.path}"
            )
        cuts.append(cut)
        progress(number + 1, len(regions), "cutting confirmed defects")
    return Harvest(bank_of(cuts), tuple(left_out))
