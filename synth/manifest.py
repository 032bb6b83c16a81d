"""The manifest: a row for every flaw, from which the same pixels can be made again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from synth.errors import SynthError
from synth.families.base import NO_CONTEXT, Context
from synth.image_level import Flaw, Recipe, Synthesizer


@dataclass(frozen=True)
class ManifestRow:
    """One flaw on one image.

    Attributes:
        image: Name of the flawed image.
        source: Name of the good image it was made from.
        sources: JSON list of the images that content was taken from.
        foreground: Flaws were confined to the part that ``synth.foreground`` finds; otherwise the whole image.
        order: Flaws of an image are painted in this order.
        family: Name of the family.
        parameters: JSON object.
        seed: From which the flaws of this image were drawn.
        left: Box around what this flaw changed, in pixels; right and bottom are exclusive, all 0 if it changed nothing.
        top: See ``left``.
        right: See ``left``.
        bottom: See ``left``.
        area: Pixels that this flaw visibly changed.
        contrast: Mean change there, strongest channel, of the range 0..1.
    """

    image: str
    source: str
    sources: str
    foreground: bool
    order: int
    family: str
    parameters: str
    seed: int
    left: int
    top: int
    right: int
    bottom: int
    area: int
    contrast: float


def paint_and_record(
    image: Tensor,
    recipe: Recipe,
    context: Context = NO_CONTEXT,
    *,
    name: str,
    source: str,
    sources: Sequence[str] = (),
    seed: int = 0,
) -> tuple[Tensor, Tensor, list[ManifestRow]]:
    """Put the flaws of a recipe on one image, and write down what each of them changed.

    Args:
        image: ``[C, H, W]``, 0..1.
        recipe: For one image.
        context: As for ``Synthesizer.apply``, for a batch of one.
        name: Name of the flawed image.
        source: Name of the good image.
        sources: Names of the images in ``context.sources``, in their order.
        seed: From which the recipe was drawn.

    Returns:
        The flawed image ``[C, H, W]``, its mask ``[1, H, W]`` and a row for each flaw.
    """
    flawed = image[None]
    rows = []
    for flaw in recipe.flaws():
        before = flawed
        flawed, mask = Synthesizer.apply(before, Recipe.from_flaws([flaw], 1), context)
        left, top, right, bottom = _box(mask[0, 0])
        change = (flawed - before).abs().amax(dim=1)[mask[:, 0] > 0]
        rows.append(
            ManifestRow(
                image=name,
                source=source,
                sources=json.dumps(list(sources)),
                foreground=context.foreground is not None,
                order=flaw.order,
                family=flaw.family,
                parameters=json.dumps(flaw.parameters, sort_keys=True),
                seed=seed,
                left=left,
                top=top,
                right=right,
                bottom=bottom,
                area=len(change),
                contrast=float(change.mean()) if len(change) else 0.0,
            )
        )
    flawed, mask = Synthesizer.apply(image[None], recipe, context)
    return flawed[0], mask[0], rows


def replay(image: Tensor, rows: Sequence[ManifestRow], context: Context = NO_CONTEXT) -> tuple[Tensor, Tensor]:
    """Make the flawed image of some rows again.

    Args:
        image: ``[C, H, W]``, the good image.
        rows: All rows of one flawed image.
        context: The same foreground and sources as before.

    Returns:
        The flawed image ``[C, H, W]`` and its mask ``[1, H, W]``, the same pixels as the first time.

    Raises:
        SynthError: If the rows are of several images, or damaged.
    """
    if len({row.image for row in rows}) != 1:
        msg = f"replay takes the rows of one image, not of {len({row.image for row in rows})}"
        raise SynthError(msg)
    flaws = [Flaw(0, row.order, row.family, json.loads(row.parameters)) for row in rows]
    flawed, masks = Synthesizer.apply(image[None], Recipe.from_flaws(flaws, 1), context)
    return flawed[0], masks[0]


def write_manifest(rows: Sequence[ManifestRow], path: Path) -> None:
    """Write rows as Parquet, in one step: a reader sees all of them or the file as it was."""
    names = [field.name for field in fields(ManifestRow)]
    working = path.with_name(f".{path.name}.writing")
    pd.DataFrame([asdict(row) for row in rows], columns=names).to_parquet(working, index=False)
    working.replace(path)


def read_manifest(path: Path) -> list[ManifestRow]:
    """Read what ``write_manifest`` wrote.

    Raises:
        SynthError: If the columns are others.
    """
    frame = pd.read_parquet(path)
    names = [field.name for field in fields(ManifestRow)]
    if list(frame.columns) != names:
        msg = f"{path} is no manifest of flawsmith: its columns are {', '.join(map(str, frame.columns))}"
        raise SynthError(msg)
    return [ManifestRow(**dict(zip(names, values, strict=True))) for values in frame.itertuples(index=False)]


def _box(mask: Tensor) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is marked in ``[H, W]``; right and bottom exclusive."""
    rows, columns = (torch.nonzero(mask.amax(dim=dim) > 0).flatten() for dim in (1, 0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
