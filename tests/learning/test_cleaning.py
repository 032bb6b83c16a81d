"""Defects hidden among the good parts: found by models that have not seen them, and left out of training alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning.bundle import Bundle
from learning.cleaning import Cleaned
from learning.config import Clean, TrainConfig
from learning.detectors import DETECTORS, Budget, FitReport
from learning.images.readers import read_data
from learning.tails import limit_among_flawed
from learning.training import train_bundle, train_on_records
from tests.learning.conftest import StubDetector


@pytest.fixture
def config(stub: type[StubDetector]) -> TrainConfig:
    return TrainConfig(detector="stub", size=32, view="whole", clean=Clean())


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """180 even plates and 20 with a spot, all called good."""
    random = np.random.default_rng(0)
    folder = tmp_path / "parts"
    folder.mkdir()
    for i in range(200):
        pixels = 120 + random.normal(0, 4, (32, 32))
        if i % 10 == 0:
            pixels[8:14, 10:16] += 60 + i
        name = f"spot-{i:03}.png" if i % 10 == 0 else f"{i:03}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
    return folder


def test_what_is_suspected_trains_nothing_and_what_calibrates_is_not_touched(
    config: TrainConfig, parts: Path, tmp_path: Path
) -> None:
    plain = train_bundle(
        parts, tmp_path / "plain", config=config.model_copy(update={"clean": None}), budget=Budget(steps=9)
    )
    bundle = train_bundle(parts, tmp_path / "bundle", config=config, budget=Budget(steps=9))
    cleaned = bundle.manifest.cleaned
    assert cleaned is not None
    trained = {Path(name).name for name in plain.embeddings("train")[0]}
    spots = {name for name in trained if name.startswith("spot")}
    assert {Path(one.image).name for one in cleaned.suspects} == spots != set()
    assert {Path(name).name for name in bundle.embeddings("train")[0]} == trained - spots
    assert bundle.calibration.image.tolist() == plain.calibration.image.tolist()
    assert any("spot" in name for name in bundle.calibration.image)
    card = (tmp_path / "bundle" / "card.md").read_text()
    assert all(name in card for name in spots)
    assert Bundle.load(tmp_path / "bundle").manifest.cleaned == cleaned


def test_good_parts_alone_lose_hardly_any(config: TrainConfig, parts: Path, tmp_path: Path) -> None:
    for file in parts.glob("spot*"):
        file.unlink()
    cleaned = train_bundle(parts, tmp_path / "bundle", config=config, budget=Budget(steps=9)).manifest.cleaned
    assert cleaned is not None
    assert len(cleaned.suspects) <= 1


def test_what_inspectors_confirmed_is_not_suspected(config: TrainConfig, parts: Path, tmp_path: Path) -> None:
    records = read_data(parts)
    confirmed = [record for record in records if record.path.name.startswith("spot")]
    others = [record for record in records if record not in confirmed]
    bundle = train_on_records(
        others, tmp_path / "bundle", config=config, budget=Budget(steps=9), confirmed_good=confirmed
    )
    assert bundle.manifest.cleaned is not None
    assert not any("spot" in one.image for one in bundle.manifest.cleaned.suspects)
    assert sum("spot" in name for name in bundle.embeddings("train")[0]) == len(confirmed)


def test_a_killed_search_goes_on(
    config: TrainConfig, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[int] = []
    fit = StubDetector.fit

    def dies_at_the_second(self: StubDetector, *arguments: object, **named: object) -> FitReport:
        fits.append(1)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return fit(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(StubDetector, "fit", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        train_bundle(parts, tmp_path / "bundle", config=config, budget=Budget(steps=9))
    cleaned = train_bundle(parts, tmp_path / "bundle", config=config, budget=Budget(steps=9)).manifest.cleaned
    # The first fold, the second one twice, the training itself.
    assert len(fits) == 4
    monkeypatch.setattr(StubDetector, "fit", fit)
    assert train_bundle(parts, tmp_path / "other", config=config, budget=Budget(steps=9)).manifest.cleaned == cleaned


def test_too_few_parts_are_said_to_be_too_few(config: TrainConfig, parts: Path, tmp_path: Path) -> None:
    for file in sorted(parts.iterdir())[30:]:
        file.unlink()
    cleaned = train_bundle(parts, tmp_path / "bundle", config=config, budget=Budget(steps=9)).manifest.cleaned
    assert cleaned is not None
    assert not cleaned.suspects
    assert "20 pictures in each of 2 folds" in cleaned.text()


def test_the_words_say_how_many_are_suspected_by_chance() -> None:
    assert "about 1.0% would be suspected" in Cleaned(judged=50, rate=0.01).text()


@pytest.mark.parametrize("flawed", [0, 20, 100, 200])
def test_a_fifth_of_flawed_values_does_not_hide_itself(flawed: int) -> None:
    values = np.random.default_rng(0).gamma(4, 1, 1000)
    values[:flawed] += 25
    limit = limit_among_flawed(values, 0.01)
    assert limit is not None
    assert (values[:flawed] > limit).all()
    assert (values[flawed:] > limit).mean() <= 0.015


def test_another_detector_may_judge(
    config: TrainConfig, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DETECTORS, "blind", "tests.stub:Blind")
    config = config.model_copy(update={"clean": Clean(detector="blind")})
    bundle = train_bundle(parts, tmp_path / "bundle", config=config, budget=Budget(steps=9))
    assert bundle.manifest.detector == "stub"
    assert bundle.manifest.cleaned is not None
    assert not bundle.manifest.cleaned.suspects


@pytest.mark.parametrize("name", ["magic", "supervised"])
def test_who_cannot_judge_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Clean(detector=name)
