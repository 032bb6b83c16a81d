"""What is looked at before a set is made or gone on with, and once it is complete: good images, files, checksums."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from synth.errors import SynthError
from synth.families.base import SMALLEST_SIDE
from synth.files import sha256_of
from synth.journal import JOURNAL, LOCK, Entry
from synth.pictures import check_picture
from synth.sources.defects import DefectBank

CHECKSUMS = "checksums.sha256"

Told = Callable[[float, float, str], None]


def check_good(images: Sequence[Path], progress: Told) -> None:
    """Look whether all good images can be read and are large enough, before the first flaw is made.

    Raises:
        SynthError: Naming the first that cannot be used.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        sizes = pool.map(check_picture, images)
        for done, (path, (height, width)) in enumerate(zip(images, sizes, strict=True), start=1):
            if min(height, width) < SMALLEST_SIDE:
                msg = (
                    f"image {path} has {height}×{width} pixels, too few for a flaw; "
                    f"{SMALLEST_SIDE}×{SMALLEST_SIDE} is the least"
                )
                raise SynthError(msg)
            progress(done, len(images), "looking at the good images")


def check_sources(textures: Sequence[Path], defects: DefectBank | None, progress: Told) -> None:
    """Look whether all textures can be read, and every confirmed defect has something to show, likewise.

    Args:
        textures: Files; all of them, as which ones are drawn depends on the image.
        defects: None where there are none.
        progress: Told the number of textures that were looked at.

    Raises:
        SynthError: Naming the first that cannot be used.
    """
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done, _ in enumerate(pool.map(check_picture, textures), start=1):
            progress(done, len(textures), "looking at the textures")
    for defect in defects.defects if defects else ():
        if not defect.mask.any() or not all(bool(part.isfinite().all()) for part in (defect.pixels, defect.mask)):
            msg = f"the confirmed defect {defect.name} is empty or damaged; take it out of its bank, or make that again"
            raise SynthError(msg)


def check_journal(folder: Path) -> None:
    """Compare the journal of a set that is complete with its checksum.

    Raises:
        SynthError: If it is another one.
    """
    checksums, journal = folder / CHECKSUMS, folder / JOURNAL
    if not checksums.is_file():
        return
    with checksums.open(encoding="utf-8", errors="replace") as stream:
        if f"{sha256_of(journal)}  {JOURNAL}\n" not in stream:
            msg = (
                f"{journal} has changed since the set was complete, by {CHECKSUMS}, and the set cannot be gone on "
                "with; the same command makes it anew in another folder"
            )
            raise SynthError(msg)


def find_lost(folder: Path, entries: Iterable[Entry], count: int, progress: Told) -> dict[str, Entry]:
    """Find the images of which a file is missing or not as it was written.

    Args:
        folder: Of the set.
        entries: Of its images.
        count: Number of them.
        progress: Told the number of images that were looked at.

    Returns:
        Their entries by name.
    """
    lost = {}
    for done, entry in enumerate(entries, start=1):
        if any(_problem(folder, name, digest) for name, digest in entry.digests.items()):
            lost[entry.image] = entry
        progress(done, count, "looking at what is there")
    return lost


def verify_dataset(folder: Path) -> list[str]:
    """Compare a set with its checksums.

    Returns:
        A sentence for each file that is missing, has changed, or does not belong to the set; none if all is well.

    Raises:
        SynthError: If the folder holds no complete set.
    """
    if not (folder / CHECKSUMS).is_file():
        if (folder / JOURNAL).is_file():
            msg = f"the synthetic data set in {folder} is not complete; the command that began it goes on with it"
        else:
            msg = (
                f"{folder} holds no synthetic data set; name the folder that one was written to (flawsmith synth --out)"
            )
        raise SynthError(msg)
    problems, listed = [], {CHECKSUMS, LOCK}
    for digest, name in read_checksums(folder / CHECKSUMS):
        listed.add(name)
        if problem := _problem(folder, name, digest):
            problems.append(problem)
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return problems + [f"{name} does not belong to the set" for name in found if name not in listed]


def read_checksums(file: Path) -> Iterator[tuple[str, str]]:
    """SHA-256 and path of each file of a set.

    Raises:
        SynthError: If the file is damaged.
    """
    with file.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            digest, gap, name = line.rstrip("\n").partition("  ")
            if not gap:
                msg = f"{file} is damaged; run the command that made the set again, which writes it anew"
                raise SynthError(msg)
            yield digest, name


def _problem(folder: Path, name: str, digest: str) -> str:
    """What is wrong with a file of a set; empty if nothing is."""
    file = folder / name
    if not file.is_file():
        return f"{name} is missing"
    return "" if sha256_of(file) == digest else f"{name} has changed"
