"""The manifest: a row for every flaw, from which the same pixels can be made again."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from torch import Tensor

from synth.draws import DRAWS
from synth.errors import SynthError
from synth.families.base import NO_CONTEXT, Canvas, Context, visible_change
from synth.families.plain import from_plain
from synth.files import answered
from synth.image_level import Flaw, Recipe, Synthesizer, family_class

SCHEMA = 2
"""Version of the manifest's columns."""

_METADATA = b"flawsmith"
_TOGETHER = 2000
"""Rows that are held at once while a manifest is written."""

_RINGS = (2, 24)
"""Least and greatest width in pixels of the ring around a flaw that it is compared with."""


@dataclass(frozen=True)
class ManifestRow:
    """One flaw on one image.

    Attributes:
        image: Name of the flawed image.
        source: Path of the good image it was made from.
        source_sha256: Of that file.
        depth: Bits of a channel, 8 or 16.
        order: Flaws of an image are painted in this order.
        family: Name of the family.
        severity: 0 (barely visible) to 1 (gross), as it was drawn.
        parameters: JSON object, all that the family drew.
        content: What the flaw shows: ``own`` (the part's own pixels, shaded or moved), ``procedural`` (a texture that
            was made up), ``texture`` (a picture of one), ``part`` (another good part) or ``defect`` (a confirmed one).
        content_source: Path or name of that texture, part or defect; empty for the others.
        sources: JSON list of the good parts that were at hand.
        textures: JSON list of the pictures of textures that were at hand.
        seed: From which the flaws of this image were drawn.
        foreground_trust: Of the part's mask that flaws were confined to, 0..1; 0 is the whole image.
        left: Box around the flaw's pixels; right and bottom are exclusive, all 0 if it cannot be seen.
        top: See ``left``.
        right: See ``left``.
        bottom: See ``left``.
        area: Pixels of the image's mask that are this flaw's.
        change: Mean change of these pixels when it was painted, strongest channel, of the range 0..1.
        contrast: Their mean less that of the ring around them, in the channel where it is strongest; below 0 is darker.
            The ring holds what is sound within an eighth of the box's longer side, 2 to 24 pixels.
    """

    image: str
    source: str
    source_sha256: str
    depth: int
    order: int
    family: str
    severity: float
    parameters: str
    content: str
    content_source: str
    sources: str
    textures: str
    seed: int
    foreground_trust: float
    left: int
    top: int
    right: int
    bottom: int
    area: int
    change: float
    contrast: float


@dataclass(frozen=True)
class Provenance:
    """Where an image and what its flaws may show come from, in words for the manifest.

    Attributes:
        image: Name of the flawed image.
        source: Path of the good image.
        source_sha256: Of that file.
        sources: Names of ``Context.sources``, in their order.
        textures: Names of ``Context.textures``, in their order.
        defects: Names of ``Context.defects``, in their order.
        seed: From which the recipe was drawn.
        foreground_trust: Of the foreground in the context; 0 is the whole image.
    """

    image: str
    source: str
    source_sha256: str = ""
    sources: Sequence[str] = ()
    textures: Sequence[str] = ()
    defects: Sequence[str] = ()
    seed: int = 0
    foreground_trust: float = 0.0


@dataclass(frozen=True)
class Painted:
    """A flawed image with all that is known of it.

    Attributes:
        image: ``[C, H, W]``, 0..1.
        mask: ``[1, H, W]``, 0 or 1.
        rows: One for each flaw.
        instances: ``[H, W]`` bool, pixels of the mask that are each flaw's; together they are the mask.
    """

    image: Tensor
    mask: Tensor
    rows: list[ManifestRow]
    instances: list[NDArray[np.bool_]]


def paint_and_record(image: Tensor, recipe: Recipe, context: Context, provenance: Provenance) -> Painted:
    """Put the flaws of a recipe on one image, and write down what each of them changed.

    A pixel of the image's mask is a flaw's if that flaw changed it visibly; if only several did so together, it is that
    of the one that changed it most.

    Args:
        image: ``[C, H, W]``, 0..1.
        recipe: For one image.
        context: As for ``Synthesizer.apply``, for a batch of one.
        provenance: What the rows say of the image.
    """
    flaws = recipe.flaws()
    canvas = Canvas(image[None], context)
    changes, seen = [], []
    for group in recipe.groups:
        before = canvas.flawed.clone()
        canvas.paint(family_class(group.family)(), group.parameters, group.images)
        seen.append(visible_change(before, canvas.flawed, context.depth)[0, 0].cpu().numpy() > 0)
        changes.append(before.sub_(canvas.flawed).abs_().amax(dim=1)[0].cpu().numpy())
    (flawed,), (mask,) = canvas.finish()
    instances = _instances(mask[0].cpu().numpy() > 0, seen, changes)
    allowed = None if context.foreground is None else context.foreground[0, 0].cpu().numpy() > 0
    rows = []
    for flaw, instance, change in zip(flaws, instances, changes, strict=True):
        left, top, right, bottom = box = _box(instance)
        content, content_source = _content(flaw, context, provenance)
        rows.append(
            ManifestRow(
                image=provenance.image,
                source=provenance.source,
                source_sha256=provenance.source_sha256,
                depth=context.depth,
                order=flaw.order,
                family=flaw.family,
                severity=flaw.parameters["severity"],
                parameters=json.dumps(flaw.parameters, sort_keys=True),
                content=content,
                content_source=content_source,
                sources=json.dumps(list(provenance.sources)),
                textures=json.dumps(list(provenance.textures)),
                seed=provenance.seed,
                foreground_trust=provenance.foreground_trust,
                left=left,
                top=top,
                right=right,
                bottom=bottom,
                area=int(instance.sum()),
                change=float(change[instance].mean()) if instance.any() else 0.0,
                contrast=_contrast(flawed, image, instance, mask[0].cpu().numpy() > 0, allowed, box),
            )
        )
    return Painted(flawed, mask, rows, instances)


