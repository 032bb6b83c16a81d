import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from torch import Generator, Tensor

from synth.ground import Ground, border, mean_inside
from synth.masks import box_blur
from synth.noise import grain, normals, perlin, profile, uniforms
from synth.stamps import stamp
from synth.windows import Window, boxes, trimmed


def window(count: int, size: tuple[int, int], box: tuple[int, int, int, int] | None = None) -> Window:
    """The whole of blank pictures, or a box (left, top, width, height) of them."""
    left, top, width, height = box or (0, 0, size[1], size[0])
    blank = np.zeros((count, 1), np.float32)
    return Window(
        images=torch.zeros(count, 1, height, width),
        batch=torch.zeros(count, 1, *size),
        of=np.arange(count),
        allowed=None,
        left=np.full(count, left),
        top=np.full(count, top),
        centre=np.zeros((count, 2)),
        boxes=np.array([[left, top, width, height]] * count),
        size=size,
        level=blank,
        background=blank,
        has_background=np.zeros(count, bool),
        inward=np.zeros(count),
    )


def test_perlin_noise_is_smooth_centred_and_its_own_for_every_seed() -> None:
    noise = perlin(np.arange(32), np.full((32, 2), 4.0), window(32, (64, 64)))
    assert noise.shape == (32, 1, 64, 64)
    assert noise.abs().max() < 1.5
    assert noise.mean().abs() < 0.05
    assert noise.diff(dim=-1).abs().max() < 0.35
    assert not torch.equal(noise[0], noise[1])
    again = perlin(np.array([7]), np.full((1, 2), 4.0), window(1, (64, 64)))
    torch.testing.assert_close(again[0], noise[7])


def test_perlin_noise_is_zero_at_lattice_points() -> None:
    fine = perlin(np.array([0]), np.array([[3.0, 5.0]]), window(1, (900, 1500)))[0, 0]
    assert fine[299:301, 299:301].abs().max() < 0.01
    assert fine.abs().max() > 0.3


def fields(where: Window) -> list[Tensor]:
    seeds = np.array([3, 4])
    cells, period = np.array([[5.0, 9.0], [40.0, 2.0]]), np.array([[2.5, 7.0], [31.0, 1.5]])
    return [perlin(seeds, cells, where, octaves=2), grain(seeds, period, where)]


@pytest.mark.parametrize("box", [(0, 0, 60, 50), (37, 21, 16, 24), (59, 49, 1, 1)])
def test_noise_does_not_depend_on_the_window_it_is_seen_through(box: tuple[int, int, int, int]) -> None:
    left, top, width, height = box
    for whole, part in zip(fields(window(2, (50, 60))), fields(window(2, (50, 60), box)), strict=True):
        expected = whole[..., top : top + height, left : left + width]
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-5)


def test_numbers_of_a_seed_are_spread_as_they_should_be() -> None:
    flat, bell = uniforms(np.arange(200), 500), normals(np.arange(200), 500)
    assert np.abs(np.histogram(flat, 10, (0, 1))[0] - 10_000).max() < 600
    assert abs(float(bell.mean())) < 0.02
    assert abs(float(bell.std()) - 1) < 0.02
    assert np.array_equal(uniforms(np.array([5]), 500)[0], flat[5])


def test_a_profile_takes_any_places_and_meets_its_random_values_at_whole_periods() -> None:
    places = torch.linspace(-100, 100, 801).expand(2, -1)
    values = profile(np.array([3, 4]), places, np.array([10.0, 25.0]))
    assert values.abs().max() <= 0.5
    assert not torch.equal(values[0], values[1])
    torch.testing.assert_close(profile(np.array([4]), places[1:, 300:310], np.array([25.0])), values[1:, 300:310])
    at_knots = profile(np.array([3]), torch.tensor([[-20.0, -10.0, 0.0]]), np.array([10.0]))
    torch.testing.assert_close(at_knots, values[:1, [320, 360, 400]], rtol=0, atol=1e-5)
    assert values[0].diff().abs().max() < 0.05


@pytest.mark.parametrize("radius", [1, 3, 10])
def test_box_blur_agrees_with_scipy(radius: int) -> None:
    images = torch.rand(2, 3, 30, 41, generator=Generator().manual_seed(0))
    expected = uniform_filter(images.double().numpy(), (0, 0, 2 * radius + 1, 2 * radius + 1), mode="nearest")
    torch.testing.assert_close(box_blur(images, radius).double(), torch.from_numpy(expected), rtol=0, atol=1e-5)


def test_places_are_uniform_over_the_weights() -> None:
    weights = torch.zeros(1, 1, 6, 8)
    weights[0, 0, 2, 1:4] = 1
    weights[0, 0, 5, 7] = 1
    fractions = np.random.default_rng(0).random((4000, 2))
    places = torch.from_numpy(Ground(weights, (6, 8)).place(np.zeros(4000, dtype=np.int64), fractions)).long()
    counts = torch.zeros(6, 8)
    counts.index_put_((places[:, 1], places[:, 0]), torch.ones(4000), accumulate=True)
    torch.testing.assert_close(counts / 4000, weights[0, 0] / 4, rtol=0, atol=0.03)


