"""Odds by what the detector is unsure of: bounded, never zero, repeatable, and gone on from after a kill."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

from learning.curriculum import Curriculum, CurriculumConfig, step_odds, unsureness, with_floor
from learning.detectors import Budget, create
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from synth.families.crack import Crack, CrackParameters
from tests.learning.stopping import StopAt

SHAPE = (3, 4)


def table(seed: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.empty(SHAPE, dtype=torch.float64).uniform_(low, high, generator=torch.Generator().manual_seed(seed))


class TestRule:
    @given(st.integers(0, 2**16), st.floats(0.01, 1), st.floats(1.01, 8), st.floats(0.01, 1))
    @settings(deadline=None, max_examples=50)
    def test_odds_stay_normalised_bounded_and_above_the_floor(
        self, seed: int, rate: float, most: float, floor: float
    ) -> None:
        odds = torch.ones(SHAPE, dtype=torch.float64)
        for look in range(12):
            moved = step_odds(odds, table(seed + look), rate, most)
            # Normalising can stretch what the bound allows, by the bound at most.
            assert ((moved / odds).log().abs() <= 2 * np.log(most) + 1e-9).all()
            odds = moved
            drawn = with_floor(odds, floor)
            assert float(drawn.mean()) == pytest.approx(1)
            assert (drawn >= floor - 1e-9).all()

    @given(st.integers(0, 2**16))
    @settings(deadline=None, max_examples=20)
    def test_under_the_same_findings_odds_settle_where_they_should(self, seed: int) -> None:
        unsure, odds = table(seed, 0.05), torch.ones(SHAPE, dtype=torch.float64)
        for _ in range(60):
            odds = step_odds(odds, unsure, 0.5, 2.0)
        assert torch.allclose(odds, unsure / unsure.mean(), rtol=1e-3)

    def test_where_nothing_is_unsure_odds_go_back_to_equal(self) -> None:
        odds = table(0, 0.2, 3)
        for _ in range(40):
            odds = step_odds(odds, torch.zeros(SHAPE, dtype=torch.float64), 0.5, 2.0)
        assert torch.allclose(odds, torch.ones_like(odds), rtol=1e-3)

    def test_half_found_is_unsure_and_none_or_all_is_not(self) -> None:
        found = torch.tensor([0.0, 50.0, 100.0, 0.0], dtype=torch.float64)
        shown = torch.tensor([100.0, 100.0, 100.0, 0.0], dtype=torch.float64)
        none, half, all_, unknown = unsureness(found, shown).tolist()
        assert none == pytest.approx(all_)
        assert none < 0.05
        assert half > 0.98
        assert unknown == pytest.approx(2 / 3)

    @given(st.integers(0, 50), st.integers(0, 50))
    @settings(deadline=None, max_examples=30)
    def test_unsureness_against_sampling_the_posterior(self, found: int, missed: int) -> None:
        q = np.random.default_rng(0).beta(1 + found, 1 + missed, 20_000)
        closed = unsureness(torch.tensor(float(found)), torch.tensor(float(found + missed)))
        assert float(closed) == pytest.approx(4 * (q * (1 - q)).mean(), abs=0.01)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for path in paths:
        Image.fromarray(np.clip(rng.normal(120, 5, (32, 32)), 0, 255).astype(np.uint8)).save(path)
    return ImageSet(paths, Preprocessing.for_images(paths, 32))


def darkest(network: nn.Module, batch: Tensor) -> Tensor:
    """Finds what is much darker than the rest: gross flaws, and no faint ones."""
    return -(batch - batch.mean(dim=(1, 2, 3), keepdim=True)).flatten(1).amin(dim=1)


def curriculum(images: ImageSet, **options: object) -> Curriculum:
    return Curriculum(["blob", "smooth"], images, darkest, CurriculumConfig(flaws=4, **options))  # type: ignore[arg-type]


def look(taught: Curriculum, looks: int = 5, seed: int = 0) -> None:
    for i in range(looks):
        taught.update(nn.Identity(), torch.Generator().manual_seed(seed + i))


def test_what_is_never_found_is_drawn_less_than_what_is_found_at_times(images: ImageSet) -> None:
    taught = curriculum(images)
    look(taught)
    odds = taught.odds.table
    # Lost texture is never darker than what is around it.
    assert sum(odds["smooth"]) < sum(odds["blob"])
    assert min(min(row) for row in odds.values()) >= taught.config.floor
    drawn = taught.draw(torch.Generator().manual_seed(0), 1000).flaws()
    blobs = sum(flaw.family == "blob" for flaw in drawn) / len(drawn)
    assert blobs == pytest.approx(sum(odds["blob"]) / sum(map(sum, odds.values())), abs=0.05)


def test_no_flaw_is_drawn_or_shown_beyond_the_range_of_severities(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Tensor] = []
    draw = Crack.draw

    def listen(self: Crack, generator: torch.Generator, count: int, severity: Tensor | None = None) -> CrackParameters:
        assert severity is not None
        asked.append(severity)
        return draw(self, generator, count, severity)

    monkeypatch.setattr(Crack, "draw", listen)
    taught = Curriculum(["crack", "blob"], images, darkest, CurriculumConfig(flaws=4), severity=(0.3, 0.6))
    look(taught, 2)
    taught.draw(torch.Generator().manual_seed(0), 200)
    every = torch.cat(asked)
    assert len(every) > 100
    assert 0.3 <= float(every.min()) < 0.32
    assert 0.58 < float(every.max()) <= 0.6


def test_the_same_seed_gives_the_same_odds_and_another_does_not(images: ImageSet) -> None:
    first, second, other = (curriculum(images) for _ in range(3))
    look(first)
    look(second)
    look(other, seed=100)
    assert first.odds == second.odds != other.odds


def test_a_state_is_gone_on_from(images: ImageSet) -> None:
    whole, half, rest = (curriculum(images) for _ in range(3))
    look(whole, 4)
    look(half, 2)
    rest.load_state_dict({name: value.clone() for name, value in half.state_dict().items()})
    look(rest, 2, seed=2)
    assert whole.odds == rest.odds != half.odds


@pytest.mark.parametrize("stopped", [3, 4, 5])
def test_a_killed_training_ends_like_one_that_was_not(images: ImageSet, tmp_path: Path, stopped: int) -> None:
    """Also where it is stopped right at a look, before and after it."""
    options = {"batch": 4, "widths": (4, 8), "families": ("blob", "smooth"), "curriculum": {"every": 2, "sound": 4}}

    def fit(**given: object) -> list[Tensor]:
        detector = create("segment", options, images.preprocessing)
        said = detector.fit(images, images, 0, Budget(steps=8), **given).choices["curriculum"]  # type: ignore[arg-type]
        assert re.fullmatch(r"odds by 3 ranges .*: (blob|smooth)( \d\.\d\d){3}; (blob|smooth)( \d\.\d\d){3}", said)
        return list(detector.network.state_dict().values())  # type: ignore[attr-defined]

    whole = fit()
    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint=tmp_path / "c", progress=StopAt(stopped))
    resumed = fit(checkpoint=tmp_path / "c")
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))
