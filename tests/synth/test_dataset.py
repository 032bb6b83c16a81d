import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from synth import dataset, files
from synth.checking import verify_dataset
from synth.dataset import MANIFEST, DatasetReport, replay_image, write_dataset
from synth.draws import DRAWS
from synth.errors import SynthError
from synth.manifest import ManifestRow, read_manifest
from synth.pictures import encode, read_picture, read_pixels
from synth.settings import SynthesisSettings
from synth.sources.defects import Defect, DefectBank


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a set but its lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


class Killed(BaseException):
    pass


def killed_after(calls: int):
    def progress(done: float, total: float, text: str) -> None:
        if text == "making flaws" and done == calls:
            raise Killed

    return progress


def by_image(folder: Path) -> dict[str, list[ManifestRow]]:
    groups: dict[str, list[ManifestRow]] = {}
    for row in read_manifest(folder / MANIFEST):
        groups.setdefault(row.image, []).append(row)
    return groups


def test_masks_are_the_difference_to_the_source_at_its_own_size(good: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = write_dataset(good, out, count=6, seed=1)
    groups = by_image(out)
    assert report == DatasetReport(6, sum(row.area > 0 for rows in groups.values() for row in rows), 6, 0)
    assert len(groups) == 6
    assert {path.stem for path in (out / "images").iterdir()} == {path.stem for path in (out / "masks").iterdir()}
    for name, members in groups.items():
        before = np.array(Image.open(members[0].source)).astype(int)
        after = np.array(Image.open(out / "images" / f"{name}.png")).astype(int)
        mask = np.array(Image.open(out / "masks" / f"{name}.png"))
        changed = np.abs(after - before).reshape(*before.shape[:2], -1).max(axis=2) >= 3
        assert after.shape == before.shape
        assert np.array_equal(mask, changed * np.uint8(255))
        assert changed.sum() >= 3


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_stays_16_bit(tmp_path: Path, channels: int) -> None:
    shape = (48, 60) if channels == 1 else (48, 60, 3)
    pixels = np.random.default_rng(0).integers(20000, 30000, shape, dtype=np.uint16)
    source = tmp_path / "deep.png"
    source.write_bytes(encode(pixels))
    write_dataset([source], tmp_path / "out", count=3)
    for name, rows in by_image(tmp_path / "out").items():
        after = cv2.imread(str(tmp_path / "out" / "images" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert after.dtype == np.uint16
        after = after if channels == 1 else after[..., ::-1]
        mask = np.array(Image.open(tmp_path / "out" / "masks" / f"{name}.png")) > 0
        changed = np.abs(after.astype(int) - pixels).reshape(48, 60, -1).max(axis=2) >= 3 * 65535 // 255
        assert np.array_equal(mask, changed)
        assert rows[0].depth == 16
        # What was not touched keeps every bit.
        assert (after == pixels).mean() > 0.02


def test_the_manifest_replays_to_the_pixel(good: list[Path], tmp_path: Path) -> None:
    write_dataset(good, tmp_path / "out", count=6, seed=1)
    for name in by_image(tmp_path / "out"):
        flawed, mask = replay_image(tmp_path / "out", name)
        written = read_picture(tmp_path / "out" / "images" / f"{name}.png")
        assert torch.equal(flawed, written)
        assert torch.equal(mask, read_picture(tmp_path / "out" / "masks" / f"{name}.png"))


def test_the_manifest_replays_16_bit_to_the_last_bit(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(20000, 30000, (96, 96, 3), dtype=np.uint16)
    (tmp_path / "deep.png").write_bytes(encode(pixels))
    write_dataset([tmp_path / "deep.png"], tmp_path / "out", count=6)
    for name in by_image(tmp_path / "out"):
        written = read_picture(tmp_path / "out" / "images" / f"{name}.png")
        assert torch.equal(replay_image(tmp_path / "out", name)[0], written)


def test_replaying_says_when_a_source_has_changed(good: list[Path], tmp_path: Path) -> None:
    write_dataset(good[:1], tmp_path / "out", count=1)
    (name,) = by_image(tmp_path / "out")
    good[0].write_bytes(encode(read_pixels(good[0]) // 2))
    with pytest.raises(SynthError, match="content has changed"):
        replay_image(tmp_path / "out", name)
    with pytest.raises(SynthError, match="knows no image"):
        replay_image(tmp_path / "out", "other")


def test_what_would_be_painted_otherwise_is_not_replayed(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(good[:1], tmp_path / "out", count=1)
    (name,) = by_image(tmp_path / "out")
    monkeypatch.setattr("synth.dataset.DRAWS", DRAWS + 1)
    with pytest.raises(SynthError, match="painted some families otherwise"):
        replay_image(tmp_path / "out", name)


@pytest.mark.parametrize("layout", ["mvtec", "coco", "yolo"])
def test_the_same_call_gives_the_same_bytes_with_any_number_of_workers(
    good: list[Path], tmp_path: Path, layout: str
) -> None:
    for workers in (1, 3):
        write_dataset(good, tmp_path / str(workers), count=5, format=layout, workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


@pytest.mark.parametrize("finished", [1, 3, 4])
@pytest.mark.parametrize("layout", ["mvtec", "coco"])
def test_a_stopped_run_ends_like_one_that_was_not(good: list[Path], tmp_path: Path, finished: int, layout: str) -> None:
    write_dataset(good, tmp_path / "whole", count=4, format=layout)
    with pytest.raises(Killed):
        write_dataset(good, tmp_path / "killed", count=4, format=layout, progress=killed_after(finished), workers=1)
    first = min((tmp_path / "killed" / "images").iterdir())
    written = first.stat().st_mtime_ns
    write_dataset(good, tmp_path / "killed", count=4, format=layout)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert first.stat().st_mtime_ns == written


@pytest.mark.parametrize("draws", [None, 1])
def test_a_set_begun_with_other_draws_is_not_gone_on_with(good: list[Path], tmp_path: Path, draws: int | None) -> None:
    with pytest.raises(Killed):
        write_dataset(good, tmp_path / "out", count=3, progress=killed_after(1), workers=1)
    journal = tmp_path / "out" / "synthesis.jsonl"
    first, *done = journal.read_text().splitlines(keepends=True)
    asked = {key: value for key, value in json.loads(first).items() if key != "draws"} | (
        {"draws": draws} if draws else {}
    )
    journal.write_text("".join([json.dumps(asked) + "\n", *done]))
    with pytest.raises(SynthError, match="begun with other draws"):
        write_dataset(good, tmp_path / "out", count=3)


def test_a_killed_process_ends_like_one_that_was_not(good: list[Path], tmp_path: Path) -> None:
    write_dataset(good, tmp_path / "whole", count=14, format="yolo")
    code = (
        "import sys, time; from pathlib import Path; from synth.dataset import write_dataset\n"
        "write_dataset(sorted(Path(sys.argv[1]).iterdir()), Path(sys.argv[2]), count=14, format='yolo', "
        "progress=lambda *_: time.sleep(0.3))"
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, str(good[0].parent), str(killed)], cwd=Path.cwd())
    deadline = time.monotonic() + 300  # it imports torch first, which on a busy machine takes over a minute
    while len(list((killed / "images").glob("*.png")) if (killed / "images").exists() else []) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    # A line that was being written when the machine stopped.
    with (killed / "synthesis.jsonl").open("ab") as stream:
        stream.write(b'{"image": "000013_pa')
    with pytest.raises(SynthError, match="the command that began it goes on with it"):
        verify_dataset(killed)
    write_dataset(good, killed, count=14, format="yolo")
    assert verify_dataset(killed) == []
    assert contents(killed) == contents(tmp_path / "whole")


def test_a_greater_count_adds_to_what_is_there(good: list[Path], tmp_path: Path) -> None:
    write_dataset(good, tmp_path / "out", count=2)
    few, before = read_manifest(tmp_path / "out" / MANIFEST), contents(tmp_path / "out" / "images")
    write_dataset(good, tmp_path / "out", count=5)
    assert read_manifest(tmp_path / "out" / MANIFEST)[: len(few)] == few
    assert before.items() <= contents(tmp_path / "out" / "images").items()
    write_dataset(good, tmp_path / "whole", count=5)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_other_folders_and_other_settings_are_refused(good: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="no synthetic data set"):
        write_dataset(good, good[0].parent, count=1)
    assert not (good[0].parent / ".lock").exists()
    write_dataset(good, tmp_path / "out", count=1)
    for other, says in [
        ({"seed": 7}, "other seed"),
        ({"format": "coco"}, "other format"),
        ({"settings": SynthesisSettings(severity=(0.5, 1.0))}, "other settings"),
    ]:
        with pytest.raises(SynthError, match=says):
            write_dataset(good, tmp_path / "out", count=1, **other)
    with pytest.raises(SynthError, match="other images"):
        write_dataset(good[:2], tmp_path / "out", count=1)
    (tmp_path / "out" / "synthesis.jsonl").write_text("a diary\n")
    with pytest.raises(SynthError, match="no journal"):
        write_dataset(good, tmp_path / "out", count=1)


def test_a_mistake_before_the_first_image_does_not_take_the_folder(good: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(good[0].read_bytes()[:60])
    (tmp_path / "out").mkdir()
    with pytest.raises(SynthError, match="cannot be read"):
        write_dataset([tmp_path / "broken.png"], tmp_path / "out", count=1)
    write_dataset(good, tmp_path / "out", count=1, seed=3)
    write_dataset(good, tmp_path / "new", count=1, seed=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "new")


def test_two_processes_do_not_write_one_set(good: list[Path], tmp_path: Path) -> None:
    write_dataset(good, tmp_path / "out", count=1)
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(SynthError, match="another process"):
        write_dataset(good, tmp_path / "out", count=2)


def test_checksums_find_what_is_missing_changed_or_added(good: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_dataset(good, out, count=4)
    assert verify_dataset(out) == []
    lines = (out / "checksums.sha256").read_text().splitlines()
    assert {line.split("  ", 1)[1] for line in lines} == contents(out).keys() - {"checksums.sha256"}
    masks = sorted((out / "masks").iterdir())
    masks[0].write_bytes(masks[1].read_bytes())
    masks[2].unlink()
    (out / "notes.txt").write_text("mine")
    problems = verify_dataset(out)
    # The ground truth is a link to the mask, and changes with it.
    assert f"masks/{masks[0].name} has changed" in problems
    assert f"masks/{masks[2].name} is missing" in problems
    assert "notes.txt does not belong to the set" in problems
    assert len(problems) == 4


def test_a_full_disk_is_said_and_the_run_goes_on_later(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = Path.write_bytes, []

    def full(self: Path, data: bytes) -> int:
        calls.append(self)
        if len(calls) == 6:
            raise OSError(28, "No space left on device")
        return whole(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SynthError, match="disk is full; free some space, and the same command goes on"):
        write_dataset(good, tmp_path / "out", count=4, workers=1)
    monkeypatch.undo()
    write_dataset(good, tmp_path / "out", count=4)
    assert verify_dataset(tmp_path / "out") == []


def test_a_folder_that_may_not_be_written_is_said(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(SynthError, match="may not be written to"):
        write_dataset(good, tmp_path / "out", count=1)


def test_files_are_copied_where_there_are_no_links(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(files.os, "link", no_links)
    write_dataset(good, tmp_path / "out", count=2)
    assert verify_dataset(tmp_path / "out") == []
    assert len(list((tmp_path / "out" / "ground_truth").rglob("*_mask.png"))) == 2


def test_mistakes_are_said(good: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(good[0].read_bytes()[:60])
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    for images, says in [
        ([], "no good images"),
        ([tmp_path / "none.png"], "does not exist"),
        ([tmp_path / "broken.png"], "cannot be read"),
        ([tmp_path / "dot.png"], r"dot\.png has 1×1 pixels, too few"),
    ]:
        with pytest.raises(SynthError, match=says):
            write_dataset(images, tmp_path / "out" / says, count=1)
    with pytest.raises(SynthError, match="at least 1"):
        write_dataset(good, tmp_path / "out", count=0)
    with pytest.raises(SynthError, match="no format"):
        write_dataset(good, tmp_path / "out", count=1, format="voc")


def test_settings_choose_families_regions_and_visibility(good: list[Path], tmp_path: Path) -> None:
    settings = SynthesisSettings.model_validate(
        {
            "families": {"scratch": {"weight": 3, "length": [0.5, 1.0]}, "blob": {}},
            "regions": {"include": [{"box": [0.5, 0, 1, 1]}]},
            "visibility": {"area": 12},
        }
    )
    write_dataset(good, tmp_path / "out", count=8, settings=settings)
    groups = by_image(tmp_path / "out")
    rows = [row for members in groups.values() for row in members]
    assert {row.family for row in rows} == {"scratch", "blob"}
    assert all(json.loads(row.parameters)["length"] >= 0.49 for row in rows if row.family == "scratch")
    for name in groups:
        mask = read_pixels(tmp_path / "out" / "masks" / f"{name}.png") > 0
        assert mask.sum() >= 12
        assert not mask[:, : mask.shape[1] // 2].any()
        flawed, _ = replay_image(tmp_path / "out", name)
        written = read_picture(tmp_path / "out" / "images" / f"{name}.png")
        assert torch.equal((flawed * 255).round(), (written * 255).round())


def test_flaws_keep_to_the_part_and_its_trust_is_noted(tmp_path: Path) -> None:
    y, x = np.mgrid[-1:1:90j, -1:1:90j]
    part = np.where((np.abs(x) < 0.6) & (np.abs(y) < 0.6), 160, 30).astype(np.uint8)
    source = tmp_path / "part.png"
    Image.fromarray(part).save(source)
    report = write_dataset([source], tmp_path / "out", count=6)
    assert report.whole == 0
    for name, rows in by_image(tmp_path / "out").items():
        assert rows[0].foreground_trust > 0.9
        mask = read_pixels(tmp_path / "out" / "masks" / f"{name}.png") > 0
        assert not mask[(np.abs(x) > 0.63) | (np.abs(y) > 0.63)].any()
    anywhere = SynthesisSettings(foreground=False)
    assert write_dataset([source], tmp_path / "all", count=1, settings=anywhere).whole == 1


def test_an_image_without_a_visible_flaw_is_said(good: list[Path], tmp_path: Path) -> None:
    settings = SynthesisSettings.model_validate({"visibility": {"contrast": 1.0}})
    with pytest.raises(SynthError, match=r"no flaw can be seen well enough on .*part"):
        write_dataset(good, tmp_path / "out", count=1, settings=settings)


def test_few_sources_lie_beside_a_large_image(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "_SOURCE_BYTES", 64 * 80 * 4 * 2)
    write_dataset(good, tmp_path / "out", count=3)
    for rows in by_image(tmp_path / "out").values():
        height, width = read_pixels(Path(rows[0].source)).shape[:2]
        assert len(json.loads(rows[0].sources)) in ({2} if (height, width) == (64, 80) else {1, 4})


def test_confirmed_defects_are_a_source_that_the_manifest_names(good: list[Path], tmp_path: Path) -> None:
    def square(name: str, level: float) -> Defect:
        pixels, mask = torch.full((1, 21, 21), 0.5), torch.zeros(1, 21, 21)
        pixels[:, 7:14, 7:14], mask[:, 7:14, 7:14] = level, 1
        return Defect(pixels, mask, torch.tensor([0.5]), torch.tensor([0.02]), 1.0, 64, name)

    bank = DefectBank((square("dark", 0.1), square("bright", 0.9)))
    settings = SynthesisSettings.model_validate({"sources": {"defects": "bank"}})
    assert "confirmed" in settings.names
    write_dataset(good, tmp_path / "out", count=12, settings=settings, defects=bank)
    groups = by_image(tmp_path / "out")
    confirmed = [row for rows in groups.values() for row in rows if row.family == "confirmed"]
    assert {row.content_source for row in confirmed} == {"dark", "bright"}
    assert {row.content for row in confirmed} == {"defect"}
    name = confirmed[0].image
    flawed, _ = replay_image(tmp_path / "out", name, bank)
    written = read_picture(tmp_path / "out" / "images" / f"{name}.png")
    assert torch.equal((flawed * 255).round(), (written * 255).round())
    with pytest.raises(SynthError, match="made from other confirmed defects"):
        replay_image(tmp_path / "out", name)
    with pytest.raises(SynthError, match="begun with other defects"):
        write_dataset(good, tmp_path / "out", count=12, settings=settings, defects=DefectBank(bank.defects[:1]))


def test_pictures_of_textures_are_a_source_that_the_manifest_names(
    good: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dtd" / "dotted").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    Image.fromarray((np.indices((40, 40)).sum(axis=0) % 2 * 255).astype(np.uint8)).save("dtd/dotted/checks.png")
    asked = {"families": ["perlin"], "sources": {"textures": "dtd", "parts": 0}}
    write_dataset(good, tmp_path / "out", count=12, settings=SynthesisSettings.model_validate(asked))
    rows = read_manifest(tmp_path / "out" / MANIFEST)
    shown = {row.content: row.content_source for row in rows}
    assert shown["texture"] == str(tmp_path / "dtd" / "dotted" / "checks.png")
    name = next(row.image for row in rows if row.content == "texture")
    monkeypatch.chdir(tmp_path / "dtd")
    flawed, _ = replay_image(tmp_path / "out", f"{name}.png")
    assert torch.equal((flawed * 255).round(), (read_picture(tmp_path / f"out/images/{name}.png") * 255).round())


@pytest.mark.parametrize("layout", ["mvtec", "coco", "yolo"])
def test_what_is_lost_or_damaged_is_made_anew_to_the_byte(good: list[Path], tmp_path: Path, layout: str) -> None:
    out = tmp_path / "out"
    write_dataset(good, out, count=5, format=layout)
    before = contents(out)
    for again in (3, 5):
        images, masks = sorted((out / "images").iterdir()), sorted((out / "masks").iterdir())
        images[0].unlink()
        masks[0].unlink()
        images[1].write_bytes(images[1].read_bytes()[:40])
        exported = next(
            (file for name in ("test", "labels") for file in sorted((out / name).rglob("000003_*"))), masks[3]
        )
        exported.unlink()
        report = write_dataset(good, out, count=again, format=layout)
        assert (report.images, report.renewed) == (5, 3)
        assert contents(out) == before
        assert verify_dataset(out) == []
    assert write_dataset(good, out, count=5, format=layout).renewed == 0


def test_what_cannot_be_made_anew_as_it_was_is_said(good: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_dataset(good, out, count=3)
    next((out / "images").glob("000000_*")).unlink()
    rows = by_image(out)
    changed = Path(next(rows[name][0].source for name in rows if name.startswith("000000_")))
    changed.write_bytes(encode(255 - read_pixels(changed)))
    for _ in range(2):
        with pytest.raises(SynthError, match=rf"000000_{changed.stem} .*cannot be made anew as it was.*other folder"):
            write_dataset(good, out, count=3)
        with pytest.raises(SynthError, match="is not complete; the command that began it goes on with it"):
            verify_dataset(out)
