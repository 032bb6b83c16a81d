"""``python -m benchmarks.pictures``: pictures of flaw families at three severities, or of a made-up part's defects.

For ``docs/families.md`` and, with ``--defects board``, for ``docs/demo.md``.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.contact import contact_sheet, outlined
from synth.families import ANYWHERE, FAMILIES, Context
from synth.foreground import foreground
from synth.parts import DEFECTS, KINDS, LINE, draw_lot, make_part

SEVERITIES = (0.15, 0.5, 0.9)
_SIDE = 256
_SHOWN = 128
_PART = 192
_LEAST_SEEN = 12
"""Pixels; a flaw that hardly touches its part shows nothing, so another one is drawn."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pictures.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help="draw these only (default: all)")
    parser.add_argument("--defects", choices=sorted(KINDS), help="draw the defects of this kind of part instead")
    parser.add_argument("--out", type=Path, default=Path("docs/images/families"), help="folder of the pictures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    unknown = set(options.families) - set(FAMILIES)
    if unknown:
        parser.error(f"there is no family {', '.join(sorted(unknown))}; choose from {', '.join(FAMILIES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.defects:
        rows = show_defects(options.defects, options.seed)
        contact_sheet(rows, options.out / f"{options.defects}.png", side=_PART)
        return
    parts = {kind: good_parts(kind, options.seed) for kind in LINE}
    for name in options.families or ANYWHERE:
        rows = [show(name, images, options.seed) for images in parts.values()]
        contact_sheet(rows, options.out / f"{name}.jpg", side=_SHOWN)


def good_parts(kind: str, seed: int) -> Tensor:
    """Good parts of a kind, one for each picture and one more, ``[B, 3, H, W]``, slightly warm in colour."""
    rng = np.random.default_rng(seed)
    lot = draw_lot(rng)
    count = len(SEVERITIES) + 1
    grey = np.stack([make_part(kind, lot, rng, size=_SIDE).images[0] for _ in range(count)])
    return torch.from_numpy(grey).float()[:, None] / 255 * torch.tensor([1.0, 0.97, 0.92])[:, None, None]


def show(name: str, images: Tensor, seed: int) -> Tensor:
    """A row of the sheet: flaws from faint to gross, after each what is around it, enlarged, with its mask's outline.

    Args:
        name: Of the family.
        images: Good parts, one for each flaw and one more to take content from.
        seed: Of the first flaws that are tried.
    """
    family = FAMILIES[name]()
    good, sources = images[:-1], images[-1:]
    context = Context(foreground(good)[0], sources)
    severity = torch.tensor(SEVERITIES)
    shown, found = good, torch.zeros_like(good[:, :1])
    for attempt in range(8):
        parameters = family.draw(Generator().manual_seed(seed + attempt), len(good), severity)
        flawed, masks = family.apply(good, parameters, context)
        poor = (found.sum(dim=(1, 2, 3)) < _LEAST_SEEN)[:, None, None, None]
        shown, found = torch.where(poor, flawed, shown), torch.where(poor, masks, found)
    crops = [crop(image, mask) for image, mask in zip(shown, found, strict=True)]
    return torch.cat([shown, torch.cat(crops)]).view(2, len(good), *good.shape[1:]).transpose(0, 1).flatten(0, 1)


def show_defects(kind: str, seed: int, size: int = 2 * _SIDE) -> list[Tensor]:
    """Rows of a sheet: parts of a kind with each of its defects outlined, after each what is around it, enlarged.

    Args:
        kind: One of ``KINDS``.
        seed: Of the parts; severities are drawn as lines meet them.
        size: Side of the pictures in pixels.
    """
    cells = []
    for number, name in enumerate(DEFECTS[kind]):
        rng = np.random.default_rng((seed, number))
        picture = make_part(kind, draw_lot(rng), rng, defect=name, size=size)
        image = torch.from_numpy(picture.images[0]).float()[None].expand(3, -1, -1) / 255
        mask = torch.from_numpy(picture.masks[0]).float()[None]
        cells += [outlined(image[None], mask[None]), crop(image, mask)]
    return list(torch.cat(cells).split(4))


def crop(image: Tensor, mask: Tensor) -> Tensor:
    """The square around a mask, at least an eighth of the picture wide, enlarged, with the mask's outline."""
    rows, columns = mask[0].amax(dim=1).nonzero().flatten(), mask[0].amax(dim=0).nonzero().flatten()
    height, width = mask.shape[1:]
    if not len(rows):
        return image[None]
    side = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0]), height // 12) * 3 // 2
    side = min(side, height, width)
    top, left = (
        int(((line[0] + line[-1] - side) // 2).clamp(0, length - side))
        for line, length in ((rows, height), (columns, width))
    )
    part = (slice(None), slice(top, top + side), slice(left, left + side))
    enlarged = functional.interpolate(image[part][None], (height, width), mode="bicubic").clamp(0, 1)
    return outlined(enlarged, functional.interpolate(mask[part][None], (height, width)))


if __name__ == "__main__":
    main()
