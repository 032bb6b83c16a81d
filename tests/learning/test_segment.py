"""The pieces of the ``segment`` detector: inputs, losses and network."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from scipy.ndimage import gaussian_filter1d

from learning.detectors import create
from learning.detectors.inputs import standardise
from learning.detectors.segment.detector import Segment, SegmentConfig
from learning.detectors.segment.losses import compute_losses, image_loss, pixel_loss
from learning.detectors.segment.network import UNet
from learning.detectors.segment.scores import image_scores, means_by_halving, means_by_sorting
from learning.detectors.surface import is_surface
from learning.flaw_sources import NO_SOURCES
from learning.images.preprocessing import Preprocessing


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


class TestInputs:
    def test_exposure_is_taken_out(self) -> None:
        image = rand(1, 1, 48, 48) * 0.4 + 0.2
        darker = standardise(image * 0.6)
        assert (standardise(image) - darker).abs().mean() < 0.15 * standardise(image).abs().mean()

    def test_a_flat_image_gives_zeros(self) -> None:
        assert standardise(torch.full((2, 3, 16, 16), 0.7)).abs().max() < 1e-3

    def test_local_channels_forget_a_light_gradient(self) -> None:
        texture = 0.05 * rand(1, 1, 96, 96)
        gradient = torch.linspace(0.1, 0.8, 96).expand(1, 1, 96, 96)
        whole, local = standardise(texture + gradient).chunk(2, dim=1)
        left, right = local[..., 12:36].mean(), local[..., 60:84].mean()
        assert (whole[..., 60:84].mean() - whole[..., 12:36].mean()) > 1
        assert (right - left).abs() < 0.2

    @pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 3, 64, 32), (1, 1, 12, 200)])
    def test_any_size(self, shape: tuple[int, ...]) -> None:
        out = standardise(rand(*shape))
        assert out.shape == (shape[0], 2 * shape[1], *shape[2:])
        assert out.abs().max() <= 5


class TestLosses:
    def test_pixels_against_the_formula(self) -> None:
        logits, masks = rand(2, 1, 5, 5) * 6 - 3, (rand(2, 1, 5, 5, seed=1) > 0.7).float()
        expected = 0.0
        for image in range(2):
            area = float(masks[image].sum())
            for logit, mask in zip(logits[image].flatten().tolist(), masks[image].flatten().tolist(), strict=True):
                p = 1 / (1 + math.exp(-logit))
                expected -= math.sqrt(144 / area) * math.log(p) if mask else math.log(1 - p)
        assert float(pixel_loss(logits, masks)) == pytest.approx(expected / 50, rel=1e-4)

    def test_a_small_flaw_is_worth_finding(self) -> None:
        masks = torch.zeros(1, 1, 64, 64)
        masks[..., 10:12, 10:12] = 1
        sound = torch.full_like(masks, -4)
        assert pixel_loss(masks * 8 - 4, masks) < 0.5 * pixel_loss(sound, masks)

    def test_the_image_loss_sees_the_one_place_that_decides(self) -> None:
        masks = torch.zeros(4, 1, 32, 32)
        masks[:2, :, 5:9, 5:9] = 1
        right = masks * 12 - 6
        shouting = right.clone()
        shouting[3, :, 20:24, 20:24] = 6
        share, flawed = 16 / 1024, torch.tensor([True, True, False, False])
        assert float(image_loss(right, flawed, share)) == pytest.approx(math.log1p(math.exp(-6)), rel=1e-3)
        assert float(image_loss(shouting, flawed, share)) == pytest.approx(6 / 4, rel=0.02)

    def test_where_nobody_said_what_is_flawed_the_image_counts_and_its_pixels_do_not(self) -> None:
        masks = torch.zeros(4, 1, 32, 32)
        masks[0, :, 5:9, 5:9] = 1
        logits, marked = rand(4, 1, 32, 32) * 6 - 3, torch.tensor([True, True, True, False])
        found = compute_losses(logits, masks, 16 / 1024, marked)
        assert torch.equal(found["pixels"], compute_losses(logits[:3], masks[:3], 16 / 1024)["pixels"])
        flawed = torch.tensor([True, False, False, True])
        assert torch.equal(found["images"], 0.3 * image_loss(logits, flawed, 16 / 1024))

    def test_a_batch_of_one_kind_has_a_loss(self) -> None:
        assert float(image_loss(torch.zeros(3, 1, 8, 8), torch.zeros(3, dtype=torch.bool), 0.1)) == pytest.approx(
            0.5 * math.log(2), rel=1e-4
        )


class TestNetwork:
    @pytest.mark.parametrize("stem", [1, 2])
    def test_logits_have_the_size_of_the_image(self, stem: int) -> None:
        network = UNet(2, (4, 8, 8), stem).eval()
        assert network(rand(2, 2, 32, 48)).shape == (2, 1, 32, 48)
        assert [level.shape[-1] for level in network.encode(rand(2, 2, 32, 48))] == [
            48 // stem // 2**i for i in range(3)
        ]

    def test_it_can_learn_where_a_spot_is(self) -> None:
        torch.manual_seed(0)
        network = UNet(2, (8, 16), 2)
        optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
        images, masks = rand(4, 2, 16, 16) * 0.1, torch.zeros(4, 1, 16, 16)
        for i in range(4):
            masks[i, :, 2 * i + 2 : 2 * i + 6, 4:9] = 1
        images = images + masks
        for _ in range(40):
            optimizer.zero_grad()
            pixel_loss(network(images), masks).backward()
            optimizer.step()
        assert ((network(images) > 0) == masks.bool()).float().mean() > 0.97


def _surfaces(count: int, rng: np.random.Generator) -> torch.Tensor:
    """Pieces of one brushed surface under different light, ``[count, 1, 48, 64]``."""
    light = np.linspace(0.3, 0.6, 64)[None, None, None]
    streaks = gaussian_filter1d(rng.standard_normal((count, 1, 48, 64)), 6, axis=-1)
    return torch.from_numpy(light + 0.05 * streaks / streaks.std()).float()


def test_a_surface_is_told_from_what_parts_have_in_common() -> None:
    rng = np.random.default_rng(0)
    surfaces = _surfaces(12, rng)
    everywhere = torch.ones_like(surfaces)
    assert is_surface(surfaces, everywhere)
    printed = surfaces.clone()
    printed[..., 10:20, 10:50] += 0.3
    assert not is_surface(printed, everywhere)
    assert not is_surface(surfaces[:1], everywhere[:1])


def test_a_part_before_a_background_is_no_surface() -> None:
    surfaces = _surfaces(12, np.random.default_rng(0))
    outlines = torch.zeros_like(surfaces)
    outlines[..., 10:30, 20:40] = 1
    assert not is_surface(surfaces, outlines)


def test_the_score_sees_flaws_of_any_size_alike() -> None:
    quiet = torch.full((1, 1, 100, 100), 0.02)
    small, large, gross = quiet.clone(), quiet.clone(), quiet.clone()
    small[..., :4, :5] = 0.9
    large[..., :40, :50] = 0.3
    gross[..., :40, :50] = 0.9
    shares = SegmentConfig().score_shares
    sound, spot, haze, hole = (float(image_scores(maps, shares)) for maps in (quiet, small, large, gross))
    assert sound == pytest.approx(0.02, abs=1e-6)
    assert sound < spot < hole
    assert sound < haze < hole
    # The small one by far not by its area, the large one by far not by its peak.
    assert min(spot, haze) > 3 * sound


def test_odds_of_maps_without_any_doubt_are_finite() -> None:
    assert (
        0
        < float(image_scores(torch.zeros(1, 1, 8, 8), (0.1,)))
        < float(image_scores(torch.ones(1, 1, 8, 8), (0.1,)))
        < 1
    )


@pytest.mark.parametrize("kind", ["noise", "doubtless", "flat", "nothing", "one spot", "many doubtless", "two values"])
def test_halving_gives_what_sorting_gives(kind: str) -> None:
    values = {
        "noise": rand(3, 5000),
        "doubtless": (30 * (rand(3, 5000) - 0.8)).sigmoid(),
        "flat": torch.full((3, 5000), 0.02),
        "nothing": torch.zeros(3, 5000),
        "one spot": torch.cat([torch.full((3, 4990), 1e-4), torch.full((3, 10), 0.9)], dim=1),
        "many doubtless": torch.cat([torch.full((3, 4000), 0.01), torch.full((3, 1000), 0.9999)], dim=1),
        "two values": torch.cat([torch.full((3, 3500), 0.01), torch.full((3, 1500), 0.3)], dim=1),
    }[kind]
    counts = (10, 100, 1000)
    halved, sorted_out = means_by_halving(values, counts), means_by_sorting(values, counts)
    assert halved.shape == (3, 3)
    torch.testing.assert_close(halved, sorted_out, rtol=1e-4, atol=1e-9)


def test_bundles_from_before_score_as_they_did() -> None:
    before = SegmentConfig.model_validate({"score_share": 0.01})
    assert before.score_shares == (0.01,)
    assert before.loss_share == 0.01
    maps = torch.rand(3, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    highest = maps.flatten(1).topk(16, dim=1).values.mean(dim=1)
    torch.testing.assert_close(image_scores(maps, before.score_shares), highest)


def test_flaws_as_faint_as_good_parts_show_are_not_learnt_from() -> None:
    severity = SegmentConfig().severity
    drawn = NO_SOURCES.synthesizer(None, severity).draw(torch.Generator().manual_seed(0), 200).flaws()
    severities = [float(flaw.parameters["severity"]) for flaw in drawn if "severity" in flaw.parameters]
    assert len(severities) > 30
    assert severity[0] <= min(severities) < severity[0] + 0.05
    assert max(severities) > severity[1] - 0.05
    with pytest.raises(ValidationError, match=r"severity takes the least and the greatest, such as \[0.3, 1\]"):
        SegmentConfig(severity=(0.8, 0.2))


def test_bundles_that_do_not_say_how_many_views_have_four(tmp_path: Path) -> None:
    options = {"widths": (8, 16), "flips": True}
    shape = Preprocessing(channels=1, height=32, width=48)
    detector = create("segment", options, shape)
    assert isinstance(detector, Segment)
    torch.manual_seed(0)
    detector.network = detector._new_network().eval()
    detector.save(tmp_path)
    loaded = create("segment", options, shape).load(tmp_path)
    images = rand(2, 1, 32, 48)
    assert torch.equal(loaded.predict(images).maps, detector.predict(images).maps)

    arrays = load_file(tmp_path / "weights.safetensors")
    del arrays["views"]
    save_file(arrays, tmp_path / "weights.safetensors")
    before = create("segment", options, shape).load(tmp_path)
    turned = [(view, images.flip(view)) for view in ((), (-1,), (-2,), (-2, -1))]
    once = [detector._probabilities(detector._inputs(one), one).flip(view) for view, one in turned]
    torch.testing.assert_close(before.predict(images).maps, torch.stack(once).mean(dim=0)[:, 0].detach())
    assert not torch.equal(before.predict(images).maps, loaded.predict(images).maps)
    before.save(tmp_path)
    again = create("segment", options, shape).load(tmp_path)
    assert torch.equal(again.predict(images).maps, before.predict(images).maps)
