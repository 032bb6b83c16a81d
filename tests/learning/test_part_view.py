"""The part cut out of its picture: what is chosen, what is seen, and where maps come back to."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch import Tensor

from learning.errors import DataError
from learning.images.frames import Frame, cut, put_back
from learning.images.image_set import ImageSet
from learning.images.pixels import read_image
from learning.images.pose import find_part, main_axis
from learning.images.preprocessing import PartView, Preprocessing
from learning.images.view import choose_view

TURNED = Preprocessing(channels=1, height=64, width=128, part=PartView(turn=True, reach=0.85))


def bolt(
    angle: float, height: int = 256, width: int = 256, spot: bool = False, x: float = 0.5, y: float = 0.5
) -> np.ndarray:
    """A shaft with a head at its left end, turned by an angle; a bright spot on the shaft where wanted. uint8."""
    side = math.sqrt(height * width)
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    dx, dy = columns - x * width, rows - y * height
    u = (dx * math.cos(angle) + dy * math.sin(angle)) / side
    v = (dy * math.cos(angle) - dx * math.sin(angle)) / side
    shaft = (np.abs(u) < 0.3) & (np.abs(v) < 0.05)
    head = (u > -0.3) & (u < -0.2) & (np.abs(v) < 0.12)
    noise = np.random.default_rng(0).normal(0, 2, (height, width))
    pixels = np.where(shaft | head, 150.0, 40.0) + noise
    if spot:
        pixels[(u - 0.15) ** 2 + v**2 < 0.03**2] = 250
    return pixels.clip(0, 255).astype(np.uint8)


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255)[None]


def centre(values: np.ndarray) -> tuple[float, float]:
    """Row and column of the centre of mass."""
    rows, columns = np.indices(values.shape)
    return float((rows * values).sum() / values.sum()), float((columns * values).sum() / values.sum())


@settings(deadline=None, max_examples=30)
@given(
    angle=st.floats(-math.pi, math.pi),
    height=st.sampled_from([64, 96, 256, 700]),
    ratio=st.sampled_from([1.0, 1.3, 0.75]),
)
def test_a_map_comes_back_to_where_the_defect_is(angle: float, height: int, ratio: float) -> None:
    width = round(height * ratio)
    pixels = bolt(angle, height, width, spot=True)
    view = TURNED.look(tensor(pixels))
    assert view.part_found
    seen = (view.image[0] > 0.85).float()
    back = view.to_picture(seen, (height, width))
    assert back.shape == (height, width)
    wanted, found = centre((pixels > 216).astype(float)), centre(back)
    pitch = view.frame.pitch if view.frame else 0
    assert math.dist(wanted, found) < 1.0 + 0.5 * pitch
    # A mask of the picture goes the other way.
    assert math.dist(centre(view.from_picture(pixels > 216).astype(float)), centre(seen.numpy())) < 1.5


@settings(deadline=None, max_examples=20)
@given(angle=st.floats(-math.pi, math.pi), x=st.floats(0.42, 0.58), y=st.floats(0.42, 0.58))
def test_parts_at_any_angle_look_alike_heads_on_one_side(angle: float, x: float, y: float) -> None:
    reference = TURNED.look(tensor(bolt(0.0, spot=True))).image
    seen = TURNED.look(tensor(bolt(angle, spot=True, x=x, y=y))).image
    # Some pixels along the outline differ, by how the part falls on the pixels.
    assert ((seen - reference).abs() > 0.2).float().mean() < 0.06
    assert (seen[0, 8:-8, :40] > 0.4).sum() > 1.3 * (seen[0, 8:-8, -40:] > 0.4).sum()


@pytest.mark.parametrize("pitch", [0.6, 1.0, 2.4, 17.0])
def test_cutting_has_no_aliasing_and_no_shift(pitch: float) -> None:
    side = int(64 * pitch)
    stripes = torch.zeros(1, side, side)
    stripes[..., ::2] = 1
    crop = cut(stripes, Frame(side / 2, side / 2, 0.3, pitch, 32, 32))
    if pitch > 2:
        assert (crop - 0.5).abs().max() < 0.25
        assert (crop - 0.5).abs().mean() < 0.05
    ramp = torch.arange(side, dtype=torch.float32).expand(1, side, side).contiguous()
    crop = cut(ramp, Frame(side / 2 + 3, side / 2, 0.0, pitch, 16, 16))
    assert float(crop.mean()) == pytest.approx(side / 2 + 2.5, abs=0.02 * pitch + 0.02)


def test_outside_of_the_crop_a_map_has_its_lowest_value() -> None:
    values = np.full((8, 8), 0.7, dtype=np.float32)
    values[0, 0] = 0.2
    back = put_back(values, Frame(20, 20, 0.0, 1.0, 8, 8), (40, 40))
    assert back[0, 0] == pytest.approx(0.2)
    assert back[20, 20] == pytest.approx(0.7)


@pytest.mark.parametrize("mode", ["grey", "colour", "deep"])
def test_pictures_of_every_kind_give_one_shape(tmp_path: Path, mode: str) -> None:
    pixels = bolt(0.7, 240, 200)
    files = []
    for i, angle in enumerate([0.7, -1.1, 2.9]):
        pixels = bolt(angle, 240, 200)
        if mode == "colour":
            pixels = np.stack([pixels, pixels // 2, pixels], axis=2)
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels.astype(np.uint16) * 257 if mode == "deep" else pixels).save(files[-1])
    preprocessing, _ = choose_view(Preprocessing.for_images(files, 96), files, "auto")
    assert preprocessing.view == "part"
    images = ImageSet(files, preprocessing)
    shape = (3 if mode == "colour" else 1, preprocessing.height, preprocessing.width)
    assert images.batch([0, 1, 2]).shape == (3, *shape)
    # Cached or not, it is the same.
    assert torch.equal(images[1], preprocessing.apply(read_image(files[1])))
    outlines = images.outlines([0, 1, 2])
    assert torch.equal(outlines, images.outlines([0, 1, 2]))
    assert 0.2 < float(outlines.mean()) < 0.9


def test_a_large_original_is_cut_like_a_small_one() -> None:
    small, large = (TURNED.look(tensor(bolt(0.5, side, side))).image for side in (256, 2048))
    assert (small - large).abs().mean() < 0.03


def save_all(folder: Path, pictures: list[np.ndarray]) -> list[Path]:
    files = [folder / f"{i:02}.png" for i in range(len(pictures))]
    for file, pixels in zip(files, pictures, strict=True):
        Image.fromarray(pixels).save(file)
    return files


def chosen(files: list[Path], size: int = 96) -> tuple[Preprocessing, str]:
    return choose_view(Preprocessing.for_images(files, size), files, "auto")


def test_parts_at_any_angle_are_turned(tmp_path: Path) -> None:
    preprocessing, text = chosen(save_all(tmp_path, [bolt(0.6 * i) for i in range(10)]))
    assert preprocessing.part is not None
    assert preprocessing.part.turn
    assert preprocessing.width >= 1.7 * preprocessing.height
    assert preprocessing.width * preprocessing.height < 1.5 * 96 * 96
    assert "turned" in text


def test_parts_that_always_lie_alike_are_only_cut_out(tmp_path: Path) -> None:
    preprocessing, _ = chosen(save_all(tmp_path, [bolt(0.02 * i, x=0.5 + 0.01 * i) for i in range(8)]))
    assert preprocessing.part is not None
    assert not preprocessing.part.turn


def test_shapes_without_an_axis_are_only_cut_out(tmp_path: Path) -> None:
    pictures = []
    for i in range(8):
        canvas = Image.fromarray(np.random.default_rng(i).normal(40, 2, (200, 200)).clip(0, 255).astype(np.uint8))
        ImageDraw.Draw(canvas).ellipse([50 + i, 60, 120 + i, 130], fill=170)
        pictures.append(np.asarray(canvas))
    preprocessing, _ = chosen(save_all(tmp_path, pictures))
    assert preprocessing.part is not None
    assert not preprocessing.part.turn
    assert abs(preprocessing.width - preprocessing.height) <= 16


def test_textures_and_parts_that_fill_the_picture_stay_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    textures = [rng.integers(90, 160, (100, 100), dtype=np.uint8) for _ in range(6)]
    preprocessing, text = chosen(save_all(tmp_path, textures))
    assert preprocessing.view == "whole"
    assert "0 of 6" in text
    with pytest.raises(DataError, match=r"view part.*0 of 6"):
        choose_view(preprocessing, sorted(tmp_path.iterdir()), "part")
    filling = []
    for _ in range(6):
        pixels = np.full((100, 100), 20, dtype=np.uint8)
        pixels[4:-4, 4:-4] = 180
        filling.append(pixels)
    assert chosen(save_all(tmp_path, filling))[0].view == "whole"


def test_a_picture_without_a_part_is_taken_whole_and_said_so() -> None:
    texture = torch.rand(1, 90, 180, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.4
    view = TURNED.look(texture)
    assert not view.part_found
    assert view.image.shape == (1, 64, 128)
    assert bool(TURNED.outline(texture).all())
    # Nothing of it is left out, and nothing is stretched.
    assert view.to_picture(torch.ones(64, 128), (90, 180)).min() == 1
    assert view.frame is not None
    assert view.frame.pitch == pytest.approx(180 / 128)


def test_a_part_larger_than_the_good_ones_is_not_cut_off() -> None:
    tight = TURNED.model_copy(update={"part": PartView(turn=True, reach=0.3)})
    pixels = bolt(1.0)
    view = tight.look(tensor(pixels))
    covered = view.to_picture(torch.ones(64, 128), pixels.shape)
    assert covered[pixels > 110].mean() > 0.99


def test_the_shaded_side_of_a_part_belongs_to_it() -> None:
    pixels = np.random.default_rng(0).normal(50, 2, (160, 160))
    pixels[60:80, 30:130] = 220
    pixels[80:100, 30:130] = 75
    part = find_part(tensor(pixels.astype(np.uint8)))
    assert part is not None
    assert part.mask[62:78, 34:126].all()
    assert part.mask[83:97, 34:126].mean() > 0.95
    assert main_axis(part).elongation > 2


def good_bolts(folder: Path, count: int = 12) -> list[Path]:
    files = []
    for i in range(count):
        files.append(folder / f"{i}.png")
        Image.fromarray(bolt(2 * math.pi * i / count + 0.1)).save(files[-1])
    return files


def stained(angle: float) -> np.ndarray:
    """A bolt on a belt with a bright blotch beside it, larger than the bolt's head."""
    rows, columns = np.mgrid[:256, :256]
    near = np.hypot(rows - 225, columns - 45) < 28
    pixels = bolt(angle)
    return np.where(near & (pixels < 90), pixels + 45, pixels).astype(np.uint8)


