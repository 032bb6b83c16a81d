"""A thread that is worn off resembles no flaw that is made up; how far it departs from good parts is seen."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from learning.detectors import Budget, create
from learning.detectors.base import Detector
from learning.detectors.departure import Departure
from learning.detectors.inputs import roughness, standardise
from learning.detectors.reference import Fitted, fit_reference, is_explained
from learning.detectors.segment.detector import Segment
from learning.detectors.weights import read_weights, write_weights
from learning.errors import ConfigError
from learning.images.image_set import ImageSet
from learning.loop import LoopReport
from learning.muon import Muon
from tests.learning.stopping import StopAt
from tests.learning.test_reference import HEIGHT, SMALL, WIDTH, drawing, image_set, noisy

WORN = (slice(None), slice(None), slice(24, 48), slice(56, 76))


def threaded(seed: int) -> Tensor:
    """Half of it smooth, half of it a thread at any phase, lit from anywhere; ``[1, 1, HEIGHT, WIDTH]``."""
    random = np.random.default_rng(seed)
    across, down = torch.meshgrid(torch.arange(WIDTH), torch.arange(HEIGHT), indexing="xy")
    lit = 0.5 + random.uniform(-0.2, 0.2) * (down / HEIGHT - 0.5) + random.uniform(-0.2, 0.2) * (across / WIDTH - 0.5)
    thread = 0.15 * torch.sin(2 * torch.pi * (across / 4.3 + random.uniform())) * (across > WIDTH / 2 - 4)
    part = (across > 5) & (across < WIDTH - 6) & (down > 7) & (down < HEIGHT - 8)
    return noisy(torch.where(part, lit + thread, 0.15)[None, None].float(), seed)


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
def fitted(parts: ImageSet) -> Fitted:
    return fit_reference(parts, standardise)


@pytest.fixture(scope="module")
def departure(fitted: Fitted, held_out: ImageSet) -> Departure:
    scores = torch.linspace(-2, -1, len(held_out)).sigmoid()
    found = Departure.fit(scores, deviations(fitted, held_out.batch(range(len(held_out)))))
    assert found is not None
    return found


def deviations(fitted: Fitted, pictures: Tensor) -> Tensor:
    return fitted.reference.deviations(standardise(pictures))


def test_threads_in_any_phase_have_something_in_common(fitted: Fitted) -> None:
    assert is_explained(fitted.explained)
    assert len(fitted.reference.usual.directions) >= 2


def test_roughness_depends_on_neither_phase_nor_light() -> None:
    one, other, smooth = (roughness(standardise(picture))[:, 0] for picture in (threaded(0), threaded(1), worn(0)))
    inner = (slice(None), slice(28, 44), slice(60, 72))
    assert (one[inner] - other[inner]).abs().mean() < 0.3 * (one[inner] - smooth[inner]).abs().mean()


def test_a_worn_thread_is_seen_where_it_is_and_a_good_part_stays_what_it_was(
    fitted: Fitted, departure: Departure
) -> None:
    scores, maps = torch.tensor([0.18]), torch.full((1, 1, HEIGHT, WIDTH), 0.01)
    joined = {}
    for name, picture in (("good", threaded(200)), ("worn", worn(200))):
        score, shown = departure.join(scores, maps, deviations(fitted, picture))
        assert score.shape == (1,)
        assert (score >= scores).all()
        assert (shown >= maps).all()
        assert float(shown.max()) <= 1
        joined[name] = float(score), shown
    assert joined["worn"][0] > 0.25
    assert joined["good"][0] < 0.2
    there = joined["worn"][1][WORN]
    assert there.mean() > 2 * joined["worn"][1][..., :16, :].mean()
    assert there.mean() > 2 * joined["good"][1][WORN].mean()


def test_a_suspicion_of_the_network_is_never_taken_back(fitted: Fitted, departure: Departure) -> None:
    good = deviations(fitted, threaded(201))
    for score in (0.0, 0.97, 1.0):
        scores, _ = departure.join(torch.tensor([score]), torch.zeros(1, 1, HEIGHT, WIDTH), good)
        assert score <= float(scores[0]) <= max(0.4, score + 1e-6)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_pictures_are_no_trouble(level: float, fitted: Fitted, departure: Departure) -> None:
    flat = deviations(fitted, torch.full((2, 1, HEIGHT, WIDTH), level))
    for found in departure.join(torch.tensor([0.1, 0.1]), torch.zeros(2, 1, HEIGHT, WIDTH), flat):
        assert torch.isfinite(found).all()


def test_coloured_pictures_are_rough_once() -> None:
    assert roughness(standardise(torch.rand(2, 3, 32, 64))).shape == (2, 1, 32, 64)


class TestSegment:
    def test_it_is_stored_and_taken_into_account(self, parts: ImageSet, held_out: ImageSet, tmp_path: Path) -> None:
        detector = create("segment", SMALL, parts.preprocessing)
        report = detector.fit(parts, held_out, 0, Budget(steps=2))
        assert report.choices["reference"].startswith("yes: in ")
        detector.save(tmp_path)
        loaded = create("segment", SMALL, parts.preprocessing).load(tmp_path)
        images = held_out.batch(range(3))
        assert torch.equal(loaded.predict(images).scores, detector.predict(images).scores)
        assert torch.equal(loaded.predict(images).maps, detector.predict(images).maps)
        assert float(detector.predict(worn(200)).scores) > float(detector.predict(threaded(200)).scores)

    @pytest.mark.parametrize("stopped", [1, 2])
    def test_a_killed_training_ends_like_one_that_was_not(
        self, parts: ImageSet, held_out: ImageSet, tmp_path: Path, stopped: int
    ) -> None:
        """Reference and folds are not part of the checkpoint: they are fitted again, and have to come out the same."""

        def fit(**given: object) -> dict[str, Tensor]:
            detector = create("segment", SMALL, parts.preprocessing)
            detector.fit(parts, held_out, 0, Budget(steps=4), **given)  # type: ignore[arg-type]
            detector.save(tmp_path)
            return read_weights(tmp_path, "cpu")

        whole = fit()
        with pytest.raises(KeyboardInterrupt):
            fit(checkpoint=tmp_path / "c", progress=StopAt(stopped))
        assert (tmp_path / "c" / "checkpoint.safetensors").exists()
        resumed = fit(checkpoint=tmp_path / "c")
        assert "reference.directions" in whole
        assert all(torch.equal(resumed[name], value) for name, value in whole.items())

    def test_it_can_be_left_out(self, parts: ImageSet, held_out: ImageSet) -> None:
        detector = create("segment", {**SMALL, "departure": False}, parts.preprocessing)
        detector.fit(parts, held_out, 0, Budget(steps=1))
        assert isinstance(detector, Segment)
        assert detector.reference is not None
        assert detector.departure is None

    def test_convolutions_are_moved_by_muon_where_there_is_a_reference(
        self, parts: ImageSet, held_out: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[list[Tensor]] = []

        class Noted(Muon):
            def __init__(self, parameters: list[Tensor], **options: float) -> None:
                made.append(parameters)
                super().__init__(parameters, **options)

        monkeypatch.setattr("learning.loop.Muon", Noted)

        def fit(images: ImageSet, start: Detector | None = None, **options: object) -> tuple[str | None, list[Tensor]]:
            made.clear()
            detector = create("segment", {**SMALL, **options}, images.preprocessing)
            if start is not None:
                detector.go_on_from(start)
            report = detector.fit(images, images, 0, Budget(steps=1))
            found.append(detector)
            return report.choices.get("muon"), [weight for weights in made for weight in weights]

        found: list[Detector] = []
        said, moved = fit(parts)
        assert said == "yes"
        assert isinstance(found[0], Segment)
        kernels = [weight for weight in found[0].network.parameters() if weight.ndim == 4]
        assert moved
        assert [weight.shape for weight in moved] == [weight.shape for weight in kernels]
        said, moved = fit(parts, found[0])
        assert said == "yes"
        assert [weight.shape for weight in moved] == [weight.shape for weight in kernels]
        surface = image_set([drawing(seed) for seed in range(12)], tmp_path)
        assert fit(surface) == ("no", [])
        assert fit(parts, muon=False) == (None, [])
        assert fit(surface, muon=True)[1]

    def test_looking_at_good_parts_afterwards_is_left_time_for(
        self, parts: ImageSet, held_out: ImageSet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = Segment._raised

        def raised(self: Segment, images: Tensor) -> Tensor:
            time.sleep(0.02)
            return slow(self, images)

        monkeypatch.setattr(Segment, "_raised", raised)
        given: list[Budget] = []

        def trained(*arguments: Any, **options: Any) -> LoopReport:
            given.append(next(one for one in arguments if isinstance(one, Budget)))
            return LoopReport(1, 0.0, "32-true")

        monkeypatch.setattr("learning.detectors.segment.detector.train_loop", trained)
        for budget in (Budget(minutes=10), Budget(steps=1)):
            create("segment", SMALL, parts.preprocessing).fit(parts, held_out, 0, budget)
        assert given[0].minutes is not None
        assert 60 * given[0].minutes <= 600 - 0.02 * (len(parts) + len(held_out))
        assert given[1] == Budget(steps=1)

    def test_too_few_held_out_parts_are_said(self, parts: ImageSet, tmp_path: Path) -> None:
        few = image_set([threaded(seed) for seed in range(100, 104)], tmp_path)
        report = create("segment", SMALL, parts.preprocessing).fit(parts, few, 0, Budget(steps=1))
        assert report.choices["departure"] == "no: too few held-out parts say what is usual"

    def test_one_that_goes_on_keeps_the_reference_and_learns_apart_from_its_own_parts(
        self, parts: ImageSet, held_out: ImageSet
    ) -> None:
        first, second = (create("segment", SMALL, parts.preprocessing) for _ in range(2))
        first.fit(parts, held_out, 0, Budget(steps=1))
        second.go_on_from(first)
        second.fit(parts, held_out, 0, Budget(steps=1))
        assert isinstance(first, Segment)
        assert isinstance(second, Segment)
        assert first.reference is not None
        assert second.reference is not None
        assert torch.equal(second.reference.usual.directions, first.reference.usual.directions)
        assert second.departure is not None

    def test_a_second_fit_forgets_the_first(self, parts: ImageSet, held_out: ImageSet, tmp_path: Path) -> None:
        detector = create("segment", SMALL, parts.preprocessing)
        detector.fit(parts, held_out, 0, Budget(steps=1))
        surface = image_set([drawing(seed) for seed in range(12)], tmp_path)
        detector.fit(surface, surface, 0, Budget(steps=1))
        assert isinstance(detector, Segment)
        assert detector.reference is None
        assert detector.departure is None

    def test_a_model_of_another_making_is_refused(self, parts: ImageSet, held_out: ImageSet, tmp_path: Path) -> None:
        detector = create("segment", SMALL, parts.preprocessing)
        detector.fit(parts, held_out, 0, Budget(steps=1))
        detector.save(tmp_path)
        write_weights(tmp_path, read_weights(tmp_path, "cpu") | {"structure.mean": torch.zeros(1)})
        with pytest.raises(ConfigError, match="train it anew"):
            create("segment", {**SMALL, "structure": True}, parts.preprocessing).load(tmp_path)
