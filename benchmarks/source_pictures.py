"""``python -m benchmarks.source_pictures``: the pictures of docs/sources.md, made again.

One confirmed defect of each kind, turned into many; procedural textures; and what a generative source makes.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from learning.generative import DefectGenerator
from learning.generative.patches import to_patches
from synth.contact import contact_sheet, outlined
from synth.families import Confirmed, Context
from synth.foreground import foreground
from synth.parts import DEFECTS, draw_lot, make_part
from synth.sources.defects import Defect, DefectBank, cut_defects
from synth.sources.textures import TEXTURES, TextureParameters, textures

_MANY = 6
_SIDE = 256


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the pictures.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.source_pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder for the pictures")
    parser.add_argument("--generator-steps", type=int, default=1500, help="of the generative source; 0 leaves it out")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    one_into_many(options.out / "confirmed.png")
    kinds_of_texture(options.out / "textures.png")
    if options.generator_steps:
        made_after_confirmed(options.out / "generated.png", options.generator_steps)


def one_into_many(out: Path, kind: str = "tile") -> None:
    """For each kind of defect: the part it was confirmed on, then other parts with it, from faint to gross."""
    good = torch.stack([_part(kind, (1, number))[0] for number in range(_MANY)])
    context = Context(foreground(good)[0])
    rows, labels = [], []
    for number, name in enumerate(DEFECTS[kind]):
        image, mask, found = _part(kind, (2, number), name, 0.7)
        bank = DefectBank((max(found, key=lambda defect: float(defect.mask.sum())),))
        parameters = Confirmed().draw(Generator().manual_seed(number), _MANY, torch.linspace(0.2, 1, _MANY))
        flawed, masks = Confirmed().apply(good, parameters, Context(context.foreground, defects=bank))
        confirmed = image[None].expand(-1, 3, -1, -1)
        rows += [
            torch.cat([confirmed, flawed.expand(-1, 3, -1, -1)]),
            torch.cat([outlined(image[None], mask[None, None].float()), outlined(flawed, masks)]),
        ]
        labels += [f"{name}: confirmed once, on the left; then on other parts", "the same, outlined"]
    contact_sheet(rows, out, labels, side=112)


def kinds_of_texture(out: Path) -> None:
    """Four grey and four coloured textures of every kind."""
    at = torch.arange(64.0)
    rows = []
    for kind in range(len(TEXTURES)):
        g = Generator().manual_seed(kind)
        parameters = TextureParameters(
            kind=np.full(_MANY, (kind + 0.5) / len(TEXTURES)),
            seed=torch.randint(2**31, (_MANY,), generator=g).numpy(),
            grain=0.06 * 3 ** torch.rand(_MANY, generator=g).numpy(),
            stretch=np.ones(_MANY),
            angle=np.pi * torch.rand(_MANY, generator=g).numpy(),
            brightness=np.full(_MANY, 0.5),
            contrast=np.full(_MANY, 0.35),
        )
        x, y = at.expand(_MANY, 1, 1, 64), at[:, None].expand(_MANY, 1, 64, 1)
        grey, colour = (textures(parameters, x, y, 64, channels) for channels in (1, 3))
        rows.append(torch.cat([grey[: _MANY // 2].expand(-1, 3, -1, -1), colour[_MANY // 2 :]]))
    contact_sheet(rows, out, list(TEXTURES), side=64)


def made_after_confirmed(out: Path, steps: int, kind: str = "tile", count: int = 60) -> None:
    """Confirmed defects as a generative source sees them, and what it makes."""
    defects: list[Defect] = []
    number = 0
    while len(defects) < count:
        name = list(DEFECTS[kind])[number % len(DEFECTS[kind])]
        defects += _part(kind, (3, number), name)[2]
        number += 1
    bank = DefectBank(tuple(defects))
    model = DefectGenerator.train(bank, steps)
    rows = []
    for patches in (to_patches(bank)[:14], model.patches(14)):
        rows += [(patches[:, :-1] + 1) / 2, (patches[:, -1:] + 1) / 2]
    contact_sheet(rows, out, ["confirmed", "their masks", "made", "their masks"], side=64)


def _part(
    kind: str, key: tuple[int, int], defect: str | None = None, severity: float | None = None
) -> tuple[Tensor, Tensor, list[Defect]]:
    """A made-up part ``[1, H, W]``, its mask ``[H, W]`` and the defects on it."""
    rng = np.random.default_rng(key)
    picture = make_part(kind, draw_lot(rng), rng, defect=defect, severity=severity, size=_SIDE)
    image, mask = torch.from_numpy(picture.images[0]).float()[None] / 255, torch.from_numpy(picture.masks[0])
    part = foreground(image[None])[0][0, 0] > 0
    return image, mask, cut_defects(image, mask, part, name=f"{defect}-{key[1]}") if defect else []


if __name__ == "__main__":
    main()
