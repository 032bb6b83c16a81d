"""Augmented good parts stay pictures of the same good part."""

import pytest
import torch

from learning.augmentation import augment


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(4, 1, 32, 32), (3, 3, 24, 40)])
def test_shape_and_range_are_kept(shape: tuple[int, ...]) -> None:
    images = torch.rand(*shape, generator=generator(1))
    varied, outlines = augment(images, images[:, :1].round(), generator())
    assert outlines.shape == images[:, :1].shape
    assert set(outlines.unique().tolist()) <= {0.0, 1.0}
    assert varied.shape == images.shape
    assert varied.min() >= 0
    assert varied.max() <= 1


def test_one_seed_gives_one_variation() -> None:
    images = torch.rand(4, 1, 16, 16, generator=generator(1))
    everywhere = torch.ones_like(images)
    once, again, other = (augment(images, everywhere, generator(seed))[0] for seed in (0, 0, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_outlines_move_with_the_images() -> None:
    images = torch.zeros(6, 1, 40, 56)
    images[..., 8:25, 10:24] = 1
    varied, outlines = augment(images, images, generator(), light=0)
    assert ((varied >= 0.5) == (outlines > 0)).float().mean() > 0.999
    assert not torch.equal(outlines, images)


def test_nothing_to_vary_leaves_the_image() -> None:
    images = torch.rand(2, 1, 20, 30, generator=generator(1))
    same, _ = augment(images, torch.ones_like(images), generator(), mirror=False, turn=0, zoom=0, shift=0, light=0)
    torch.testing.assert_close(same, images.clamp_min(1e-4), atol=1e-4, rtol=0)


def test_mirroring_alone_gives_one_of_four_views() -> None:
    image = torch.rand(1, 1, 12, 18, generator=generator(1))
    views = [image, image.flip(-1), image.flip(-2), image.flip(-1, -2)]
    for seed in range(8):
        varied, _ = augment(image, torch.ones_like(image), generator(seed), turn=0, zoom=0, shift=0, light=0)
        assert any(torch.allclose(varied, view, atol=1e-3) for view in views)
