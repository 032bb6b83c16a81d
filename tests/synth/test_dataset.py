import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from synth.dataset import MANIFEST, replay_from_files, write_dataset
from synth.errors import SynthError
from synth.families import Context
from synth.image_level import Synthesizer
from synth.manifest import ManifestRow, paint_and_record, read_manifest, replay, write_manifest
from synth.pictures import read_picture


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "good"
    folder.mkdir()
    rng = np.random.default_rng(0)
    shapes = [(64, 80), (50, 50), (40, 72, 3)]
    for i, shape in enumerate(shapes):
        Image.fromarray(rng.integers(90, 150, shape, dtype=np.uint8)).save(folder / f"part{i}.png")
    return sorted(folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix == ".png"
    }


class Killed(BaseException):
    pass


def killed_after(calls: int):
    def progress(done: float, total: float, text: str) -> None:
        if done == calls:
            raise Killed

    return progress


def by_image(rows: list[ManifestRow]) -> dict[str, list[ManifestRow]]:
    return {name: [row for row in rows if row.image == name] for name in {row.image for row in rows}}


def test_masks_are_the_difference_to_the_source_at_its_own_size(good: list[Path], tmp_path: Path) -> None:
    rows = write_dataset(good, tmp_path / "out", count=6, seed=1)
    assert read_manifest(tmp_path / "out" / MANIFEST) == rows
    groups = by_image(rows)
    assert len(groups) == 6
    for name, members in groups.items():
        before = np.array(Image.open(members[0].source)).astype(int)
        after = np.array(Image.open(tmp_path / "out" / "images" / f"{name}.png")).astype(int)
        mask = np.array(Image.open(tmp_path / "out" / "masks" / f"{name}.png"))
        changed = np.abs(after - before).reshape(*before.shape[:2], -1).max(axis=2) >= 3
        assert after.shape == before.shape
        assert np.array_equal(mask, changed * np.uint8(255))
        assert changed.any()


def test_the_manifest_replays_to_the_pixel(good: list[Path], tmp_path: Path) -> None:
    write_dataset(good, tmp_path / "out", count=6, seed=1)
    for name, members in by_image(read_manifest(tmp_path / "out" / MANIFEST)).items():
        flawed, mask = replay_from_files(members)
        written = read_picture(tmp_path / "out" / "images" / f"{name}.png")
        assert torch.equal((flawed * 255).round(), (written * 255).round())
        assert torch.equal(mask, read_picture(tmp_path / "out" / "masks" / f"{name}.png"))


@pytest.mark.parametrize("finished", [1, 3, 4])
def test_a_killed_run_ends_like_one_that_was_not(good: list[Path], tmp_path: Path, finished: int) -> None:
    whole = write_dataset(good, tmp_path / "whole", count=4)
    with pytest.raises(Killed):
        write_dataset(good, tmp_path / "killed", count=4, progress=killed_after(finished))
    first = min((tmp_path / "killed" / "images").iterdir())
    written = first.stat().st_mtime_ns
    assert write_dataset(good, tmp_path / "killed", count=4) == whole
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert first.stat().st_mtime_ns == written


def test_a_greater_count_adds_to_what_is_there(good: list[Path], tmp_path: Path) -> None:
    few = write_dataset(good, tmp_path / "out", count=2)
    before = contents(tmp_path / "out")
    many = write_dataset(good, tmp_path / "out", count=5)
    assert many[: len(few)] == few
    assert before.items() <= contents(tmp_path / "out").items()
    assert len(contents(tmp_path / "out")) == 10


def test_other_folders_and_other_settings_are_refused(good: list[Path], tmp_path: Path) -> None:
    with pytest.raises(SynthError, match="no synthetic data set"):
        write_dataset(good, good[0].parent, count=1)
    write_dataset(good, tmp_path / "out", count=1)
    with pytest.raises(SynthError, match="other seed"):
        write_dataset(good, tmp_path / "out", count=1, seed=7)
    with pytest.raises(SynthError, match="other families"):
        write_dataset(good, tmp_path / "out", count=1, families=["crack"])


def test_mistakes_are_said(good: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(good[0].read_bytes()[:60])
    Image.new("L", (1, 1)).save(tmp_path / "dot.png")
    for images, says in [
        ([], "no good images"),
        ([tmp_path / "none.png"], "does not exist"),
        ([tmp_path / "broken.png"], "cannot be read"),
        ([tmp_path / "dot.png"], "too small"),
    ]:
        with pytest.raises(SynthError, match=says):
            write_dataset(images, tmp_path / "out" / says, count=1)
    with pytest.raises(SynthError, match="at least 1"):
        write_dataset(good, tmp_path / "out", count=0)
    with pytest.raises(SynthError, match="no format"):
        write_dataset(good, tmp_path / "out", count=1, format="coco")


def test_only_the_families_that_were_asked_for(good: list[Path], tmp_path: Path) -> None:
    rows = write_dataset(good, tmp_path / "out", count=5, families=["scratch", "blob"])
    assert {row.family for row in rows} <= {"scratch", "blob"}


def test_rows_say_what_each_flaw_changed(tmp_path: Path) -> None:
    image = torch.full((1, 60, 60), 0.5)
    context = Context(torch.ones(1, 1, 60, 60), torch.rand(2, 1, 60, 60, generator=Generator().manual_seed(0)))
    recipe = Synthesizer(["blob"], (1, 1)).draw(Generator().manual_seed(3), 1)
    flawed, mask, rows = paint_and_record(image, recipe, context, name="a", source="b", sources=["c", "d"], seed=3)
    (row,) = rows
    ys, xs = mask[0].nonzero(as_tuple=True)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    assert (row.left, row.top, row.right, row.bottom) == box
    assert row.area == int(mask.sum())
    assert row.contrast == pytest.approx(float((flawed - image).abs()[mask > 0].mean()), abs=1e-6)
    assert json.loads(row.sources) == ["c", "d"]
    write_manifest(rows, tmp_path / "m.parquet")
    again, mask_again = replay(image, read_manifest(tmp_path / "m.parquet"), context)
    assert torch.equal(again, flawed)
    assert torch.equal(mask_again, mask)
    with pytest.raises(SynthError, match="one image"):
        replay(image, [])


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3), ("I;16", 1)]
)
def test_pictures_of_every_kind_are_read(tmp_path: Path, mode: str, channels: int) -> None:
    if mode == "I;16":
        Image.fromarray(np.full((9, 12), 32896, dtype=np.uint16)).save(tmp_path / "x.png")
    else:
        Image.new("RGB", (12, 9), (128, 128, 128)).convert(mode).save(tmp_path / "x.png")
    picture = read_picture(tmp_path / "x.png")
    assert picture.shape == (channels, 9, 12)
    if mode not in ("1", "P"):
        assert torch.allclose(picture, torch.tensor(128 / 255), atol=2 / 255)
