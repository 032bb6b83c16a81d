"""What holds of feature-level synthesis whatever the features, the discriminator and the parameters."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from synth.errors import SynthError
from synth.feature_level import (
    AscentParameters,
    Hypersphere,
    Hypothesis,
    ascend,
    choose_hypothesis,
    fit_hypersphere,
    synthesise_global,
)

seeds = st.integers(0, 2**31)
counts = st.integers(1, 40)
widths = st.integers(1, 24)
parameters = st.builds(
    AscentParameters,
    noise=st.floats(0.01, 3),
    steps=st.integers(0, 8),
    step_length=st.floats(0.001, 1),
    project_every=st.integers(1, 6),
    inner=st.floats(0.05, 2),
    outer_ratio=st.floats(1, 4),
)
few = settings(max_examples=40, deadline=None)


def table(seed: int, count: int, width: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def smooth(width: int, seed: int = 7) -> torch.nn.Module:
    """A discriminator without kinks."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(width, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1), torch.nn.Flatten(0))


def made(features: Tensor, options: AscentParameters, seed: int, ball: Hypersphere | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return synthesise_global(features, smooth(features.shape[1]).to(features), generator, options, ball)


@few
@given(seeds, counts, widths, parameters, st.floats(0, 100))
def test_manifold_anomalies_lie_in_the_shell_of_their_own_feature(
    seed: int, count: int, width: int, options: AscentParameters, scale: float
) -> None:
    features = table(seed, count, width, scale)
    distance = (made(features, options, seed) - features).norm(dim=1) / math.sqrt(width)
    slack = 1e-5 * (1 + scale)
    assert distance.min() >= options.inner - slack
    assert distance.max() <= options.inner * options.outer_ratio + slack


@few
@given(seeds, st.integers(2, 40), widths, parameters, st.booleans())
def test_hypersphere_anomalies_lie_in_the_shell_of_their_centre(
    seed: int, count: int, width: int, options: AscentParameters, own: bool
) -> None:
    features = table(seed, count, width)
    ball = fit_hypersphere(features)
    if own:  # as for places, each of which has a mean of its own
        ball = Hypersphere(features + table(seed + 1, count, width), ball.radius)
    distance = (made(features, options, seed, ball) - ball.centre).norm(dim=1)
    assert distance.min() >= ball.radius * (1 - 1e-4)
    assert distance.max() <= ball.radius * options.outer_ratio * (1 + 1e-4)


@few
@given(seeds, counts, widths)
def test_a_small_step_never_makes_an_anomaly_easier(seed: int, count: int, width: int) -> None:
    discriminator = smooth(width).double()
    points = table(seed, count, width).double()

    def loss(of: Tensor) -> Tensor:
        return functional.softplus(-discriminator(of)).detach()

    moved = ascend(points, discriminator, 1e-3)
    # Up to the second order of the step, which counts where the gradient is about 0.
    assert (loss(moved) >= loss(points) - 1e-5).all()
    assert ((moved - points).norm(dim=1) <= 1e-3 * (1 + 1e-6)).all()


@few
@given(seeds, counts, widths, parameters)
def test_the_seed_decides(seed: int, count: int, width: int, options: AscentParameters) -> None:
    features = table(seed, count, width)
    assert torch.equal(made(features, options, 5), made(features, options, 5))
    assert not torch.equal(made(features, options, 5), made(features, options, 6)) or width == 1


@few
@given(seeds, st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.float16]), st.booleans())
def test_type_and_device_are_kept(seed: int, dtype: torch.dtype, sphere: bool) -> None:
    features = table(seed, 6, 5).to(dtype)
    ball = fit_hypersphere(features) if sphere else None
    anomalies = made(features, AscentParameters(), seed, ball)
    assert (anomalies.dtype, anomalies.device, anomalies.shape) == (dtype, features.device, features.shape)
    assert torch.isfinite(anomalies).all()
    assert not anomalies.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_an_anomaly_that_the_discriminator_is_sure_of_still_climbs(dtype: torch.dtype) -> None:
    """Its gradient is next to nothing, but has a direction."""
    points = torch.zeros(3, 4, dtype=dtype)
    moved = ascend(points, lambda x: x[:, 0] + 9, 0.5)
    torch.testing.assert_close(moved[:, 0], torch.full((3,), -0.5, dtype=dtype), atol=1e-2, rtol=0)


