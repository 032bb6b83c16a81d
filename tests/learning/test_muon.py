import math
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from learning.muon import Muon, orthogonalise


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def by_the_book(matrix: Tensor) -> Tensor:
    """Newton and Schulz as they are written, on the matrix itself and in double precision."""
    found = matrix.double() / matrix.double().norm()
    for _ in range(5):
        gram = found @ found.T
        found = 3.4445 * found + (-4.7750 * gram + 2.0315 * gram @ gram) @ found
    return found


@pytest.mark.parametrize("shape", [(8, 27), (27, 8), (16, 16), (1, 9), (160, 1440)])
def test_singular_values_become_about_one_and_directions_stay(shape: tuple[int, int]) -> None:
    matrix = drawn(*shape)
    found = orthogonalise(matrix)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    values = (left.T @ found @ right.T).diagonal()
    assert found.shape == shape
    if min(shape) < max(shape):
        assert 0.65 < values.min() <= values.max() < 1.25
    torch.testing.assert_close(left @ torch.diag(values) @ right, found, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.double(), by_the_book(matrix), atol=2e-3, rtol=0)


def test_how_large_it_is_does_not_matter_and_nothing_stays_nothing() -> None:
    matrix = drawn(6, 20)
    for factor in (1e-3, 1e4):
        torch.testing.assert_close(orthogonalise(factor * matrix), orthogonalise(matrix), atol=1e-3, rtol=0)
    assert torch.equal(orthogonalise(torch.zeros(4, 9)), torch.zeros(4, 9))


def test_of_a_few_directions_the_others_stay_small() -> None:
    matrix = drawn(32, 2) @ drawn(2, 144, seed=1)
    values = torch.linalg.svdvals(orthogonalise(matrix))
    assert (values[:2] > 0.65).all()
    assert (values[2:] < 0.05).all()


def test_a_step_is_momentum_ahead_made_orthogonal_and_scaled() -> None:
    weight = nn.Parameter(drawn(8, 3, 3, 3))
    before, first, second = weight.detach().clone(), drawn(8, 3, 3, 3, seed=1), drawn(8, 3, 3, 3, seed=2)
    optimizer = Muon([weight], lr=0.1, momentum=0.9, weight_decay=0.5)
    momentum = torch.zeros_like(first)
    for gradient in (first, second):
        weight.grad = gradient
        optimizer.step()
        momentum = 0.9 * momentum + 0.1 * gradient
        ahead = 0.1 * gradient + 0.9 * momentum
        before = before * (1 - 0.1 * 0.5) - 0.1 * 0.6 * math.sqrt(27) * orthogonalise(ahead.flatten(1)).view_as(before)
    torch.testing.assert_close(weight.detach(), before)


def test_the_memory_layout_of_a_kernel_changes_nothing() -> None:
    plain = nn.Parameter(drawn(8, 4, 3, 3))
    other = nn.Parameter(drawn(8, 4, 3, 3).contiguous(memory_format=torch.channels_last))
    for weight in (plain, other):
        weight.grad = torch.empty_like(weight).copy_(drawn(8, 4, 3, 3, seed=1))
        Muon([weight], lr=0.1).step()
    assert torch.equal(plain.detach(), other.detach())


def test_weights_without_a_gradient_stay_and_biases_are_refused() -> None:
    weight = nn.Parameter(drawn(4, 9))
    before = weight.detach().clone()
    Muon([weight], lr=0.1).step()
    assert torch.equal(weight.detach(), before)
    with pytest.raises(ValueError, match="two dimensions or more, not \\(5,\\)"):
        Muon([nn.Parameter(torch.zeros(5))], lr=0.1)


def test_parameters_come_back_with_the_momentum() -> None:
    weights = [nn.Parameter(drawn(4, 3, 3, 3)) for _ in range(2)]
    optimizers = [Muon([weight], lr=0.1) for weight in weights]
    weights[0].grad = drawn(4, 3, 3, 3, seed=1)
    optimizers[0].step()
    optimizers[1].load_state_dict(deepcopy(optimizers[0].state_dict()))
    weights[1].data.copy_(weights[0].data)
    for weight, optimizer in zip(weights, optimizers, strict=True):
        weight.grad = drawn(4, 3, 3, 3, seed=2)
        optimizer.step()
    assert torch.equal(weights[0].detach(), weights[1].detach())
