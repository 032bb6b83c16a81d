"""Products made of formulas, and defects of made-up parts on pictures of others."""

from itertools import pairwise

import numpy as np
import pytest

from synth.errors import SynthError
from synth.parts.transfer import KINDS_TRANSFERRED, transfer
from synth.surfaces.patterns import PATTERNS, Grid
from synth.surfaces.product import make_parts_of


def grid(size: int) -> Grid:
    axis = (np.arange(size, dtype=np.float32) + 0.5) * 256 / size - 128
    u, v = np.meshgrid(axis, axis)
    return Grid(u, v)


class TestPatterns:
    @pytest.mark.parametrize("name", PATTERNS)
    @pytest.mark.parametrize("size", [32, 100])
    def test_a_field_of_unit_variance(self, name: str, size: int) -> None:
        for seed in range(4):
            field = PATTERNS[name](np.random.default_rng(seed))(np.random.default_rng(seed), grid(size))
            assert field.shape == (size, size)
            assert field.dtype == np.float32
            assert field.mean() == pytest.approx(0, abs=1e-3)
            assert field.std() == pytest.approx(1, abs=0.02)

    @pytest.mark.parametrize("name", PATTERNS)
    def test_parts_of_a_product_differ_and_can_be_drawn_again(self, name: str) -> None:
        pattern = PATTERNS[name](np.random.default_rng(0))
        first, again, other = (pattern(np.random.default_rng(seed), grid(48)) for seed in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)


class TestProducts:
    def test_a_seed_is_a_product(self) -> None:
        images, covers = make_parts_of(7, 3, 64)
        assert images.shape == covers.shape == (3, 64, 64)
        assert (images.dtype, covers.dtype) == (np.uint8, np.bool_)
        again, _ = make_parts_of(7, 2, 64)
        assert np.array_equal(images[:2], again)
        assert not np.array_equal(images[0], images[1])
        assert not np.array_equal(images, make_parts_of(8, 3, 64)[0])

    def test_products_are_of_many_kinds(self) -> None:
        made = [make_parts_of(seed, 1, 64) for seed in range(60)]
        contrast = np.array([image.std() for image, _ in made])
        objects = np.mean([not cover.all() for _, cover in made])
        assert contrast.max() > 8 * contrast.min() > 0
        assert 0.1 < objects < 0.5
        assert all(cover.any() for _, cover in made)

    def test_parts_of_one_product_look_alike(self) -> None:
        """More than parts of others, by the histogram of grey levels."""

        def histograms(seed: int) -> np.ndarray:
            return np.array(
                [np.histogram(image, 16, (0, 255))[0] / image.size for image in make_parts_of(seed, 2, 64)[0]]
            )

        found = [histograms(seed) for seed in range(20)]
        own = np.mean([np.abs(one - two).sum() for one, two in found])
        others = np.mean([np.abs(a[0] - b[0]).sum() for a, b in pairwise(found)])
        assert own < 0.5 * others

    @pytest.mark.parametrize(("count", "size"), [(0, 64), (1, 16)])
    def test_no_picture_is_refused(self, count: int, size: int) -> None:
        with pytest.raises(SynthError, match="at least"):
            make_parts_of(0, count, size)


class TestTransfer:
    @pytest.mark.parametrize("name", KINDS_TRANSFERRED)
    def test_a_defect_is_small_visible_and_within_range(self, name: str) -> None:
        image = np.random.default_rng(0).uniform(0.3, 0.6, (3, 96, 96)).astype(np.float32)
        shares = []
        for seed in range(6):
            flawed = transfer(image, name, np.random.default_rng(seed))
            assert flawed.shape == image.shape
            assert flawed.dtype == np.float32
            assert 0 <= flawed.min() <= flawed.max() <= 1
            shares.append((np.abs(flawed - image).max(axis=0) > 0.01).mean())
        assert 0 < max(shares) < 0.5
        assert np.array_equal(transfer(image, name, np.random.default_rng(5)), flawed)

    def test_nothing_changes_outside_the_part(self) -> None:
        image = np.full((1, 64, 64), 0.5, dtype=np.float32)
        cover = np.zeros((64, 64), dtype=np.bool_)
        cover[10:50, 20:60] = True
        for name in KINDS_TRANSFERRED:
            flawed = transfer(image, name, np.random.default_rng(1), cover, severity=1.0)
            assert np.array_equal(flawed[0][~cover], image[0][~cover]) or name == "broken"

    def test_what_cannot_be_transferred_is_refused(self) -> None:
        with pytest.raises(SynthError, match="square"):
            transfer(np.zeros((1, 64, 48), np.float32), "crack", np.random.default_rng(0))
        with pytest.raises(SynthError, match="'bent'"):
            transfer(np.zeros((1, 64, 64), np.float32), "bent", np.random.default_rng(0))
