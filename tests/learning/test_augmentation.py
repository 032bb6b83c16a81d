"""Augmented good parts stay pictures of the same good part."""

import pytest
import torch

from learning.augmentation import augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(4, 1, 32, 32), (3, 3, 24, 40)])
def test_shape_and_range_are_kept(shape: tuple[int, ...]) -> None:
    images = torch.rand(*shape, generator=generator(1))
    varied = augment(images, generator())
    assert varied.shape == images.shape
    assert varied.min() >= 0
    assert varied.max() <= 1


def test_one_seed_gives_one_variation() -> None:
    images = torch.rand(4, 1, 16, 16, generator=generator(1))
    assert torch.equal(augment(images, generator()), augment(images, generator()))
    assert not torch.equal(augment(images, generator()), augment(images, generator(2)))


def test_nothing_to_vary_leaves_the_image() -> None:
    images = torch.rand(2, 1, 20, 30, generator=generator(1))
    same = augment(images, generator(), mirror=False, turn=0, zoom=0, shift=0, light=0)
    torch.testing.assert_close(same, images.clamp_min(1e-4), atol=1e-4, rtol=0)


def test_mirroring_alone_gives_one_of_four_views() -> None:
    image = torch.rand(1, 1, 12, 18, generator=generator(1))
    views = [image, image.flip(-1), image.flip(-2), image.flip(-1, -2)]
    for seed in range(8):
        varied = augment(image, generator(seed), turn=0, zoom=0, shift=0, light=0)
        assert any(torch.allclose(varied, view, atol=1e-3) for view in views)