def test_everywhere_is_a_mask_of_ones() -> None:
    fractions, rows = np.random.default_rng(0).random((50, 2)), np.zeros(50, dtype=np.int64)
    ones = Ground(torch.ones(1, 1, 7, 9), (7, 9))
    everywhere = Ground(None, (7, 9))
    assert np.array_equal(everywhere.place(rows, fractions), ones.place(rows, fractions))
    assert np.array_equal(everywhere.place_at_border(rows, fractions), ones.place_at_border(rows, fractions))


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_extreme_fractions_still_lie_on_the_part(fraction: float) -> None:
    weights = torch.zeros(1, 1, 9, 9)
    weights[0, 0, 4, 3:6] = 1
    x, y = Ground(weights, (9, 9)).place(np.zeros(1, dtype=np.int64), np.full((1, 2), fraction))[0].tolist()
    assert weights[0, 0, int(y), int(x)] == 1


def test_boxes_hold_flaws_and_lie_in_the_picture() -> None:
    rng = np.random.default_rng(0)
    centre = rng.random((500, 2)) * np.array([300.0, 200.0])
    half = rng.random((500, 2)) ** 2 * 200
    around = boxes(centre, half, (200, 300))
    left, top, width, height = around.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + width <= 300).all()
    assert (top + height <= 200).all()
    for x, y, w, h in (around.T, trimmed(around, centre, half).T):
        assert (x <= (centre[:, 0] - half[:, 0]).clip(0)).all()
        assert (x + w >= (centre[:, 0] + half[:, 0]).clip(max=300)).all()
        assert (y <= (centre[:, 1] - half[:, 1]).clip(0)).all()
        assert (y + h >= (centre[:, 1] + half[:, 1]).clip(max=200)).all()


def test_what_is_painted_of_a_box_is_as_narrow_as_the_flaw() -> None:
    centre, half = np.array([[150.0, 100.0]]), np.array([[80.0, 4.0]])
    around = boxes(centre, half, (200, 300))
    _, top, width, height = trimmed(around, centre, half)[0]
    assert around[0, 2:].tolist() == [192, 192]
    assert 160 <= width <= 184
    assert 8 <= height <= 24
    assert around[0, 1] < top < 100 < top + height


def test_a_flaw_everywhere_has_the_picture_for_a_box() -> None:
    centre, half = np.array([[3.0, 4.0]]), np.full((1, 2), float("inf"))
    box = boxes(centre, half, (50, 70))
    assert box.tolist() == [[0, 0, 70, 50]]
    assert trimmed(box, centre, half).tolist() == [[0, 0, 70, 50]]


def test_border_is_the_outermost_ring() -> None:
    ring = border(torch.ones(1, 1, 5, 6))
    assert ring.sum() == 18
    assert ring[0, 0, 1:-1, 1:-1].sum() == 0


def test_mean_inside() -> None:
    images = torch.arange(8.0).view(1, 2, 2, 2)
    weights = torch.tensor([[[[1.0, 0.0], [0.0, 3.0]]]])
    assert mean_inside(images, weights).flatten().tolist() == [2.25, 6.25]


def test_stamped_dots_are_as_large_as_asked_and_the_strongest_counts() -> None:
    canvas = torch.zeros(2, 64, 64)
    points = np.array([[20.0, 30.0], [20.0, 30.0], [63.0, 0.0], [-50.0, 5.0]], dtype=np.float32)
    radii, strength = np.array([9.0, 3.0, 1.0, 4.0]), np.array([0.4, 0.9, 0.5, 1.0])
    stamp(canvas, np.array([0, 0, 1, 1]), points, radii, strength)
    assert canvas[0, 30, 20] == pytest.approx(0.9)
    assert canvas[0, 30, 26] == pytest.approx(0.4)
    assert float((canvas[0] / 0.4).clamp_max(1).sum()) == pytest.approx(torch.pi * 9.1**2, rel=0.05)
    assert canvas[1, 0, 63] == pytest.approx(0.5)
    assert canvas[1].count_nonzero() <= 4
    assert canvas.max() <= 0.9


def test_inward_is_where_the_part_lies() -> None:
    whole, half = Ground(None, (60, 80)), torch.zeros(1, 1, 60, 80)
    half[..., :40] = 1
    places = np.array([[0.0, 30.0], [40.0, 0.0], [40.0, 59.0]])
    rows, reach = np.zeros(3, dtype=np.int64), np.array([8, 8, 8])
    assert whole.inward(rows, places, reach) == pytest.approx([0, np.pi / 2, -np.pi / 2], abs=1e-4)
    left = Ground(half, (60, 80)).inward(rows[:1], np.array([[39.0, 30.0]]), reach[:1])
    assert abs(float(left[0])) == pytest.approx(np.pi)
