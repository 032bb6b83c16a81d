"""Synthetic data sets on disk: flawed images, their masks and the manifest."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from synth.errors import SynthError
from synth.families.base import Context
from synth.foreground import foreground
from synth.image_level import Recipe, Synthesizer
from synth.manifest import ManifestRow, paint_and_record, read_manifest, replay, write_manifest
from synth.pictures import fit_picture, read_picture, write_picture

FORMATS = ("mvtec",)
"""``mvtec``: a PNG of the mask, 0 and 255, for each image, in folders of their own."""

MANIFEST = "manifest.parquet"
_MARKER = "synthesis.json"
_ROWS = ".rows"
_SOURCES = 4
_ATTEMPTS = 10


def _silent(done: float, total: float, text: str) -> None:
    """Report to nobody."""


def write_dataset(
    images: Sequence[Path],
    out: Path,
    count: int,
    seed: int = 0,
    format: str = "mvtec",  # noqa: A002
    families: Sequence[str] | None = None,
    progress: Callable[[float, float, str], None] = _silent,
) -> list[ManifestRow]:
    """Write flawed copies of good images.

    A call that was killed goes on where it stopped when it is repeated; one with a greater ``count`` adds to what is
    there.

    Args:
        images: Good images, of any size; each is used at its own.
        out: Folder to write; a new or empty one, or one that the same call began.
        count: Number of flawed images.
        seed: Every random choice follows from it.
        format: ``mvtec``: ``images/x.png`` and ``masks/x.png``, 8 bit, lossless.
        families: Names of flaw families; None is all of them.
        progress: Told how far it is.

    Returns:
        The rows of ``manifest.parquet``, in the order of the images.

    Raises:
        SynthError: If an image cannot be used, or ``out`` holds something else.
    """
    if not images:
        msg = "there are no good images to put flaws on; name at least one"
        raise SynthError(msg)
    if count < 1:
        msg = f"the number of flawed images must be at least 1, not {count}"
        raise SynthError(msg)
    if format not in FORMATS:
        msg = f"there is no format {format!r}; choose {' or '.join(FORMATS)}"
        raise SynthError(msg)
    synthesizer = Synthesizer(families)
    settings = {
        "format": format,
        "seed": seed,
        "families": list(synthesizer.families),
        "images": hashlib.sha256("\n".join(map(str, images)).encode()).hexdigest(),
    }
    _claim(out, settings)
    done = _finished(out)
    for folder in ("images", "masks", _ROWS):
        (out / folder).mkdir(parents=True, exist_ok=True)

    order = torch.randperm(len(images), generator=_generator(seed, "order")).tolist()
    for index in range(count):
        source = images[order[index % len(images)]]
        name = f"{index:06d}_{source.stem}"
        if name not in done:
            flawed, mask, rows = _make(images, source, name, seed, synthesizer)
            write_picture(flawed, out / "images" / f"{name}.png")
            write_picture(mask, out / "masks" / f"{name}.png")
            done[name] = rows
            _write_rows(out / _ROWS / f"{name}.json", rows)
        progress(index + 1, count, "making flaws")
    every = [row for name in sorted(done) for row in done[name]]
    write_manifest(every, out / MANIFEST)
    for path in (out / _ROWS).iterdir():
        path.unlink()
    (out / _ROWS).rmdir()
    return every


def replay_from_files(rows: Sequence[ManifestRow]) -> tuple[Tensor, Tensor]:
    """Make the flawed image of some rows again from the good images that they name.

    Returns:
        The flawed image ``[C, H, W]`` and its mask ``[1, H, W]``.
    """
    image = read_picture(Path(rows[0].source))
    sources = [Path(path) for path in json.loads(rows[0].sources)]
    return replay(image, rows, _context(image, sources))


def _make(
    images: Sequence[Path], source: Path, name: str, seed: int, synthesizer: Synthesizer
) -> tuple[Tensor, Tensor, list[ManifestRow]]:
    """Draw until something visible changed, which nearly always is the first time."""
    image = read_picture(source)
    for attempt in range(_ATTEMPTS):
        drawn = _seed(seed, f"{name}/{attempt}")
        generator = torch.Generator().manual_seed(drawn)
        others = torch.randint(len(images), (_SOURCES,), generator=generator).tolist()
        sources = [images[i] for i in others]
        recipe: Recipe = synthesizer.draw(generator, 1)
        flawed, mask, rows = paint_and_record(
            image,
            recipe,
            _context(image, sources),
            name=name,
            source=str(source),
            sources=[str(path) for path in sources],
            seed=drawn,
        )
        if mask.any():
            return flawed, mask, rows
    msg = f"no flaw can be seen on {source} after {_ATTEMPTS} attempts; is it a picture of a part?"
    raise SynthError(msg)


def _context(image: Tensor, sources: Sequence[Path]) -> Context:
    channels, height, width = image.shape
    others = torch.stack([fit_picture(read_picture(path), channels, (height, width)) for path in sources])
    masks, _ = foreground(image[None])
    return Context(masks, others)


def _claim(out: Path, settings: dict[str, object]) -> None:
    """Mark a new folder as ours, or make sure that it was begun with the same settings."""
    marker = out / _MARKER
    if marker.is_file():
        began = json.loads(marker.read_text())
        differing = [key for key in settings if began.get(key) != settings[key]]
        if differing:
            msg = f"{out} was begun with other {', '.join(differing)}; name another folder, or give the same"
            raise SynthError(msg)
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        msg = f"{out} holds something that is no synthetic data set; name a new or empty folder"
        raise SynthError(msg)
    out.mkdir(parents=True, exist_ok=True)
    _write_text(marker, json.dumps(settings, indent=1))


def _finished(out: Path) -> dict[str, list[ManifestRow]]:
    """Rows of the images that are complete, by name: an image's rows are written after its files."""
    done: dict[str, list[ManifestRow]] = {}
    if (out / MANIFEST).is_file():
        for row in read_manifest(out / MANIFEST):
            done.setdefault(row.image, []).append(row)
    for path in sorted((out / _ROWS).glob("*.json")):
        done[path.stem] = [ManifestRow(**row) for row in json.loads(path.read_text())]
    return done


def _write_rows(path: Path, rows: Sequence[ManifestRow]) -> None:
    _write_text(path, json.dumps([asdict(row) for row in rows]))


def _write_text(path: Path, text: str) -> None:
    working = path.with_name(f".{path.name}.writing")
    working.write_text(text)
    working.replace(path)


def _seed(seed: int, purpose: str) -> int:
    """Seed for one purpose; torch's generator on the CPU uses 32 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:4], "big")


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(_seed(seed, purpose))
