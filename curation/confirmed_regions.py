"""Where inspectors say that a defect is: what may teach, and become a source of flaws."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from curation.ledger import ImageRow, Ledger, Resolution, VerdictRow
from curation.ledger.files import image_id_of, sha256_of


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
        The regions, and why images that are marked, or chosen by ``only_images``, gave none, a line for each: files
        that are gone, or are not what they were when the verdict was recorded; no confirmed defect, no mask.
    """
    images = {image.image_id: image for image in ledger.images()}
    said = {resolution.image_id: resolution for resolution in ledger.resolved()}
    found, left_out = [], []
    for key in sorted(said if only_images is None else images.keys() & set(only_images)):
        image, resolution = images[key], said.get(key)
        if image.image_id in without_images or image.group in without_groups:
            continue
        one = region_of(image, resolution)
        if not isinstance(one, str):
            found.append(one)
        elif only_images is not None or _is_marked(resolution):
            # Of all images most are good; of those that somebody chose each one that gives nothing is named.
            left_out.append(f"{image.path}: {one}")
    return found, left_out


def region_of(image: ImageRow, resolution: Resolution | None) -> ConfirmedRegion | str:
    """The region of an image, or why it has none, in words about "it".

    Args:
        image: The image.
        resolution: What its verdicts come to; None where none counts.
    """
    if resolution is None:
        return "nobody has said that it has a defect"
    if resolution.state == "good":
        return "it is good by its verdict"
    if resolution.state == "unresolved":
        return "inspectors disagree about it, or are unsure"
    if resolution.mask_path is None:
        return "nobody has marked where its defect is"
    verdict = _drawn_by(resolution)
    wrong = _trouble(image, verdict)
    if wrong:
        return wrong
    provenance = f"verdict {verdict.number} of {verdict.inspector}"
    return ConfirmedRegion(image, resolution.mask_path, verdict.defect_class or "", provenance)


def _is_marked(resolution: Resolution | None) -> bool:
    return resolution is not None and resolution.state == "defect" and resolution.mask_path is not None


def _drawn_by(resolution: Resolution) -> VerdictRow:
    """The latest verdict with a mask, as ``resolution.resolve`` chooses it."""
    return [verdict for verdict in resolution.verdicts if verdict.regions_mask][-1]


def _trouble(image: ImageRow, verdict: VerdictRow) -> str | None:
    """What is wrong with the files, or None."""
    if not image.path.is_file():
        return "it is gone"
    if image_id_of(image.path) != image.image_id:
        return "it was changed since it was recorded"
    mask = verdict.regions_mask
    if mask is None or not mask.is_file():
        return f"its mask {mask} is gone"
    # Verdicts of before the ledger kept checksums have none.
    if verdict.regions_sha256 is not None and sha256_of(mask) != verdict.regions_sha256:
        return f"its mask {mask} was changed since the verdict was recorded"
    return None
