from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synth.errors import SynthError
from synth.pictures import (
    check_picture,
    cut_to,
    depth_of,
    encode,
    fit_picture,
    read_picture,
    read_pixels,
    to_pixels,
    to_tensor,
)


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
    assert check_picture(tmp_path / "x.png") == (9, 12)
    if mode not in ("1", "P"):
        assert torch.allclose(picture, torch.tensor(128 / 255), atol=2 / 255)


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives_reading_and_writing(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    (tmp_path / "x.png").write_bytes(encode(pixels))
    read = read_pixels(tmp_path / "x.png")
    assert np.array_equal(read, pixels)
    assert np.array_equal(to_pixels(to_tensor(read), depth_of(read)), pixels)


def test_all_levels_of_16_bits_are_told_apart() -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    assert np.array_equal(to_pixels(to_tensor(pixels), 16), pixels)


def test_colour_and_size_are_fitted() -> None:
    assert fit_picture(torch.rand(3, 10, 12), 1, (5, 6)).shape == (1, 5, 6)
    assert fit_picture(torch.rand(1, 10, 12), 3, (10, 12)).shape == (3, 10, 12)


@pytest.mark.parametrize("size", [(4, 6), (10, 12), (25, 60), (7, 30)])
def test_pictures_are_cut_or_go_on_mirrored_without_scaling(size: tuple[int, int]) -> None:
    picture = torch.rand(1, 10, 12, generator=torch.Generator().manual_seed(0))
    cut = cut_to(picture, 3, size)
    assert cut.shape == (3, *size)
    assert torch.equal(cut[0], cut[2])
    assert set(cut.unique().tolist()) <= set(picture.unique().tolist())
    top, left = (max(0, (have - wanted) // 2) for have, wanted in zip((10, 12), size, strict=True))
    inner = picture[0, top : top + min(size[0], 10), left : left + min(size[1], 12)]
    down, across = (max(0, -((have - wanted) // 2)) for have, wanted in zip((10, 12), size, strict=True))
    assert torch.equal(cut[0, down : down + inner.shape[0], across : across + inner.shape[1]], inner)


def test_a_file_with_several_pages_is_refused(tmp_path: Path) -> None:
    page = Image.new("L", (5, 5))
    page.save(tmp_path / "x.tif", save_all=True, append_images=[page])
    with pytest.raises(SynthError, match="several pages"):
        read_pixels(tmp_path / "x.tif")
    with pytest.raises(SynthError, match="several pages"):
        check_picture(tmp_path / "x.tif")


@pytest.mark.parametrize("ending", ["jpg", "tif", "bmp", "webp", "png"])
def test_a_look_finds_what_reading_finds(tmp_path: Path, ending: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    file = tmp_path / f"x.{ending}"
    Image.fromarray(pixels).save(file, exif=turned)
    assert check_picture(file) == read_pixels(file).shape[:2]
    whole = file.read_bytes()
    for left in (0, 10, len(whole) // 2, len(whole) - 30):
        file.write_bytes(whole[:left])
        for look in (read_pixels, check_picture):
            with pytest.raises(SynthError, match=rf"x\.{ending} cannot be read"):
                look(file)
    file.unlink()
    with pytest.raises(SynthError, match="does not exist"):
        check_picture(file)


def test_a_look_takes_a_picture_that_is_damaged_where_nobody_looks(tmp_path: Path) -> None:
    whole = encode(np.full((9, 12), 128, np.uint8))
    (tmp_path / "x.png").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert read_pixels(tmp_path / "x.png").shape == check_picture(tmp_path / "x.png") == (9, 12)