def replay(image: Tensor, rows: Sequence[ManifestRow], context: Context = NO_CONTEXT) -> tuple[Tensor, Tensor]:
    """Make the flawed image of some rows again.

    Args:
        image: ``[C, H, W]``, the good image.
        rows: All rows of one flawed image.
        context: The same foreground, sources, textures and depth as before.

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


@dataclass(frozen=True)
class ManifestInfo:
    """What holds for a whole manifest.

    Attributes:
        version: Of flawsmith, which wrote it.
        schema: Of its columns.
        settings: With which the set was made, as plain data.
        defects: SHA-256 of the confirmed defects that it was made from; empty where there were none.
        draws: How families drew and painted, see ``synth.draws.DRAWS``; 0 in manifests that did not say yet.
    """

    version: str = field(default_factory=lambda: version("flawsmith"))
    schema: int = SCHEMA
    settings: Mapping[str, Any] = field(default_factory=dict)
    defects: str = ""
    draws: int = DRAWS


def write_manifest(rows: Iterable[ManifestRow], path: Path, info: ManifestInfo | None = None) -> None:
    """Write rows as Parquet, in one step: a reader sees all of them or the file as it was.

    Args:
        rows: Taken a few thousand at a time.
        path: The file.
        info: What holds for all of them.
    """
    information = json.dumps(asdict(info or ManifestInfo()))
    schema = pa.schema(
        [(f.name, {str: pa.string(), int: pa.int64(), float: pa.float64()}[f.type]) for f in fields(ManifestRow)],  # type: ignore[index]
        metadata={_METADATA: information},
    )
    working = path.with_name(f".{path.name}.writing")
    remaining = iter(rows)
    with answered(path), pq.ParquetWriter(working, schema) as writer:
        while some := [asdict(row) for row in islice(remaining, _TOGETHER)]:
            writer.write_table(pa.Table.from_pylist(some, schema))
    with answered(path):
        working.replace(path)


def read_manifest(path: Path, image: str | None = None) -> list[ManifestRow]:
    """Read what ``write_manifest`` wrote.

    Args:
        path: The file.
        image: Only the rows of this image.

    Raises:
        SynthError: If it is missing, no manifest of flawsmith, or of another schema.
    """
    read_manifest_info(path)
    table = pq.read_table(path, filters=None if image is None else [("image", "==", image)])
    return [ManifestRow(**row) for row in table.to_pylist()]


def read_manifest_info(path: Path) -> ManifestInfo:
    """Read what holds for all rows.

    Raises:
        SynthError: If it is missing, no manifest of flawsmith, or of another schema.
    """
    try:
        schema = pq.read_schema(path)
    except FileNotFoundError as error:
        msg = f"{path} does not exist; a set that is complete has one"
        raise SynthError(msg) from error
    except (pa.ArrowException, OSError) as error:
        msg = f"{path} cannot be read as Parquet: {error}"
        raise SynthError(msg) from error
    if _METADATA not in (schema.metadata or {}):
        msg = f"{path} is no manifest of flawsmith: its columns are {', '.join(schema.names)}"
        raise SynthError(msg)
    info = ManifestInfo(**{"draws": 0} | json.loads(schema.metadata[_METADATA]))
    if info.schema != SCHEMA:
        msg = f"{path} is a manifest of schema {info.schema}, by flawsmith {info.version}; this one reads {SCHEMA}"
        raise SynthError(msg)
    return info


def _instances(
    mask: NDArray[np.bool_], seen: Sequence[NDArray[np.bool_]], changes: Sequence[NDArray[np.float32]]
) -> list[NDArray[np.bool_]]:
    instances = [mask & visible for visible in seen]
    left_over = mask & ~np.logical_or.reduce(instances)
    if left_over.any():
        strongest = np.argmax([change[left_over] for change in changes], axis=0)
        for number, instance in enumerate(instances):
            instance[left_over] = strongest == number
    return instances


def _content(flaw: Flaw, context: Context, provenance: Provenance) -> tuple[str, str]:
    """What a flaw shows, and the name of it."""
    family = family_class(flaw.family)
    (content,) = family().shown(from_plain(family.parameters_class, [flaw.parameters]), context)
    names = {
        "part": provenance.sources or [provenance.source],
        "texture": provenance.textures,
        "defect": provenance.defects,
    }.get(content.kind, ())
    return content.kind, names[min(int(content.place * len(names)), len(names) - 1)] if names else ""


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is marked in ``[H, W]``; right and bottom exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _contrast(
    flawed: Tensor,
    good: Tensor,
    instance: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    allowed: NDArray[np.bool_] | None,
    box: tuple[int, int, int, int],
) -> float:
    """Mean of a flaw less that of the sound pixels around it; where there are none, less that of what it covers."""
    left, top, right, bottom = box
    if right == left:
        return 0.0
    width = int(np.clip(max(right - left, bottom - top) // 8, *_RINGS))
    near = (
        slice(max(0, top - width), bottom + width),
        slice(max(0, left - width), right + width),
    )
    inside = instance[near]
    ring = (cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3) <= width) & ~mask[near]
    if allowed is not None:
        ring &= allowed[near]
    pixels = flawed[:, *near].cpu().numpy()
    around = pixels[:, ring] if ring.any() else good[:, *near].cpu().numpy()[:, inside]
    differences = pixels[:, inside].mean(axis=1, dtype=np.float64) - around.mean(axis=1, dtype=np.float64)
    return float(differences[np.argmax(np.abs(differences))])
