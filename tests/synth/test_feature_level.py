"""Global anomalies lie in their shell, fool the discriminator more than noise does, and come from the seed."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from synth.errors import SynthError
from synth.feature_level import (
    AscentParameters,
    Hypersphere,
    add_noise,
    ascend,
    fit_hypersphere,
    synthesise_global,
    truncated_projection,
)

DIMENSIONS = 16


def features(count: int = 64, seed: int = 0) -> Tensor:
    return torch.randn(count, DIMENSIONS, generator=torch.Generator().manual_seed(seed))


def discriminator(points: Tensor) -> Tensor:
    """Calls anomalous what lies far out."""
    return points.norm(dim=1) - DIMENSIONS**0.5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("steps", [0, 1, 4, 7])
def test_manifold_anomalies_keep_their_distance_from_the_feature_they_come_from(steps: int) -> None:
    parameters = AscentParameters(steps=steps, project_every=3, inner=0.4, outer_ratio=1.5)
    distance = (synthesise_global(features(), discriminator, generator(), parameters) - features()).norm(dim=1)
    unit = DIMENSIONS**0.5
    assert distance.min() >= 0.4 * unit - 1e-4
    assert distance.max() <= 0.6 * unit + 1e-4


def test_hypersphere_anomalies_lie_in_a_shell_around_all_features() -> None:
    ball = fit_hypersphere(features(), share=0.9)
    inside = (features() - ball.centre).norm(dim=1) <= ball.radius
    assert inside.float().mean() == pytest.approx(0.9, abs=0.03)
    distance = (synthesise_global(features(), discriminator, generator(), hypersphere=ball) - ball.centre).norm(dim=1)
    assert distance.min() >= ball.radius - 1e-4
    assert distance.max() <= 2 * ball.radius + 1e-4


def test_ascent_makes_them_harder_than_noise() -> None:
    def loss(points: Tensor) -> float:
        return float(functional.softplus(-discriminator(points)).mean())

    noisy = add_noise(features(), generator(), 0.3)
    climbed = ascend(noisy, discriminator, 0.1)
    assert loss(climbed) > loss(noisy)
    torch.testing.assert_close((climbed - noisy).norm(dim=1), torch.full((64,), 0.1))
    hard = synthesise_global(features(), discriminator, generator(), AscentParameters(steps=10))
    assert loss(hard) > loss(synthesise_global(features(), discriminator, generator(), AscentParameters(steps=0)))


def test_anomalies_are_projected_between_the_steps_too() -> None:
    options = AscentParameters(noise=1.0, steps=5, step_length=0.2, project_every=2)
    unit = DIMENSIONS**0.5
    inner, outer = options.inner * unit, options.inner * options.outer_ratio * unit
    expected = add_noise(features(), generator(), options.noise)
    for project in (False, True, False, True, True):
        expected = ascend(expected, discriminator, options.step_length * unit)
        if project:
            expected = truncated_projection(expected, features(), inner, outer)
    made = synthesise_global(features(), discriminator, generator(), options)
    torch.testing.assert_close(made, expected)
    at_last = synthesise_global(features(), discriminator, generator(), options.model_copy(update={"project_every": 9}))
    assert (made - at_last).norm(dim=1).median() > 1e-3


def test_projection_moves_only_what_is_outside_the_shell() -> None:
    anchors = features(4)
    direction = functional.normalize(features(4, seed=1), dim=1)
    points = anchors + direction * torch.tensor([[0.5], [1.5], [9.0], [0.0]])
    projected = truncated_projection(points, anchors, inner=1.0, outer=2.0)
    distance = (projected - anchors).norm(dim=1)
    torch.testing.assert_close(distance, torch.tensor([1.0, 1.5, 2.0, 0.0]))
    assert torch.equal(projected[1], points[1])
    torch.testing.assert_close(truncated_projection(projected, anchors, 1.0, 2.0), projected)


def test_the_seed_decides_and_no_gradient_leaks() -> None:
    layer = torch.nn.Linear(DIMENSIONS, 1)
    good = features().requires_grad_()

    def run(seed: int) -> Tensor:
        return synthesise_global(good, lambda x: layer(x)[:, 0], generator(seed))

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))
    assert not run(3).requires_grad
    assert layer.weight.grad is None
    assert good.grad is None
    with torch.no_grad():
        assert torch.equal(run(3), run(3))


def test_a_batch_of_two_halves_is_the_whole() -> None:
    """Without noise of its own, every anomaly depends on its own feature alone."""
    noisy = add_noise(features(), generator(), 0.3)
    whole = ascend(noisy, discriminator, 0.1)
    torch.testing.assert_close(torch.cat([ascend(half, discriminator, 0.1) for half in noisy.chunk(2)]), whole)


def test_a_flat_discriminator_moves_nothing() -> None:
    flat = ascend(features(), lambda x: 0 * x.sum(dim=1), 0.1)
    assert torch.equal(flat, features())


def test_features_that_are_no_finite_table_are_refused() -> None:
    with pytest.raises(SynthError, match="table"):
        synthesise_global(torch.zeros(2, 3, 4), discriminator, generator())
    with pytest.raises(SynthError, match="table"):
        synthesise_global(torch.full((2, 3), float("nan")), discriminator, generator())
    assert synthesise_global(torch.zeros(0, 3), discriminator, generator()).shape == (0, 3)


def test_the_hypersphere_may_live_on_another_type() -> None:
    ball = Hypersphere(torch.zeros(DIMENSIONS, dtype=torch.float64), 4.0)
    assert synthesise_global(features(), discriminator, generator(), hypersphere=ball).dtype == torch.float32
