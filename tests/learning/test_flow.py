"""The pieces of the ``flow`` detector."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from learning.detectors import Budget, create
from learning.detectors.flow.network import CrossScaleFlow, negative_log_likelihood
from learning.errors import ConfigError
from learning.images.preprocessing import Preprocessing
from tests.learning.spots import SIDE, good_parts, spotted

SMALL = {"backbone": {"name": "resnet10t", "levels": (1,)}, "components": 16, "blocks": 2, "hidden": 8, "batch": 4}
DIMS = [(3, 4, 4), (3, 2, 2), (3, 1, 1)]


def moved(flow: CrossScaleFlow) -> CrossScaleFlow:
    """A flow whose couplings do something."""
    with torch.no_grad():
        for name, value in flow.named_parameters():
            if name.endswith("gain"):
                value.fill_(0.7)
    return flow


def levels(seed: int = 0, count: int = 2) -> list[Tensor]:
    draws = torch.Generator().manual_seed(seed)
    return [torch.randn(count, *size, generator=draws) for size in DIMS]


@pytest.fixture(scope="module")
def flow() -> CrossScaleFlow:
    torch.manual_seed(0)
    return moved(CrossScaleFlow(DIMS, blocks=3, hidden=6))


def test_what_went_through_comes_back(flow: CrossScaleFlow) -> None:
    latent, _ = flow(levels())
    assert all(not torch.allclose(z, x, atol=0.1) for z, x in zip(latent, levels(), strict=True))
    for back, level in zip(flow.inverse(latent), levels(), strict=True):
        torch.testing.assert_close(back, level, rtol=1e-3, atol=1e-4)


def test_the_determinant_is_that_of_the_jacobian(flow: CrossScaleFlow) -> None:
    sizes = [level[0].numel() for level in levels()]

    def through(flat: Tensor) -> Tensor:
        parts = [part.view(1, *size) for part, size in zip(flat.split(sizes), DIMS, strict=True)]
        return torch.cat([level.flatten() for level in flow(parts)[0]])

    flat = torch.cat([level[0].flatten() for level in levels()])
    jacobian = torch.autograd.functional.jacobian(through, flat)
    _, gained = flow([level[:1] for level in levels()])
    assert gained[0].item() == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]), abs=1e-3)


def test_scales_see_each_other(flow: CrossScaleFlow) -> None:
    before = flow(levels())[0]
    changed = levels()
    changed[2] = changed[2] + 1
    after = flow(changed)[0]
    assert all(not torch.allclose(a, b) for a, b in zip(before, after, strict=True))


def test_untouched_it_is_the_identity_up_to_order_and_its_loss_that_of_a_gaussian() -> None:
    latent, gained = CrossScaleFlow(DIMS, blocks=2, hidden=6)(levels())
    assert float(gained.abs().max()) == 0
    for z, x in zip(latent, levels(), strict=True):
        torch.testing.assert_close(z.flatten().sort().values, x.flatten().sort().values)
    count = sum(level[0].numel() for level in latent)
    every = torch.cat([level.flatten() for level in levels()])
    assert float(negative_log_likelihood(latent, gained, count)) == pytest.approx(float(0.5 * every.square().mean()))


def test_it_finds_dark_spots_and_becomes_likelier(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    good = good_parts(tmp_path, 12, random)
    detector = create("flow", SMALL, good.preprocessing)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=60))
    assert report.weights == "random"
    likelihood = report.history["negative log-likelihood"]
    assert likelihood[-1] < likelihood[0]
    images, masks = spotted(random)
    prediction = detector.predict(images)
    assert roc_auc_score(np.arange(24) < 12, prediction.scores) > 0.95
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.85


@pytest.mark.parametrize("wrong", [{"blocks": 0}, {"hidden": 1}, {"components": 1}])
def test_wrong_options_are_named_in_a_line(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))) as raised:
        create("flow", wrong, Preprocessing(channels=1, height=SIDE, width=SIDE))
    assert "\n" not in str(raised.value)
