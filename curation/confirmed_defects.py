"""Confirmed defects out of the ledger: what inspectors agree is a defect, and where, becomes a source of flaws."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from curation.ledger import ImageRow, Ledger, Resolution, VerdictRow
from curation.ledger.files import image_id_of, sha256_of
from learning.defects import cut_from_files
from learning.errors import DataError
from learning.progress import Progress, silent
from synth.sources.defects import DefectBank, bank_of


@dataclass(frozen=True)
class ConfirmedRegion:
    """A mask that an inspector drew on an image about which all agree that it is defective.

    Attributes:
        image: The image.
        mask: The latest mask on it.
        label: Kind of defect in that inspector's words, or empty.
        provenance: Which verdict it is: the number in the ledger, and who said it.
    """

    image: ImageRow
    mask: Path
    label: str
    provenance: str


@dataclass(frozen=True)
class Harvest:
    """What was found.

    Attributes:
        bank: The defects.
        left_out: Why confirmed images gave none, a line for each: files that are gone or were changed, masks without
            surroundings.
    """

    bank: DefectBank
    left_out: tuple[str, ...]


def confirmed_regions(
    ledger: Ledger,
    *,
    only_images: Collection[str] | None = None,
    without_images: Collection[str] = (),
    without_groups: Collection[str] = (),
) -> tuple[list[ConfirmedRegion], list[str]]:
    """Masks of images that are resolved as defective, in the order of image ids.

    Of each inspector the latest verdict counts; images on which they disagree or are unsure give nothing.

    Args:
        ledger: Where the verdicts are.
        only_images: Ids of the images to take; None for all.
        without_images: Ids of images that training must not see, such as a frozen set for judging challengers.
        without_groups: Groups of which it must see nothing.

    Returns:
        The regions, and why the others were left out: files that are gone, or are not what they were when the verdict
        was recorded.
    """
    images = {image.image_id: image for image in ledger.images()}
    found, left_out = [], []
    for resolution in ledger.resolved():
        image = images[resolution.image_id]
        if resolution.state != "defect" or resolution.mask_path is None:
            continue
        if only_images is not None and image.image_id not in only_images:
            continue
        if image.image_id in without_images or image.group in without_groups:
            continue
        verdict = _drawn_by(resolution)
        wrong = _trouble(image, verdict)
        if wrong:
            left_out.append(wrong)
            continue
        provenance = f"verdict {verdict.number} of {verdict.inspector}"
        found.append(ConfirmedRegion(image, resolution.mask_path, verdict.defect_class or "", provenance))
    return found, left_out


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
            left_out.append(f"{region.mask} marks nearly nothing, or nearly all of {region.image.path}")
        cuts.append(cut)
        progress(number + 1, len(regions), "cutting confirmed defects")
    return Harvest(bank_of(cuts), tuple(left_out))


def _drawn_by(resolution: Resolution) -> VerdictRow:
    """The latest verdict with a mask, as ``resolution.resolve`` chooses it."""
    return [verdict for verdict in resolution.verdicts if verdict.regions_mask][-1]


def _trouble(image: ImageRow, verdict: VerdictRow) -> str | None:
    """What is wrong with the files, or None."""
    if not image.path.is_file():
        return f"{image.path} is gone"
    if image_id_of(image.path) != image.image_id:
        return f"{image.path} was changed since it was recorded"
    mask = verdict.regions_mask
    if mask is None or not mask.is_file():
        return f"the mask {mask} of {image.path} is gone"
    # Verdicts of before the ledger kept checksums have none.
    if verdict.regions_sha256 is not None and sha256_of(mask) != verdict.regions_sha256:
        return f"the mask {mask} of {image.path} was changed since the verdict was recorded"
    return None
