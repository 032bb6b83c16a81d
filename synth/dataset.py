"""Synthetic data sets on disk: flawed images, their masks and the manifest, in a layout that other tools read."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor

from synth.checking import CHECKSUMS, check_good, check_journal, check_sources, find_lost
from synth.contact import write_overview
from synth.draws import DRAWS
from synth.errors import SynthError
from synth.export import FORMATS, Layout, Sample
from synth.families.base import Context
from synth.files import answered, sha256_of, whole_file, write_file
from synth.foreground import foreground
from synth.image_level import Synthesizer
from synth.journal import Entry, Journal
from synth.manifest import (
    ManifestInfo,
    Painted,
    Provenance,
    paint_and_record,
    read_manifest,
    read_manifest_info,
    replay,
    write_manifest,
)
from synth.pictures import (
    Pixels,
    cut_to,
    depth_of,
    encode,
    fit_picture,
    read_picture,
    read_pixels,
    to_pixels,
    to_tensor,
)
from synth.regions import confine
from synth.rehearsal import rehearse
from synth.room import Room
from synth.settings import SynthesisSettings
from synth.sources.defects import DefectBank, bank_in_channels
from synth.sources.folder import TextureFolder

MANIFEST = "manifest.parquet"
OVERVIEW = "overview/contact.png"
"""In a folder of its own: loose images would make readers doubt the layout."""
_ATTEMPTS = 10
_MOST_WORKERS = 4
_SOURCE_BYTES = 2**28
"""Memory for other good parts beside an image; large images have fewer beside them."""
_ROOM = 2**29
"""Bytes of good images that are worked on at once; each takes about eight times its own in all."""


def _silent(done: float, total: float, text: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class DatasetReport:
    """What a set holds.

    Attributes:
        images: Number of flawed images.
        flaws: Number of flaws that can be seen.
        whole: Images on which flaws may lie anywhere that regions allow, as no part could be told from its background.
        renewed: Images that were complete once, were lost or damaged since, and were made anew as they had been.
    """

    images: int
    flaws: int
    whole: int
    renewed: int


def write_dataset(
    images: Sequence[Path],
    out: Path,
    count: int,
    *,
    settings: SynthesisSettings | None = None,
    defects: DefectBank | None = None,
    seed: int = 0,
    format: str = "mvtec",  # noqa: A002
    workers: int | None = None,
    progress: Callable[[float, float, str], None] = _silent,
) -> DatasetReport:
    """Write flawed copies of good images.

    A call that was killed, at any moment, goes on where it stopped when it is repeated; one with a greater ``count``
    adds to what is there. What was lost or damaged since it was written is made anew, byte for byte. The same call
    gives the same bytes, however many threads work on it. Memory does not grow with the number of images.

    Args:
        images: Good images, of any size and of 8 or 16 bit; each is used at its own.
        out: Folder to write; a new or empty one, or one that the same call began.
        count: Number of flawed images.
        settings: How flaws are made.
        defects: Confirmed defects, for the family that blends them in.
        seed: Every random choice follows from it.
        format: A name in ``synth.export.FORMATS``; every one has ``images/x.png`` and ``masks/x.png`` as well.
        workers: Images that are worked on at once; None is the number of processors, at most four.
        progress: Told how far it is.

    Raises:
        SynthError: If an image, a texture or a confirmed defect cannot be used, which is looked at before anything is
            made; if ``out`` holds something else; if its journal is damaged, or what was lost cannot be made as it was;
            or if the disk does not take the files.
    """
    settings = settings or SynthesisSettings()
    if not images:
        msg = "there are no good images to put flaws on; name at least one"
        raise SynthError(msg)
    if count < 1:
        msg = f"the number of flawed images must be at least 1, not {count}"
        raise SynthError(msg)
    if format not in FORMATS:
        msg = f"there is no format {format!r}; choose {' or '.join(FORMATS)}"
        raise SynthError(msg)
    paths = [path.absolute() for path in images]
    maker = _Maker(paths, out, seed, FORMATS[format], settings, defects)
    with Journal.opened(out, maker.asked) as journal, _one_thread():
        order = torch.randperm(len(paths), generator=_generator(seed, "order")).tolist()
        count = max(count, len(journal.done))
        jobs = [(f"{i:06d}_{paths[order[i % len(paths)]].stem}", order[i % len(paths)]) for i in range(count)]
        journal.check_names([name for name, _ in jobs])
        check_journal(out)
        with _begun_with(journal):
            check_good(paths, progress)
            check_sources(maker.textures.files if maker.textures else [], defects, progress)
        lost = find_lost(out, journal.entries(), len(journal.done), progress)
        with answered(out):
            (out / CHECKSUMS).unlink(missing_ok=True)
        todo = [job for job in jobs if job[0] in lost or job[0] not in journal.done]
        if todo:
            rehearse(progress)
        for done, entry in enumerate(_in_order(maker.make, todo, workers), start=count - len(todo) + 1):
            if entry.image in lost:
                _check_renewed(entry, lost[entry.image], out)
            else:
                journal.append(entry)
            progress(done, count, "making flaws")
        return _finish(out, journal, maker, len(lost))


def replay_image(folder: Path, name: str, defects: DefectBank | None = None) -> tuple[Tensor, Tensor]:
    """Make a flawed image of a set again, from the manifest and the good images that it names.

    On the same kind of device the pixels are the same; between devices they are within 1/255.

    Args:
        folder: Of the set.
        name: Of the image, as in the manifest, or of its file.
        defects: The confirmed defects that the set was made from, if it was.

    Returns:
        The flawed image ``[C, H, W]``, rounded to its depth as in its file, and its mask ``[1, H, W]``.

    Raises:
        SynthError: If there is no such image, a file that it was made from is gone or has changed, or families have
            been painted otherwise since.
    """
    name = name.removesuffix(".png")
    rows = read_manifest(folder / MANIFEST, name)
    if not rows:
        msg = f"{folder / MANIFEST} knows no image {name!r}"
        raise SynthError(msg)
    info = read_manifest_info(folder / MANIFEST)
    if info.draws != DRAWS:
        msg = (
            f"{folder} was made by flawsmith {info.version}, which painted some families otherwise: this one would "
            "give other pixels; replay it with that version, or make the set again"
        )
        raise SynthError(msg)
    settings = SynthesisSettings.model_validate(info.settings)
    if info.defects != _digest(defects):
        msg = f"{folder} was made from {'other' if info.defects else 'no'} confirmed defects; give those for a replay"
        raise SynthError(msg)
    source = Path(rows[0].source)
    pixels = read_pixels(source)
    if sha256_of(source) != rows[0].source_sha256:
        msg = f"{source} is not the image that {name} was made from: its content has changed"
        raise SynthError(msg)
    image = to_tensor(pixels)
    sources, textures = ([Path(path) for path in json.loads(names)] for names in (rows[0].sources, rows[0].textures))
    depth = depth_of(pixels)
    context, _ = _context(image, source, settings, depth, sources, textures, defects)
    flawed, mask = replay(image, rows, context)
    return to_tensor(to_pixels(flawed, depth)), mask


class _Maker:
    """Makes one image of a set after the other; what it makes depends on the image's name alone."""

    def __init__(
        self,
        images: Sequence[Path],
        out: Path,
        seed: int,
        layout: Layout,
        settings: SynthesisSettings,
        defects: DefectBank | None,
    ) -> None:
        self.images, self.out, self.seed, self.settings, self.defects = images, out, seed, settings, defects
        self.layout = layout
        self.synthesizer: Synthesizer = settings.synthesizer()
        folder = settings.sources.textures
        self.textures = TextureFolder(folder) if folder else None
        self._room = Room(_ROOM)

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for, as plain data."""
        return {
            "version": version("flawsmith"),
            "draws": DRAWS,
            "format": self.layout.name,
            "seed": self.seed,
            "images": hashlib.sha256("\n".join(map(str, self.images)).encode()).hexdigest(),
            "settings": self.settings.model_dump(mode="json"),
            "defects": _digest(self.defects),
        }

    def make(self, name: str, index: int) -> Entry:
        """Make an image and write its files."""
        pixels = read_pixels(self.images[index])
        with self._room.taken(pixels.size * 4):
            return self._make(name, self.images[index], pixels)

    def _make(self, name: str, source: Path, pixels: Pixels) -> Entry:
        painted, trust = self._paint(name, source, pixels)
        depth = painted.rows[0].depth
        digests = {
            file: write_file(self.out / file, encode(to_pixels(picture, bits)))
            for file, picture, bits in (
                (f"images/{name}.png", painted.image, depth),
                (f"masks/{name}.png", painted.mask, 8),
            )
        }
        sample = Sample(name, painted.instances, [row.family for row in painted.rows], digests)
        more, exported = self.layout.add(self.out, sample, self.settings.names)
        return Entry(name, trust, painted.rows, {**digests, **more}, exported)

    def _paint(self, name: str, source: Path, pixels: Pixels) -> tuple[Painted, float]:
        """Draw until enough can be seen, which nearly always is the first time."""
        image, depth, digest = to_tensor(pixels), depth_of(pixels), sha256_of(source)
        for attempt in range(_ATTEMPTS):
            drawn = _seed(self.seed, f"{name}/{attempt}")
            generator = torch.Generator().manual_seed(drawn)
            sources, textures = self._draw_sources(generator, image)
            context, trust = _context(image, source, self.settings, depth, sources, textures, self.defects)
            provenance = Provenance(
                image=name,
                source=str(source),
                source_sha256=digest,
                sources=[str(path) for path in sources],
                textures=[str(path) for path in textures],
                defects=[defect.name for defect in self.defects.defects] if self.defects else [],
                seed=drawn,
                foreground_trust=trust,
            )
            painted = paint_and_record(image, self.synthesizer.draw(generator, 1), context, provenance)
            wanted = self.settings.visibility
            clearest = max(abs(row.contrast) for row in painted.rows)
            if int(painted.mask.sum()) >= wanted.area and clearest >= wanted.contrast:
                return painted, trust
        msg = f"no flaw can be seen well enough on {source} after {_ATTEMPTS} attempts; is it a picture of a part?"
        raise SynthError(msg)

    def _draw_sources(self, generator: torch.Generator, image: Tensor) -> tuple[list[Path], list[Path]]:
        wanted = self.settings.sources.parts
        number = min(wanted, max(1, _SOURCE_BYTES // (image.numel() * image.element_size())))
        parts = [self.images[i] for i in torch.randint(len(self.images), (number,), generator=generator).tolist()]
        if self.textures is None:
            return parts, []
        # Absolute, as good parts are: a replay may be started in another folder.
        files = [file.absolute() for file in self.textures.files]
        return parts, [files[i] for i in torch.randint(len(files), (max(1, number),), generator=generator).tolist()]


def _context(
    image: Tensor,
    source: Path,
    settings: SynthesisSettings,
    depth: int,
    sources: Sequence[Path],
    textures: Sequence[Path],
    defects: DefectBank | None,
) -> tuple[Context, float]:
    """What flaws on an image may use, and the trust of its foreground."""
    channels, height, width = image.shape
    allowed = settings.regions.allowed(height, width, source)
    part, trust = foreground(image[None]) if settings.foreground else (torch.ones(1, 1, height, width), torch.zeros(1))
    everywhere = allowed is None and not trust.any()

    def stacked(paths: Sequence[Path], fit: Callable[[Tensor, int, tuple[int, int]], Tensor]) -> Tensor | None:
        fitted = [fit(read_picture(path), channels, (height, width)) for path in paths]
        return torch.stack(fitted) if fitted else None

    context = Context(
        foreground=None if everywhere else confine(part, allowed, source),
        sources=stacked(sources, cut_to),
        textures=stacked(textures, fit_picture),
        defects=_in_channels(defects, channels) if defects else None,
        depth=cast(Literal[8, 16], depth),
    )
    return context, float(trust[0])


_in_channels = lru_cache(maxsize=4)(bank_in_channels)


def _digest(defects: DefectBank | None) -> str:
    """SHA-256 over names and pixels; empty without any."""
    if not defects:
        return ""
    digest = hashlib.sha256()
    for defect in defects.defects:
        for content in (defect.name.encode(), defect.pixels.numpy().tobytes(), defect.mask.numpy().tobytes()):
            digest.update(content)
    return digest.hexdigest()


@contextmanager
def _begun_with(journal: Journal) -> Iterator[None]:
    """Where images are complete, an image that cannot be used is no longer to be left out."""
    try:
        yield
    except SynthError as error:
        if not journal.done:
            raise
        msg = (
            f"{error}. {journal.path.parent} was begun with it, and goes on only with it; to leave it out, name "
            "another folder"
        )
        raise SynthError(msg) from error


def _check_renewed(entry: Entry, before: Entry, out: Path) -> None:
    if entry.digests != before.digests:
        msg = (
            f"{entry.image} of {out} was lost or damaged, and cannot be made anew as it was: its good image "
            f"{entry.rows[0].source}, a source beside it or the environment has changed; put that right, or name "
            "another folder"
        )
        raise SynthError(msg)


def _finish(out: Path, journal: Journal, maker: _Maker, renewed: int) -> DatasetReport:
    """Write what is made from all images together; checksums last, as they say that the set is complete."""
    families = maker.settings.names
    info = ManifestInfo(settings=maker.settings.model_dump(mode="json"), defects=_digest(maker.defects))
    write_manifest((row for entry in journal.entries() for row in entry.rows), out / MANIFEST, info)
    added = ((entry.image, entry.exported) for entry in journal.entries())
    files = maker.layout.finish(out, added, families)
    write_overview(out, journal.entries(), len(journal.done), out / OVERVIEW)
    files.update({name: sha256_of(out / name) for name in (MANIFEST, OVERVIEW, journal.path.name)})
    flaws = whole = 0
    with whole_file(out / CHECKSUMS) as write:
        for entry in journal.entries():
            flaws += sum(row.area > 0 for row in entry.rows)
            whole += entry.trust == 0
            write("".join(f"{digest}  {name}\n" for name, digest in entry.digests.items()))
        write("".join(f"{digest}  {name}\n" for name, digest in files.items()))
    return DatasetReport(len(journal.done), flaws, whole, renewed)


def _in_order(
    make: Callable[[str, int], Entry], jobs: Sequence[tuple[str, int]], workers: int | None
) -> Iterator[Entry]:
    """Results in the order of the jobs, a few of them worked on ahead."""
    at_once = workers or min(_MOST_WORKERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(at_once) as pool:
        ahead: deque[Future[Entry]] = deque()
        try:
            for job in jobs:
                ahead.append(pool.submit(make, *job))
                if len(ahead) > at_once:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Images are worked on side by side; sums inside torch must not depend on how many processors there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _seed(seed: int, purpose: str) -> int:
    """Seed for one purpose; torch's generator on the CPU uses 32 bits."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:4], "big")


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(_seed(seed, purpose))
