"""What a network sees of a picture is the same in torch and, by other ways, in an exported graph."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from learning.detectors.inputs import box_mean, logarithm, roughness, standardise, sums_by_doubling


def rand(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)


@pytest.mark.parametrize("window", [1, 2, 3, 5, 7, 11, 16, 20])
@pytest.mark.parametrize("dim", [-2, -1])
def test_doubling_gives_the_sums_of_windows(window: int, dim: int) -> None:
    planes = rand(2, 3, 20, 23)
    kernel = (window, 1) if dim == -2 else (1, window)
    torch.testing.assert_close(sums_by_doubling(planes, window, dim), functional.avg_pool2d(planes, kernel, 1) * window)


@pytest.mark.parametrize(("radius", "size"), [(1, (8, 8)), (3, (32, 24)), (5, (12, 40))])
def test_means_of_an_export_are_those_of_torch(
    radius: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = rand(2, 3, *size)
    expected = box_mean(images, radius)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert expected.shape == images.shape
    torch.testing.assert_close(box_mean(images, radius), expected)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (256, 256)])
def test_an_export_sees_what_torch_sees(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    images = rand(2, 1, *size)
    seen, rough = standardise(images), roughness(standardise(images))
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(standardise(images), seen, rtol=0, atol=1e-4)
    torch.testing.assert_close(roughness(seen), rough, rtol=0, atol=2e-5)


@pytest.mark.usefixtures("exporting")
def test_logarithms_of_an_export_are_as_close_as_it_says() -> None:
    for end, off in ((3, 1e-5), (4, 1e-4)):
        values = torch.logspace(-end, end, 10_001)
        assert float((logarithm(values) - values.double().log()).abs().max()) < off


def test_logarithms_of_torch_are_exact() -> None:
    values = torch.logspace(-4, 4, 101)
    assert torch.equal(logarithm(values), values.log())
