"""Reading pixels: every kind of file that a camera delivers, upright, and clear errors for the rest."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from learning.errors import DataError
from learning.images.pixels import check_mask_size, is_image, read_image, read_mask
from synth.pictures import size_of

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
DEEP_GREY = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)
DEEP_COLOUR = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)


def as_pixels(image: torch.Tensor, top: int) -> np.ndarray:
    values = (image.double() * top).numpy()
    assert np.abs(values - values.round()).max() < 0.01
    return values.round().astype(int).transpose(1, 2, 0).squeeze()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.TIFF", "a.PNG"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_8_bits_come_back_exactly(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.dtype == torch.float32
    np.testing.assert_array_equal(as_pixels(image, 255), pixels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("pixels", [DEEP_GREY, DEEP_COLOUR])
def test_16_bits_come_back_exactly(tmp_path: Path, suffix: str, pixels: np.ndarray) -> None:
    file = tmp_path / f"a.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(file, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    else:
        cv2.imwrite(str(file), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    np.testing.assert_array_equal(as_pixels(read_image(file), 65535), pixels)


def test_16_bits_with_transparency_lose_only_that(tmp_path: Path) -> None:
    alpha = np.full((20, 30, 1), 30000, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), np.concatenate([DEEP_COLOUR[..., ::-1], alpha], axis=2))
    np.testing.assert_array_equal(as_pixels(read_image(tmp_path / "a.png"), 65535), DEEP_COLOUR)


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGBA", 3), ("RGB", 3)])
def test_other_modes_become_grey_or_colour(tmp_path: Path, mode: str, channels: int) -> None:
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.shape == (channels, 20, 30)
    np.testing.assert_array_equal(
        as_pixels(image, 255),
        np.asarray(Image.fromarray(COLOUR).convert(mode).convert("L" if channels == 1 else "RGB")),
    )


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_files_are_near(tmp_path: Path, suffix: str) -> None:
    smooth = np.linspace(0, 255, 600).reshape(20, 30).astype(np.uint8)
    Image.fromarray(smooth).convert("RGB").save(tmp_path / f"a.{suffix}", quality=95)
    assert (read_image(tmp_path / f"a.{suffix}")[0] * 255 - torch.from_numpy(smooth)).abs().max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["grey.png", "deep.png", "deep_grey.png", "deep.tif"])
def test_orientation_is_applied(tmp_path: Path, orientation: int, kind: str) -> None:
    upright = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud}
    upright |= {5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1)}
    upright |= {7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90}
    file = tmp_path / kind
    exif = Image.Exif()
    exif[274] = orientation
    if kind == "deep.tif":
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(file, DEEP_COLOUR, photometric="rgb", extratags=[tag])
        stored = DEEP_COLOUR
    elif kind == "deep.png":
        cv2.imwrite(str(file), DEEP_COLOUR[..., ::-1])
        stored = DEEP_COLOUR
        _add_exif_to_png(file, exif.tobytes())
    elif kind == "deep_grey.png":
        Image.fromarray(DEEP_GREY).save(file, exif=exif)
        stored = DEEP_GREY
    else:
        Image.fromarray(GREY).save(file, exif=exif)
        stored = GREY
    top = 255 if stored.dtype == np.uint8 else 65535
    np.testing.assert_array_equal(as_pixels(read_image(file), top), upright[orientation](stored))
    assert size_of(file) == read_image(file).shape[1:]


def _add_exif_to_png(file: Path, exif: bytes) -> None:
    """Insert an eXIf chunk after the header, which is 33 bytes long."""
    import zlib

    body = b"eXIf" + exif.removeprefix(b"Exif\x00\x00")
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    content = file.read_bytes()
    file.write_bytes(content[:33] + chunk + content[33:])


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.6])
def test_truncated_files_are_refused_by_name(tmp_path: Path, suffix: str, keep: float) -> None:
    file = tmp_path / f"part7.{suffix}"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(DataError, match="part7"):
        read_image(file)


def test_truncated_16_bit_colour_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "part7.png"
    cv2.imwrite(str(file), DEEP_COLOUR)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(DataError, match="part7"):
        read_image(file)


def test_text_and_missing_files_and_pages_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not an image")
    pages = [Image.fromarray(GREY), Image.fromarray(GREY)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    tifffile.imwrite(tmp_path / "float.tif", GREY.astype(np.float32))
    for name, reason in [("a.png", "replace it"), ("b.png", "exist"), ("pages.tif", "pages"), ("float.tif", "32 bits")]:
        with pytest.raises(DataError, match=reason):
            read_image(tmp_path / name)


def test_mask_is_what_is_not_black(tmp_path: Path) -> None:
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[3:6, 4:9] = 1
    Image.fromarray(mask).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (20, 30)).numpy(), mask > 0)
    Image.fromarray(mask * 255).save(tmp_path / "m.jpg", quality=60)
    assert read_mask(tmp_path / "m.jpg").sum() < 40


def test_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="30 × 20 pixels, but its image is 20 × 30"):
        read_mask(tmp_path / "m.png", (30, 20))


def test_mask_sizes_are_seen_before_anything_is_read(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "image.png")
    Image.fromarray(GREY.T).save(tmp_path / "mask.png")
    check_mask_size(tmp_path / "image.png", tmp_path / "image.png")
    with pytest.raises(DataError, match=r"mask\.png is 20 × 30 pixels, but its image is 30 × 20"):
        check_mask_size(tmp_path / "mask.png", tmp_path / "image.png")
    with pytest.raises(DataError, match=r"none\.png"):
        check_mask_size(tmp_path / "none.png", tmp_path / "image.png")


@pytest.mark.parametrize("size", [(1, 1), (256, 1), (7, 300)])
def test_pictures_too_small_to_show_anything_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size).save(tmp_path / "small.png")
    with pytest.raises(DataError, match="at least 8 × 8"):
        read_image(tmp_path / "small.png")


def test_names_of_images() -> None:
    assert [is_image(Path(name)) for name in ["a.JPG", "b.tiff", ".c.png", "d.txt", "e"]] == [True, True] + [False] * 3
