"""Augmented good parts stay pictures of the same good part."""

import pytest
import torch

from learning.augmentation import augment, mix


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


def test_a_small_outline_is_not_moved_out_of_the_picture() -> None:
    images = torch.rand(64, 1, 48, 48, generator=generator(1))
    corner = torch.zeros_like(images)
    corner[..., 2:3, 2:3] = 1
    _, outlines = augment(images, corner, generator(), zoom=0.3)
    assert (outlines.flatten(1).sum(dim=1) >= 1).all()


def test_mixed_images_resemble_one_most_and_stay_in_range() -> None:
    images = torch.rand(16, 2, 33, 44, generator=generator(1))
    mixed = mix(images, generator(), share=1.0)
    assert mixed.shape == images.shape
    assert mixed.min() >= 0
    assert mixed.max() <= 1
    assert torch.cdist(mixed.flatten(1), images.flatten(1)).argmin(dim=1).tolist() == list(range(16))
    assert (mixed != images).flatten(1).any(dim=1).all()


def test_surfaces_take_each_others_light() -> None:
    grain = torch.rand(2, 1, 44, 44, generator=generator(1)) * 0.1
    falling = torch.linspace(0.2, 0.7, 44).expand(1, 44, 44)
    images = torch.stack([falling + grain[0], falling.flip(-1) + grain[1]])
    for seed in range(20):
        lit = mix(images, generator(seed), share=1.0, most=0.0)
        if lit[0, 0, :, 0].mean() > lit[0, 0, :, -1].mean():
            break
    else:
        pytest.fail("the light never changed sides")
    fine = (lit - lit.mean(dim=(-2), keepdim=True)).flatten(1)
    before = (images - images.mean(dim=(-2), keepdim=True)).flatten(1)
    assert torch.corrcoef(torch.stack([fine[0], before[0]]))[0, 1] > 0.8


def test_only_a_share_of_the_images_is_mixed() -> None:
    images = torch.rand(400, 1, 4, 4, generator=generator(1))
    changed = (mix(images, generator(), share=0.25) != images).flatten(1).any(dim=1)
    assert 130 <= int(changed.sum()) <= 220
    assert torch.equal(mix(images, generator(), share=0.0), images)


def test_mixing_follows_from_the_generator_and_takes_a_single_image() -> None:
    images = torch.rand(8, 1, 6, 6, generator=generator(1))
    assert torch.equal(mix(images, generator()), mix(images, generator()))
    assert not torch.equal(mix(images, generator()), mix(images, generator(3)))
    torch.testing.assert_close(mix(images[:1], generator(), share=1.0), images[:1])
