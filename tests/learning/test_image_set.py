"""Preprocessing and image sets: one size, one number of channels, the same whether cached or read anew."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from learning.errors import DataError
from learning.images.image_set import ImageSet
from learning.images.pixels import read_image
from learning.images.preprocessing import Preprocessing
from learning.images.records import ImageRecord
from synth.regions import Area, Regions, Shape


def save(file: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(file)
    return file


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    sizes = [(40, 60), (33, 21), (64, 64), (16, 16), (90, 30)]
    return [save(tmp_path / f"{i}.png", rng.integers(0, 256, size, dtype=np.uint8)) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("given", [1, 3])
def test_apply_gives_one_shape_within_the_range(channels: int, given: int) -> None:
    preprocessing = Preprocessing(channels=channels, height=32, width=48)
    image = preprocessing.apply(torch.rand(given, 77, 50))
    assert image.shape == (channels, 32, 48)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1


def test_resizing_is_antialiased_and_keeps_the_mean() -> None:
    stripes = torch.zeros(1, 256, 256)
    stripes[..., ::2] = 1
    small = Preprocessing(channels=1, height=32, width=32).apply(stripes)
    assert (small - 0.5).abs().max() < 0.05


def test_grey_of_colour_is_luma() -> None:
    red = torch.zeros(3, 8, 8)
    red[0] = 1
    grey = Preprocessing(channels=1, height=8, width=8).apply(red)
    torch.testing.assert_close(grey, torch.full((1, 8, 8), 0.299), atol=1 / 255, rtol=0)


def test_channels_and_depth_are_chosen_by_the_pixels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (12, 12), dtype=np.uint8)
    files = {
        "grey": save(tmp_path / "g.png", grey),
        "three equal": save(tmp_path / "e.png", np.stack([grey] * 3, axis=2)),
        "colour": save(tmp_path / "c.png", rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)),
        "deep": save(tmp_path / "d.png", rng.integers(0, 65536, (12, 12), dtype=np.uint16)),
    }
    chosen = {name: Preprocessing.for_images([file], 16) for name, file in files.items()}
    assert {name: p.channels for name, p in chosen.items()} == {"grey": 1, "three equal": 1, "colour": 3, "deep": 1}
    assert [name for name, p in chosen.items() if p.depth == 16] == ["deep"]
    assert Preprocessing.for_images(list(files.values()), 16).channels == 3
    with pytest.raises(DataError):
        Preprocessing.for_images([], 16)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("room", [0, 2500, 10**6])
def test_cached_or_not_images_are_what_apply_gives(files: list[Path], depth: int, room: int) -> None:
    preprocessing = Preprocessing(channels=1, height=32, width=32, depth=depth)
    images = ImageSet(files, preprocessing, cache_bytes=room)
    for _ in range(2):
        batch = images.batch([4, 0, 0, 2])
        for row, index in zip(batch, [4, 0, 0, 2], strict=True):
            torch.testing.assert_close(row, preprocessing.apply(read_image(files[index])), atol=1e-7, rtol=0)
            assert torch.equal(row, images[index])
    held = sum(pixels.nbytes for pixels in images._cached.values())
    assert held <= room


def test_cache_spares_the_disk(files: list[Path]) -> None:
    images = ImageSet(files, Preprocessing(channels=1, height=16, width=16))
    before = images.batch(range(5))
    for file in files:
        file.unlink()
    assert torch.equal(images.batch(range(5)), before)


def test_a_set_keeps_order_and_groups(files: list[Path]) -> None:
    records = [ImageRecord(path=file, group=f"g{i // 2}") for i, file in enumerate(files)]
    images = ImageSet(records, Preprocessing(channels=1, height=16, width=16))
    assert len(images) == 5
    assert images.paths == files
    assert images.groups == ["g0", "g0", "g1", "g1", "g2"]
    with pytest.raises(IndexError):
        images[5]


def test_every_corrupt_file_of_a_batch_is_named(files: list[Path]) -> None:
    files[1].write_bytes(b"no")
    files[3].write_bytes(files[3].read_bytes()[:60])
    images = ImageSet(files, Preprocessing(channels=1, height=16, width=16))
    with pytest.raises(DataError, match=r"1\.png.*3\.png"):
        images.batch(range(5))


def test_outlines_keep_to_regions_on_the_pictures_as_they_come(files: list[Path]) -> None:
    preprocessing = Preprocessing(channels=1, height=32, width=48)
    regions = Regions(
        include=(Shape(box=(0.5, 0, 1, 1)),), products={"*/2.png": Area(ignore=(Shape(box=(0, 0, 1, 0.5)),))}
    )
    outlines = ImageSet(files, preprocessing, regions=regions).outlines([0, 2])
    assert not outlines[..., :24].any()
    assert outlines[0, ..., 24:].all()
    assert not outlines[1, 0, :16].any()
    assert outlines[1, 0, 16:, 24:].all()
    nothing = Regions(ignore=(Shape(box=(0, 0, 1, 1)),))
    with pytest.raises(DataError, match=r"0\.png: the configured regions leave none"):
        ImageSet(files, preprocessing, regions=nothing).outlines([0])
