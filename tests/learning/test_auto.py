"""``detector: auto``: the better candidate wins, by what no candidate has seen; a kill changes nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from learning.auto import choosing
from learning.auto.judging import Exam, set_exam
from learning.bundle import Bundle
from learning.config import Auto, TrainConfig
from learning.detectors import DETECTORS, Budget
from learning.detectors.segment import Segment
from learning.errors import ConfigError, DataError
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.metrics import image_auroc
from learning.training import train_bundle
from synth.image_level import Synthesizer
from tests.learning.conftest import StubDetector
from tests.stub import Blind

SMALL: dict[str, dict[str, Any]] = {
    "segment": {"widths": (8, 16), "batch": 4},
    "patchcore": {"backbone": {"name": "resnet10t", "levels": (1, 2)}, "batch": 4, "places": 256},
}


@pytest.fixture
def stubs(stub: type[StubDetector], monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    monkeypatch.setitem(DETECTORS, "blind", "tests.stub:Blind")
    for one in (stub, Blind):
        monkeypatch.setattr(one, "learns_from_flaws", False)
    return TrainConfig(detector="auto", auto=Auto(candidates=("blind", "stub")), size=48, view="whole")


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return surfaces(tmp_path / "parts", 40)


def surfaces(folder: Path, count: int) -> Path:
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(count):
        pixels = 120 + random.normal(0, 4, (48, 48))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{i:02}.png")
    return folder


def small(**options: Any) -> TrainConfig:
    auto = Auto(candidates=("segment", "patchcore"), options=SMALL, share=0.5, images=8, **options)
    return TrainConfig(detector="auto", auto=auto, size=48, view="whole")


def test_the_better_candidate_wins_and_the_bundle_says_why(stubs: TrainConfig, parts: Path, tmp_path: Path) -> None:
    bundle = train_bundle(parts, tmp_path / "b", config=stubs, budget=Budget(steps=10))
    choice = bundle.manifest.auto
    assert choice is not None
    assert (choice.detector, bundle.manifest.detector) == ("stub", "stub")
    assert [one.detector for one in choice.candidates] == ["stub", "blind"]
    best, blind = choice.candidates
    assert best.low > 0.6
    assert (blind.auroc, blind.low, blind.high) == (0.5, 0.5, 0.5)
    assert f"ahead by {best.auroc - 0.5:.3f}" in choice.reason
    assert "chance" not in choice.reason
    assert (choice.trained_groups, choice.judged_groups) == (21, 7)
    card = (bundle.folder / "card.md").read_text()
    assert choice.reason in card
    assert "| blind | 0.500 (0.500 to 0.500)" in card
    assert any("chose stub" in line for line in choice.lines())
    assert Bundle.load(bundle.folder).manifest.auto == choice


def test_a_bundle_is_called_the_same_however_its_detector_was_chosen(
    stubs: TrainConfig, parts: Path, tmp_path: Path
) -> None:
    chosen = train_bundle(parts, tmp_path / "a", config=stubs, budget=Budget(steps=10))
    named = stubs.model_copy(update={"detector": "stub"})
    assert chosen.fingerprint == train_bundle(parts, tmp_path / "b", config=named, budget=Budget(steps=10)).fingerprint


def test_what_judges_is_apart_from_what_trains(
    stubs: TrainConfig, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, set[str]] = {"train": set(), "selection": set(), "judge": set()}
    fit, examine = StubDetector.fit, choosing.set_exam

    def fitting(self: StubDetector, train: ImageSet, selection: ImageSet, *args: Any, **options: Any) -> Any:
        if len(seen["train"]) < 1:
            seen["train"], seen["selection"] = set(train.groups), set(selection.groups)
        return fit(self, train, selection, *args, **options)

    def examining(held_out: ImageSet, *args: Any) -> Exam:
        seen["judge"] = set(held_out.groups)
        return examine(held_out, *args)

    monkeypatch.setattr(StubDetector, "fit", fitting)
    monkeypatch.setattr(choosing, "set_exam", examining)
    bundle = train_bundle(parts, tmp_path / "b", config=stubs, budget=Budget(steps=10))
    seen["calibration"] = set(bundle.calibration["group"])
    every = [group for groups in seen.values() for group in groups]
    assert all(seen.values())
    assert len(every) == len(set(every)) == 40


def test_no_candidate_is_trained_on_a_family_that_judges_and_the_winner_is_on_all(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[set[str]] = []
    fit = Segment.fit

    def fitting(self: Segment, *args: Any, **options: Any) -> Any:
        trained.append(set(Synthesizer(self.config.families).families))
        return fit(self, *args, **options)

    monkeypatch.setattr(Segment, "fit", fitting)
    monkeypatch.setattr(choosing, "sorted", lambda tried, key: tried, raising=False)  # segment wins
    bundle = train_bundle(parts, tmp_path / "b", config=small(), budget=Budget(steps=8))
    choice = bundle.manifest.auto
    assert choice is not None
    candidate, winner = trained
    assert not candidate & set(choice.left_out)
    assert winner == candidate | set(choice.left_out)
    assert {family for one in choice.candidates for family in one.by_family} <= set(choice.left_out)
    # Two candidates with half of the steps together; the winner has the rest.
    assert [one.steps for one in choice.candidates] == [2, 2]
    assert bundle.manifest.steps == 4


def _weights(bundle: Bundle) -> bytes:
    return (bundle.folder / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Trained on the parts in the folder beside it, without a stop."""
    folder = tmp_path_factory.mktemp("not stopped")
    return train_bundle(surfaces(folder / "parts", 40), folder / "bundle", config=small(), budget=Budget(steps=8))


