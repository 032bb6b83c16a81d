import pytest
import torch
from scipy.ndimage import uniform_filter
from torch import Generator

from synth.masks import border, box_blur, mean_inside, perlin, place


def test_perlin_noise_is_smooth_centred_and_its_own_for_every_seed() -> None:
    noise = perlin(torch.arange(32), torch.full((32, 2), 4.0), (64, 64))
    assert noise.shape == (32, 1, 64, 64)
    assert noise.abs().max() < 1.5
    assert noise.mean().abs() < 0.05
    assert noise.diff(dim=-1).abs().max() < 0.35
    assert not torch.equal(noise[0], noise[1])
    torch.testing.assert_close(perlin(torch.tensor([7]), torch.full((1, 2), 4.0), (64, 64))[0], noise[7])


def test_perlin_noise_is_zero_at_lattice_points() -> None:
    fine = perlin(torch.tensor([0]), torch.tensor([[3.0, 5.0]]), (900, 1500))[0, 0]
    assert fine[299:301, 299:301].abs().max() < 0.01
    assert fine.abs().max() > 0.3


@pytest.mark.parametrize("radius", [1, 3, 10])
def test_box_blur_agrees_with_scipy(radius: int) -> None:
    images = torch.rand(2, 3, 30, 41, generator=Generator().manual_seed(0))
    expected = uniform_filter(images.double().numpy(), (0, 0, 2 * radius + 1, 2 * radius + 1), mode="nearest")
    torch.testing.assert_close(box_blur(images, radius).double(), torch.from_numpy(expected), rtol=0, atol=1e-5)


def test_places_are_uniform_over_the_weights() -> None:
    weights = torch.zeros(1, 1, 6, 8)
    weights[0, 0, 2, 1:4] = 1
    weights[0, 0, 5, 7] = 1
    fractions = torch.rand(4000, 2, generator=Generator().manual_seed(0))
    places = place(weights.expand(4000, -1, -1, -1), fractions).long()
    counts = torch.zeros(6, 8)
    counts.index_put_((places[:, 1], places[:, 0]), torch.ones(4000), accumulate=True)
    torch.testing.assert_close(counts / 4000, weights[0, 0] / 4, rtol=0, atol=0.03)


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_extreme_fractions_still_lie_on_the_part(fraction: float) -> None:
    weights = torch.zeros(1, 1, 9, 9)
    weights[0, 0, 4, 3:6] = 1
    x, y = place(weights, torch.full((1, 2), fraction))[0].tolist()
    assert weights[0, 0, int(y), int(x)] == 1


def test_border_is_the_outermost_ring() -> None:
    ring = border(torch.ones(1, 1, 5, 6))
    assert ring.sum() == 18
    assert ring[0, 0, 1:-1, 1:-1].sum() == 0


def test_mean_inside() -> None:
    images = torch.arange(8.0).view(1, 2, 2, 2)
    weights = torch.tensor([[[[1.0, 0.0], [0.0, 3.0]]]])
    assert mean_inside(images, weights).flatten().tolist() == [2.25, 6.25]