def test_one_feature_and_features_that_are_all_the_same() -> None:
    for features in (torch.ones(1, 6), torch.ones(9, 6)):
        distance = (made(features, AscentParameters(), 0) - features).norm(dim=1)
        assert distance.min() >= 0.3 * math.sqrt(6) - 1e-4
        with pytest.raises(SynthError, match="all the same span no hypersphere"):
            fit_hypersphere(features)
    with pytest.raises(SynthError, match="no hypersphere"):
        fit_hypersphere(torch.zeros(0, 6))
    assert made(torch.zeros(0, 6), AscentParameters(), 0).shape == (0, 6)


@pytest.mark.parametrize(
    ("features", "text"),
    [
        (torch.zeros(3), "table"),
        (torch.zeros(3, 0), "table"),
        (torch.zeros(3, 2, dtype=torch.int64), "floating point"),
        (torch.tensor([[1.0, float("nan")], [0.0, 1.0]]), "1 of 2 features"),
        (torch.full((2, 2), float("inf")), "2 of 2 features"),
    ],
)
def test_what_is_no_table_is_refused(features: Tensor, text: str) -> None:
    with pytest.raises(SynthError, match=text):
        synthesise_global(features, lambda x: x.sum(dim=1), torch.Generator())
    with pytest.raises(SynthError, match=text):
        fit_hypersphere(features)
    with pytest.raises(SynthError, match=text):
        choose_hypothesis(torch.randn(4, 2), torch.randn(4, 2), features)


def ring(seed: int, count: int, radius: float = 6.0) -> Tensor:
    """Features along a circle in the first two of eight dimensions: a manifold whose centre is empty."""
    angle = 2 * math.pi * torch.rand(count, generator=torch.Generator().manual_seed(seed))
    points = 0.3 * table(seed + 1, count, 8)
    points[:, :2] += radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    return points


@pytest.mark.parametrize("seed", range(5))
def test_a_cluster_chooses_the_hypersphere_and_a_ring_the_manifold(seed: int) -> None:
    ball = choose_hypothesis(table(seed, 300, 24), table(seed + 1, 300, 24), 1.2 * table(seed + 2, 300, 24))
    assert ball.hypothesis is Hypothesis.HYPERSPHERE
    ring_ = choose_hypothesis(ring(seed, 400), ring(seed + 3, 300), 0.3 * table(seed + 2, 200, 8))
    assert ring_.hypothesis is Hypothesis.MANIFOLD
    assert ring_.separation[Hypothesis.MANIFOLD] > 0.6 > 0.5 > ring_.separation[Hypothesis.HYPERSPHERE]


@given(seeds, st.floats(0.01, 100), st.floats(-50, 50))
@settings(max_examples=10, deadline=None)
def test_scale_and_origin_do_not_choose(seed: int, scale: float, shift: float) -> None:
    tables = (ring(seed, 200), ring(seed + 3, 100), table(seed + 5, 100, 8))
    plain, moved = choose_hypothesis(*tables), choose_hypothesis(*(scale * one + shift for one in tables))
    for name in Hypothesis:
        assert moved.separation[name] == pytest.approx(plain.separation[name], abs=5e-3)


def test_where_nothing_tells_them_apart_the_manifold_is_taken() -> None:
    same = torch.ones(5, 3)
    choice = choose_hypothesis(same, same, same)
    assert choice.hypothesis is Hypothesis.MANIFOLD
    assert choice.separation == {Hypothesis.MANIFOLD: 0.5, Hypothesis.HYPERSPHERE: 0.5}
    assert choice.evidence()["separation under the manifold hypothesis"] == 0.5


@pytest.mark.parametrize("empty", range(3))
def test_a_choice_takes_features_of_each_kind_and_of_one_width(empty: int) -> None:
    for wrong in (torch.zeros(0, 3), torch.zeros(2, 4)):
        tables = [torch.randn(4, 3) for _ in range(3)]
        tables[empty] = wrong
        with pytest.raises(SynthError, match="features are"):
            choose_hypothesis(*tables)