@pytest.mark.parametrize("stopped", [1, 3, 7])
def test_a_killed_choice_ends_like_one_that_was_not(whole: Bundle, tmp_path: Path, stopped: int) -> None:
    config, budget, parts = small(), Budget(steps=8), whole.folder.parent / "parts"
    batches = 0

    def killing(done: float, total: float, text: str) -> None:
        nonlocal batches
        batches += "training" in text or "reading" in text or "choosing" in text
        if batches == stopped:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_bundle(parts, tmp_path / "again", config=config, budget=budget, progress=killing)
    again = train_bundle(parts, tmp_path / "again", config=config, budget=budget)
    assert _weights(again) == _weights(whole)
    assert again.thresholds.current().value == whole.thresholds.current().value
    assert again.manifest.auto is not None
    assert whole.manifest.auto is not None
    assert again.manifest.auto.reason == whole.manifest.auto.reason
    assert not list(tmp_path.glob(".again.training"))


def test_what_is_known_of_a_candidate_is_not_found_out_again(
    stubs: TrainConfig, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[str] = []
    fit = StubDetector.fit

    def fitting(self: StubDetector, *args: Any, **options: Any) -> Any:
        fits.append(self.name)
        if len(fits) == 2:
            raise KeyboardInterrupt
        return fit(self, *args, **options)

    monkeypatch.setattr(StubDetector, "fit", fitting)
    for _ in range(2):
        try:
            train_bundle(parts, tmp_path / "b", config=stubs, budget=Budget(steps=10))
        except KeyboardInterrupt:
            assert len(list((tmp_path / ".b.training").rglob("tried.json"))) == 1
    assert fits == ["blind", "stub", "stub", "stub"]


def test_too_few_parts_take_the_first_candidate_and_say_so(stubs: TrainConfig, tmp_path: Path) -> None:
    bundle = train_bundle(surfaces(tmp_path / "few", 20), tmp_path / "b", config=stubs, budget=Budget(steps=10))
    choice = bundle.manifest.auto
    assert choice is not None
    assert (choice.detector, choice.candidates) == ("blind", ())
    assert "takes 22 independent groups of good parts that train, and there are 14" in choice.reason
    assert len(choice.lines()) == 1
    assert bundle.manifest.steps == 1


def test_too_few_steps_are_refused(parts: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 steps are too few for auto with 2 candidates"):
        train_bundle(parts, tmp_path / "b", config=small(), budget=Budget(steps=2))


def test_candidates_that_would_ignore_textures_are_passed_over(parts: Path, tmp_path: Path) -> None:
    textures = surfaces(tmp_path / "textures", 2)
    config = small().model_copy(update={"sources": small().sources.model_copy(update={"textures": textures})})
    bundle = train_bundle(parts, tmp_path / "b", config=config, budget=Budget(steps=4))
    choice = bundle.manifest.auto
    assert choice is not None
    assert (choice.detector, list(choice.passed_over)) == ("segment", ["patchcore"])
    assert "only candidate" in choice.reason
    assert bundle.manifest.steps == 4
    alone = config.model_copy(update={"auto": Auto(candidates=("kmeans", "patchcore"))})
    with pytest.raises(ConfigError, match="none of the candidates can be trained: kmeans learns from good parts alone"):
        train_bundle(parts, tmp_path / "b", config=alone, budget=Budget(steps=4))


def test_minutes_are_kept(stubs: TrainConfig, parts: Path, tmp_path: Path) -> None:
    choice = train_bundle(parts, tmp_path / "b", config=stubs, budget=Budget(minutes=0.2)).manifest.auto
    assert choice is not None
    left = choosing.rest_of(Budget(minutes=0.2), choice, stubs.auto.share).minutes
    assert left is not None
    # A busy machine may take more than all of them; a second is left for the winner even so.
    assert 60 * left == pytest.approx(max(12 - sum(one.seconds for one in choice.candidates), 1))
    slow = choice.model_copy(update={"candidates": (choice.candidates[0].model_copy(update={"seconds": 99.0}),)})
    assert choosing.rest_of(Budget(minutes=0.2), slow, 0.4).minutes == pytest.approx(1 / 60)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"candidates": ("segment",)}, "candidates"),
        ({"candidates": ("segment", "padim")}, "no detector is called 'padim'"),
        ({"candidates": ("segment", "segment")}, "twice"),
        ({"candidates": ("segment", "auto")}, "no detector is called 'auto'"),
        ({"left_out": ("confirmed",)}, "takes some, not all, of"),
        ({"options": {"flow": {}}}, "'flow' is none"),
        ({"options": {"segment": {"widht": 3}}}, "widht"),
        ({"options": {"segment": {"families": ("crack",)}}}, "leaves segment no family"),
    ],
)
def test_wrong_options_are_named(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=reason):
        Auto(**wrong)


