"""Good parts laid over each other: pictures that lie otherwise are found, and what is unusual stands out."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from learning.detectors import Budget, create
from learning.detectors.inputs import roughness, standardise
from learning.detectors.reference import Fitted, Places, Similarity, fit_reference, is_explained
from learning.errors import ConfigError
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing

HEIGHT, WIDTH = 64, 96
SMALL = {"widths": (8, 16), "batch": 4}


def drawing(seed: int = 0) -> Tensor:
    """Something with structure everywhere, and no symmetry: ``[1, 1, HEIGHT, WIDTH]``, 0..1."""
    rough = gaussian_filter(np.random.default_rng(seed).normal(size=(HEIGHT, WIDTH)), 3)
    return torch.from_numpy((0.5 + 0.2 * rough / rough.std()).clip(0, 1)).float()[None, None]


def moved(picture: Tensor, degrees: float, scale: float, right: float, down: float) -> Tensor:
    """The same picture, turned, scaled and shifted by pixels."""
    angle, (height, width) = math.radians(degrees), picture.shape[-2:]
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    rows = torch.tensor(
        [
            [cos, sin * height / width, -2 * right / width],
            [-sin * width / height, cos, -2 * down / height],
        ],
        dtype=torch.float32,
    )
    grid = functional.affine_grid(rows[None], list(picture.shape), align_corners=False)
    return functional.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)


def noisy(picture: Tensor, seed: int, by: float = 0.01) -> Tensor:
    return (picture + by * torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)


def image_set(pictures: list[Tensor], folder: Path) -> ImageSet:
    paths = []
    for i, picture in enumerate(pictures):
        paths.append(folder / f"{i:03}.png")
        Image.fromarray((picture[0, 0].numpy() * 255).round().astype(np.uint8)).save(paths[-1])
    return ImageSet(paths, Preprocessing(channels=1, height=picture.shape[-2], width=picture.shape[-1]))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Thirty of one product; each lies a little otherwise."""
    random = np.random.default_rng(1)
    pictures = [
        noisy(
            moved(drawing(), random.uniform(-3, 3), random.uniform(0.95, 1.05), *random.uniform(-3, 3, 2).tolist()),
            seed,
        )
        for seed in range(30)
    ]
    return image_set(pictures, tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def fitted(parts: ImageSet) -> Fitted:
    return fit_reference(parts, standardise)


@pytest.mark.parametrize(
    ("degrees", "scale", "right", "down"), [(0, 1, 6, -4), (5, 1, 0, 0), (0, 1.08, 0, 0), (-4, 0.95, -5, 3)]
)
def test_a_pose_is_found(degrees: float, scale: float, right: float, down: float, fitted: Fitted) -> None:
    reference = fitted.reference
    start = reference.pose(standardise(drawing()))
    pose = reference.pose(standardise(moved(drawing(), degrees, scale, right, down)))
    # The reference has a pose of its own; what counts is how the two differ.
    move = pose.after(start.inverse())
    assert float(torch.atan2(move.sin, move.cos).rad2deg()) == pytest.approx(degrees, abs=0.4)
    assert float(torch.hypot(move.sin, move.cos)) == pytest.approx(scale, abs=0.01)
    assert float(move.x) * HEIGHT / 2 == pytest.approx(right, abs=0.7)
    assert float(move.y) * HEIGHT / 2 == pytest.approx(down, abs=0.7)


def test_inverse_and_order() -> None:
    one = Similarity(*(torch.tensor([value]) for value in (1.1, 0.2, 0.3, -0.1)))
    other = Similarity(*(torch.tensor([value]) for value in (0.9, -0.1, 0.0, 0.4)))
    nothing = one.after(one.inverse())
    for value, expected in zip((nothing.cos, nothing.sin, nothing.x, nothing.y), (1, 0, 0, 0), strict=True):
        assert float(value) == pytest.approx(expected, abs=1e-6)
    places = Places(torch.zeros(1, 4, 4))
    for column, row in ((0, 0), (3, 1)):
        there = other.grid(places)[0, row, column]
        through = one.grid(at(there))
        torch.testing.assert_close(one.after(other).grid(places)[0, row, column], through[0, 0, 0])


def at(place: Tensor) -> Places:
    """One place ``[2]``."""
    places = Places(torch.zeros(1, 1, 1))
    places.across, places.down = place.split(1)
    return places


@pytest.mark.parametrize("size", [(6, 6), (6, 10), (10, 6)])
def test_a_grid_says_what_grid_sample_wants_and_whether_it_is_on_the_picture(size: tuple[int, int]) -> None:
    height, width = size
    moves = Similarity(*(torch.tensor(values) for values in ((1.0, 0.9), (0.0, 0.3), (0.0, 0.2), (0.0, -0.4))))
    places = Places(torch.zeros(1, height, width))
    grid = moves.grid(places)
    still = functional.affine_grid(torch.eye(2, 3)[None], [1, 1, height, width], align_corners=False)
    torch.testing.assert_close(grid[:1], still)
    half, (row, column) = min(size) / 2, (4, 2)
    across, down = (column + 0.5 - width / 2) / half, (row + 0.5 - height / 2) / half
    expected = [
        (0.9 * across - 0.3 * down + 0.2) * 2 * half / width,
        (0.3 * across + 0.9 * down - 0.4) * 2 * half / height,
    ]
    assert grid[1, row, column].tolist() == pytest.approx(expected, abs=1e-6)
    within = moves.within(places)
    assert torch.equal(within[:, 0], (grid.abs() <= 1).all(dim=-1))
    assert within[0].all()
    assert not within[1].all()


def test_a_defect_stands_out_where_it_is_and_a_good_part_nowhere(fitted: Fitted) -> None:
    reference, explained = fitted.reference, fitted.explained
    good = noisy(moved(drawing(), 2, 1.02, 3, -2), seed=99)
    defective = good.clone()
    defective[..., 30:36, 50:56] = 0.5 - (good[..., 30:36, 50:56] - 0.5)
    usual, unusual = (reference.deviations(standardise(picture)).abs() for picture in (good, defective))
    assert usual.shape == (1, 2, HEIGHT, WIDTH)
    inner = (..., slice(8, -8), slice(8, -8))
    assert float(usual[inner].mean()) < 0.6
    there = unusual[..., 30:36, 50:56].mean()
    assert there > 4 * usual[..., 30:36, 50:56].mean()
    assert there > 4 * unusual[..., 40:50, 20:30].mean()
    assert explained > 0.9
    assert is_explained(explained)


def test_beside_the_reference_nothing_is_unusual(fitted: Fitted) -> None:
    shifted = moved(drawing(), 0, 1, 10, 0)
    deviations = fitted.reference.deviations(standardise(shifted))
    assert float(deviations[..., :5].abs().max()) == 0
    assert float(deviations[..., 30:].abs().max()) > 0


def test_a_picture_of_something_else_is_not_moved_for_worse(fitted: Fitted) -> None:
    reference, other = fitted.reference, standardise(drawing(7))
    grid = reference.pose(other).grid(Places(torch.zeros(1, 1, 1)))
    assert torch.isfinite(grid).all()
    laid, still = (
        (roughness(one) - reference.template).clamp(-2, 2).abs().mean() for one in (reference.laid_over(other), other)
    )
    assert laid <= still + 0.02


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_pictures_have_no_pose_and_no_trouble(level: float, fitted: Fitted, tmp_path: Path) -> None:
    flat = torch.full((2, 1, HEIGHT, WIDTH), level)
    assert torch.isfinite(fitted.reference.deviations(standardise(flat))).all()
    flat_parts = fit_reference(image_set([flat[:1]] * 4, tmp_path), standardise)
    assert not is_explained(flat_parts.explained)
    assert torch.isfinite(flat_parts.reference.deviations(standardise(drawing()))).all()


def test_pieces_of_a_surface_have_nothing_in_common(tmp_path: Path) -> None:
    surface = image_set([drawing(seed) for seed in range(12)], tmp_path)
    assert not is_explained(fit_reference(surface, standardise).explained)


def test_one_good_part_explains_nothing(tmp_path: Path) -> None:
    assert not is_explained(fit_reference(image_set([drawing()], tmp_path), standardise).explained)


class TestSegment:
    def test_it_is_chosen_by_good_parts_and_said(self, parts: ImageSet, tmp_path: Path) -> None:
        detector = create("segment", SMALL, parts.preprocessing)
        report = detector.fit(parts, parts, 0, Budget(steps=2))
        assert report.choices["reference"].startswith("yes: in ")
        detector.save(tmp_path)
        loaded = create("segment", SMALL, parts.preprocessing).load(tmp_path)
        images = parts.batch(range(3))
        assert torch.equal(loaded.predict(images).scores, detector.predict(images).scores)
        assert torch.equal(loaded.embed(images), detector.embed(images))

    @pytest.mark.parametrize("options", [{"reference": False}, {"flips": True}])
    def test_it_can_be_left_out(self, options: dict[str, bool], parts: ImageSet) -> None:
        detector = create("segment", {**SMALL, **options}, parts.preprocessing)
        report = detector.fit(parts, parts, 0, Budget(steps=1))
        assert "reference" not in report.choices
        assert torch.isfinite(detector.predict(parts.batch([0])).scores).all()

    def test_on_a_surface_it_is_not_chosen(self, tmp_path: Path) -> None:
        surface = image_set([drawing(seed) for seed in range(12)], tmp_path)
        report = create("segment", SMALL, surface.preprocessing).fit(surface, surface, 0, Budget(steps=1))
        assert report.choices["reference"].startswith("no: ")

    def test_mirrored_parts_have_none(self, parts: ImageSet) -> None:
        with pytest.raises(ConfigError, match="contradict"):
            create("segment", {"reference": True, "flips": True}, parts.preprocessing)
