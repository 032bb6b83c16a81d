"""Products made of formulas, and defects of made-up parts on pictures of others."""

import numpy as np
import pytest
import torch
from torch import Tensor

from synth.errors import SynthError
from synth.parts.transfer import KINDS_TRANSFERRED, transfer
from synth.surfaces.numbers import Numbers
from synth.surfaces.patterns import PATTERNS, Grid
from synth.surfaces.product import make_parts_of
from tests.devices import needs_cuda


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def field(name: str, seed: int, products: int, parts: int, size: int) -> Tensor:
    axis = ((torch.arange(size) + 0.5) * 256 / size - 128).expand(products, parts, size, size)
    return PATTERNS[name][1](Numbers(seeded(seed), products, parts), Grid(axis, axis.mT))


class TestPatterns:
    @pytest.mark.parametrize("name", PATTERNS)
    @pytest.mark.parametrize("size", [32, 100])
    def test_fields_of_unit_variance(self, name: str, size: int) -> None:
        fields = field(name, 0, 4, 2, size)
        assert fields.shape == (4, 2, size, size)
        assert fields.dtype == torch.float32
        assert torch.allclose(fields.mean(dim=(-2, -1)), torch.zeros(4, 2), atol=1e-3)
        deviation = fields.std(dim=(-2, -1))
        # A product of marks may have all of its marks beside the picture.
        assert ((deviation - 1).abs() < 0.02).float().mean() > 0.7
        assert deviation.max() < 1.02

    @pytest.mark.parametrize("name", PATTERNS)
    def test_products_differ_and_can_be_drawn_again(self, name: str) -> None:
        first, again, other = (field(name, seed, 3, 2, 48) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert not torch.equal(first[0], first[1])

    @pytest.mark.parametrize("name", PATTERNS)
    def test_no_number_is_lost(self, name: str) -> None:
        assert all(field(name, seed, 2, 2, 40).isfinite().all() for seed in range(8))


class TestProducts:
    def test_the_same_generator_gives_the_same_parts(self) -> None:
        images, covers = make_parts_of(2, 3, 64, seeded(7))
        assert images.shape == covers.shape == (2, 3, 64, 64)
        assert (images.dtype, covers.dtype) == (torch.float32, torch.bool)
        assert 0 <= images.min() <= images.max() <= 1
        again, _ = make_parts_of(2, 3, 64, seeded(7))
        assert torch.equal(images, again)
        assert not torch.equal(images[:, 0], images[:, 1])
        assert not torch.equal(images, make_parts_of(2, 3, 64, seeded(8))[0])

    def test_products_are_of_many_kinds(self) -> None:
        images, covers = make_parts_of(80, 1, 64, seeded(0))
        contrast = images.std(dim=(-2, -1))
        objects = (~covers.flatten(1).all(dim=1)).float().mean()
        assert contrast.max() > 8 * contrast.min() > 0
        assert 0.1 < objects < 0.45

    def test_parts_of_one_product_look_alike(self) -> None:
        """More than parts of others, by the histogram of grey levels."""
        images, _ = make_parts_of(30, 2, 64, seeded(0))
        found = torch.stack([torch.histc(image, 16, 0, 1) / 64**2 for image in images.flatten(0, 1)]).view(30, 2, 16)
        own = (found[:, 0] - found[:, 1]).abs().sum(dim=1).mean()
        others = (found[1:, 0] - found[:-1, 0]).abs().sum(dim=1).mean()
        assert own < 0.5 * others

    @pytest.mark.parametrize(("products", "parts", "size"), [(1, 0, 64), (0, 1, 64), (1, 1, 16)])
    def test_no_picture_is_refused(self, products: int, parts: int, size: int) -> None:
        with pytest.raises(SynthError, match="at least"):
            make_parts_of(products, parts, size, seeded(0))

    @needs_cuda
    def test_products_are_drawn_on_a_gpu(self) -> None:
        images, covers = make_parts_of(24, 2, 64, torch.Generator("cuda").manual_seed(0))
        assert images.is_cuda
        assert covers.is_cuda
        assert images.isfinite().all()


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