def test_options_of_one_detector_are_refused_with_auto() -> None:
    with pytest.raises(ValueError, match=r"auto\.options"):
        TrainConfig(detector="auto", detector_config={"batch": 4})


def test_the_exam_counts_families_alike_and_resamples_groups(parts: Path) -> None:
    held_out = ImageSet(sorted(parts.iterdir())[:12], Preprocessing(channels=1, height=48, width=48))
    exam = set_exam(held_out, ("crack", "missing"), 8, 0)
    again = set_exam(held_out, ("crack", "missing"), 8, 0)
    assert torch.equal(exam.images, again.images)
    assert (exam.families == "").sum() == 8
    assert exam.flaws == (exam.families != "").sum() > 8
    scores = np.random.default_rng(0).normal(size=len(exam.images)) + (exam.families == "crack")
    for family, auroc in exam.by_family(scores).items():
        rows = np.isin(exam.families, ["", family])
        assert auroc == image_auroc(scores[rows], exam.families[rows] == family)
    low, high = exam.interval(scores)
    assert low < np.mean(list(exam.by_family(scores).values())) < high
    assert exam.interval(scores, scores) == (0, 0)


def test_flaws_that_nobody_can_see_choose_nothing(parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unseen(images: torch.Tensor, *_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return images, torch.zeros_like(images)

    monkeypatch.setattr(Synthesizer, "apply", staticmethod(unseen))
    held_out = ImageSet(sorted(parts.iterdir())[:8], Preprocessing(channels=1, height=48, width=48))
    with pytest.raises(DataError, match="no made-up flaw can be seen"):
        set_exam(held_out, ("crack",), 8, 0)