def test_a_blotch_on_the_background_is_not_taken_for_the_part(tmp_path: Path) -> None:
    files = good_bolts(tmp_path)
    preprocessing, _ = choose_view(Preprocessing.for_images(files, 96), files, "part")
    assert preprocessing.part is not None
    for angle in (0.4, 1.5, -2.0):
        clean, dirty = (preprocessing.look(tensor(p)).frame for p in (bolt(angle), stained(angle)))
        assert clean is not None
        assert dirty is not None
        assert math.hypot(clean.x - dirty.x, clean.y - dirty.y) < 4
        assert abs(math.remainder(clean.angle - dirty.angle, 2 * math.pi)) < 0.06
        # Without knowing how large parts are, it is.
        naive = preprocessing.part.model_copy(update={"length": None, "breadth": None})
        misled = preprocessing.model_copy(update={"part": naive}).look(tensor(stained(angle))).frame
        assert misled is None or math.hypot(clean.x - misled.x, clean.y - misled.y) > 4


def test_heads_lie_at_the_same_end_though_shade_hides_half_of_one(tmp_path: Path) -> None:
    files = good_bolts(tmp_path)
    preprocessing, _ = choose_view(Preprocessing.for_images(files, 96), files, "part")
    assert preprocessing.part is not None
    assert preprocessing.part.profile is not None
    plain = preprocessing.look(tensor(bolt(0.3))).frame
    shaded = bolt(0.3).astype(np.float64)
    rows, columns = np.mgrid[:256, :256] - 128.0
    below = columns * math.sin(0.3) < rows * math.cos(0.3) - 14
    shaded[below & (shaded > 90)] = 62
    frame = preprocessing.look(tensor(shaded.astype(np.uint8))).frame
    assert plain is not None
    assert frame is not None
    assert abs(math.remainder(plain.angle - frame.angle, 2 * math.pi)) < 0.3


def test_a_saturated_picture_of_any_size_is_looked_at() -> None:
    for height, width in ((403, 311), (219, 523), (1000, 770)):
        pixels = np.full((height, width), 255, dtype=np.uint8)
        pixels[height // 3 : height // 2, width // 3 : width // 2] = 30
        assert find_part(tensor(pixels)) is not None
