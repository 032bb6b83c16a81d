"""Where nothing but brightness and roughness is alike on good parts, what is unusual of these still stands out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from learning.detectors import Budget, create
from learning.detectors.inputs import standardise
from learning.detectors.reference import fit_reference, is_explained
from learning.detectors.segment.detector import Segment
from learning.detectors.structure import Structure, fit_structure, scaled, structure
from learning.images.image_set import ImageSet
from tests.learning.test_reference import HEIGHT, SMALL, WIDTH, drawing, image_set, noisy

WORN = (slice(None), slice(None), slice(24, 48), slice(56, 76))


def threaded(seed: int) -> Tensor:
    """Half of it smooth, half of it a thread at any phase, lit from anywhere: ``[1, 1, HEIGHT, WIDTH]``."""
    random = np.random.default_rng(seed)
    across, down = torch.meshgrid(torch.arange(WIDTH), torch.arange(HEIGHT), indexing="xy")
    lit = 0.5 + random.uniform(-0.2, 0.2) * (down / HEIGHT - 0.5) + random.uniform(-0.2, 0.2) * (across / WIDTH - 0.5)
    thread = 0.15 * torch.sin(2 * torch.pi * (across / 4.3 + random.uniform())) * (across > WIDTH / 2 - 4)
    return noisy((lit + thread)[None, None].float(), seed)


def worn(seed: int) -> Tensor:
    """The same without a part of its thread."""
    picture = threaded(seed)
    picture[WORN] = picture[..., 24:48, 10:30].clone()
    return picture


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return image_set([threaded(seed) for seed in range(24)], tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return image_set([threaded(seed) for seed in range(100, 110)], tmp_path_factory.mktemp("held out"))


@pytest.fixture(scope="module")
def fitted(parts: ImageSet, held_out: ImageSet) -> Structure:
    usual, _ = fit_structure(parts, standardise)
    assert usual is not None
    logits = torch.linspace(-2, -1, len(held_out))
    found = scaled(usual, logits, standardise(held_out.batch(range(len(held_out)))))
    assert found is not None
    return found


def test_roughness_is_alike_where_pixels_are_not(parts: ImageSet) -> None:
    assert not is_explained(fit_reference(parts, standardise)[1])
    usual, explained = fit_structure(parts, standardise)
    assert usual is not None
    assert explained > 0.7


def test_roughness_depends_on_neither_phase_nor_light() -> None:
    one, other, smooth = (structure(standardise(picture))[:, 1] for picture in (threaded(0), threaded(1), worn(0)))
    inner = (slice(None), slice(28, 44), slice(60, 72))
    assert (one[inner] - other[inner]).abs().mean() < 0.3 * (one[inner] - smooth[inner]).abs().mean()


def test_a_worn_thread_is_seen_where_it_is_and_a_good_part_stays_what_it_was(fitted: Structure) -> None:
    scores, maps = torch.tensor([0.18]), torch.full((1, 1, HEIGHT, WIDTH), 0.01)
    joined = {}
    for name, picture in (("good", threaded(200)), ("worn", worn(200))):
        score, shown = fitted.join(scores, maps, standardise(picture))
        assert score.shape == (1,)
        assert (score >= scores).all()
        assert (shown >= maps).all()
        assert float(shown.max()) <= 1
        joined[name] = float(score), shown
    assert joined["worn"][0] > 0.5
    assert joined["good"][0] < 0.4
    there = joined["worn"][1][WORN]
    assert there.mean() > 4 * joined["worn"][1][..., :16, :].mean()
    assert there.mean() > 4 * joined["good"][1][WORN].mean()


def test_a_suspicion_of_the_network_is_never_taken_back(fitted: Structure) -> None:
    scores, _ = fitted.join(torch.tensor([0.97]), torch.zeros(1, 1, HEIGHT, WIDTH), standardise(threaded(201)))
    assert float(scores[0]) == pytest.approx(0.97)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_pictures_are_no_trouble(level: float, fitted: Structure) -> None:
    flat = standardise(torch.full((2, 1, HEIGHT, WIDTH), level))
    for found in fitted.join(torch.tensor([0.1, 0.1]), torch.zeros(2, 1, HEIGHT, WIDTH), flat):
        assert torch.isfinite(found).all()


def test_coloured_pictures_have_two_planes_too() -> None:
    assert structure(standardise(torch.rand(2, 3, 32, 64))).shape == (2, 2, 32, 64)


OPTIONS = {**SMALL, "flips": False}


class TestSegment:
    def test_it_is_chosen_by_good_parts_and_said(self, parts: ImageSet, held_out: ImageSet, tmp_path: Path) -> None:
        detector = create("segment", OPTIONS, parts.preprocessing)
        report = detector.fit(parts, held_out, 0, Budget(steps=2))
        assert report.choices["reference"].startswith("no: ")
        assert report.choices["structure"].startswith("yes: it explains ")
        detector.save(tmp_path)
        loaded = create("segment", OPTIONS, parts.preprocessing).load(tmp_path)
        images = held_out.batch(range(3))
        assert torch.equal(loaded.predict(images).scores, detector.predict(images).scores)
        assert torch.equal(loaded.predict(images).maps, detector.predict(images).maps)
        assert float(detector.predict(worn(200)).scores) > float(detector.predict(threaded(200)).scores)

    def test_it_can_be_left_out(self, parts: ImageSet, held_out: ImageSet) -> None:
        detector = create("segment", {**OPTIONS, "structure": False}, parts.preprocessing)
        report = detector.fit(parts, held_out, 0, Budget(steps=1))
        assert "structure" not in report.choices
        assert isinstance(detector, Segment)
        assert detector.structure is None

    def test_too_few_held_out_parts_are_said(self, parts: ImageSet, tmp_path: Path) -> None:
        few = image_set([threaded(seed) for seed in range(100, 104)], tmp_path)
        report = create("segment", OPTIONS, parts.preprocessing).fit(parts, few, 0, Budget(steps=1))
        assert report.choices["structure"] == "no: too few held-out parts say what is usual"

    def test_on_a_surface_it_is_not_chosen(self, tmp_path: Path) -> None:
        surface = image_set([drawing(seed) for seed in range(12)], tmp_path)
        report = create("segment", SMALL, surface.preprocessing).fit(surface, surface, 0, Budget(steps=1))
        assert report.choices["structure"].startswith("no: ")

    def test_one_that_goes_on_keeps_it(self, parts: ImageSet, held_out: ImageSet) -> None:
        first = create("segment", OPTIONS, parts.preprocessing)
        first.fit(parts, held_out, 0, Budget(steps=1))
        second = create("segment", OPTIONS, parts.preprocessing)
        assert isinstance(first, Segment)
        assert isinstance(second, Segment)
        second.go_on_from(first)
        second.fit(parts, held_out, 0, Budget(steps=1))
        assert first.structure is not None
        assert second.structure is not None
        assert torch.equal(second.structure.reference.mean, first.structure.reference.mean)
