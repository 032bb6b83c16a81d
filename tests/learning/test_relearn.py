"""What verdicts change, on simulated lines: the promise holds, and a fallback is on only when it helps."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from learning.bundle import by_group
from learning.calibration import calibration_decisions
from learning.detectors.base import Prediction
from learning.errors import BundleError, PromiseError
from learning.fusion import fuse
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.relearn import Confirmed, relearn
from learning.sampling import draw_asks
from learning.supervised import Fallback, fit_logistic
from learning.thresholds import (
    OriginLimit,
    Origins,
    Threshold,
    ThresholdStore,
    conformal_threshold,
    smallest_promise_threshold,
)
from learning.weighing import Costs, HeadScores, Scored, Verdicts, Weighed, weigh

WIDTH = 12
COSTS = Costs(escape=20, false_reject=1)


@dataclass(frozen=True)
class Line:
    """A line whose detector sees half of the defects, while all of them stand out in the embedding (or none do)."""

    seed: int
    visible: float = 4.0

    def parts(self, count: int, share: float, stream: int) -> tuple[Scored, np.ndarray]:
        random = np.random.default_rng([self.seed, stream])
        defective = random.random(count) < share
        seen = defective & (random.random(count) < 0.5)
        scores = random.normal(size=count) + 5 * seen
        embeddings = random.normal(size=(count, WIDTH))
        embeddings[:, 2] += self.visible * defective
        return Scored(scores, embeddings, np.array([f"{stream}-{i}" for i in range(count)])), defective

    def weigh(self, limit: float = 0.05, calibration: int = 90, asks: int = 60) -> Weighed:
        """Ask about a stream near the first threshold, which the calibration parts set, as the product does."""
        good = self.parts(calibration, 0, 4)[0]
        stream, defective = self.parts(200, 0.25, 1)
        draws = draw_asks(stream.scores, float(good.scores.max()), stream.groups.tolist(), asks, seed=self.seed)
        rows = [draw.index for draw in draws]
        return weigh(
            Verdicts(
                Scored(stream.scores[rows], stream.embeddings[rows], stream.groups[rows]),
                defective[rows],
                np.array([1 / draw.inclusion_probability for draw in draws]),
            ),
            self.parts(80, 0, 2)[0].embeddings,
            self.parts(30, 0, 3)[0],
            good,
            COSTS,
            limit,
            0.95,
            seed=0,
        )

    def rejected(self, weighed: Weighed, share: float) -> float:
        """Share of fresh parts, all of them good or all defective, that are rejected."""
        parts = self.parts(4000, share, 9)[0]
        scores = parts.scores
        if weighed.fallback is not None:
            assert weighed.fallback.scale is not None
            scores = fuse(parts.scores, weighed.fallback.predict(parts.embeddings), weighed.fallback.scale)
        return float((scores > weighed.value).mean())


@pytest.mark.parametrize("visible", [0.0, 4.0])
def test_the_promise_holds_as_often_as_it_says(visible: float) -> None:
    rounds = 80
    kept = sum(Line(seed, visible).rejected(Line(seed, visible).weigh(), share=0) <= 0.05 for seed in range(rounds))
    # 95 % is promised; three standard deviations below it is where chance ends.
    assert kept / rounds >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / rounds)


def test_a_fallback_that_sees_what_the_detector_misses_is_switched_on() -> None:
    lines = [Line(seed) for seed in range(12)]
    weighed = [line.weigh(asks=100) for line in lines]
    assert np.mean([one.fallback is not None for one in weighed]) >= 0.8
    caught = np.mean([line.rejected(one, share=1) for line, one in zip(lines, weighed, strict=True)])
    assert caught > 0.8  # the detector alone stays near a half


def test_a_useless_fallback_stays_off() -> None:
    on = [Line(seed, visible=0).weigh().fallback is not None for seed in range(40)]
    assert np.mean(on) < 0.08


def test_a_head_that_says_anything_stays_off() -> None:
    head = fit_logistic(np.eye(2), np.array([False, True]))

    def chosen(seed: int) -> str:
        line, random = Line(seed, visible=0), np.random.default_rng([seed, 99])
        (stream, defective), good = line.parts(90, 0.3, 1), line.parts(90, 0, 4)[0]
        heads = HeadScores((head,) * 6, *(random.normal(size=size) for size in (90, (6, 30), 90)))
        verdicts = Verdicts(stream, defective, np.ones(90))
        train, selection = line.parts(80, 0, 2)[0].embeddings, line.parts(30, 0, 3)[0]
        return str(weigh(verdicts, train, selection, good, COSTS, 0.05, 0.95, 0, heads).report["fallback"]["chosen"])

    assert np.mean([chosen(seed) != "none" for seed in range(40)]) < 0.08


def test_calibration_parts_choose_nothing() -> None:
    line = Line(1)
    stream, defective = line.parts(60, 0.4, 1)

    def choose(calibration: Scored) -> Weighed:
        train, selection = line.parts(80, 0, 2)[0].embeddings, line.parts(30, 0, 3)[0]
        return weigh(Verdicts(stream, defective, np.ones(60)), train, selection, calibration, COSTS, 0.05, 0.95, 0)

    few, many = choose(line.parts(90, 0, 4)[0]), choose(line.parts(400, 0, 5)[0])
    assert few.report["fallback"] == many.report["fallback"]
    assert few.report["least_cost_value"] == many.report["least_cost_value"]
    assert few.value >= few.report["lowest_value_that_keeps_the_promise"]
    assert few.report["bound"] <= 0.05


def test_weights_undo_how_parts_were_chosen() -> None:
    """Half of the good parts lie high; the inspector was asked about those alone ten times as often."""
    good = np.concatenate([np.linspace(0, 1, 20), np.linspace(2, 3, 20)])
    bad = np.linspace(1.5, 3.5, 10)
    parts = Scored(np.array([*good, *bad]), np.zeros((50, 1)), np.arange(50).astype(str))
    empty = Scored(np.zeros(0), np.zeros((0, 1)), np.zeros(0, dtype=str))
    calibration = Scored(np.linspace(-2, -1, 90, dtype=np.float64), np.zeros((90, 1)), np.arange(90).astype(str))

    def value(high_weight: float) -> float:
        weights = np.concatenate([np.ones(20), np.full(20, high_weight), np.ones(10)])
        verdicts = Verdicts(parts, np.arange(50) >= 40, weights)
        return weigh(verdicts, np.zeros((1, 1)), empty, calibration, Costs(2, 1), 0.05, 0.95, 0).value

    assert value(0.1) < value(1.0)


def test_the_same_seed_gives_the_same() -> None:
    first, second = Line(3).weigh(), Line(3).weigh()
    assert first.value == second.value
    assert first.report == second.report


def test_a_promise_that_cannot_be_carried_is_refused() -> None:
    with pytest.raises(PromiseError, match="209"):
        Line(0).weigh(limit=0.01)


class Brightness:
    """A detector that looks at the upper half only; the embedding sees both."""

    def predict(self, images: Tensor) -> Prediction:
        return Prediction(images[:, 0, :8].mean(dim=(1, 2)), images[:, 0])

    def embed(self, images: Tensor) -> Tensor:
        return torch.stack([images[:, 0, :8].mean(dim=(1, 2)), images[:, 0, 8:].mean(dim=(1, 2))], dim=1)


@pytest.fixture
def bundle(tmp_path: Path) -> Any:
    random = np.random.default_rng(0)

    def good(count: int, name: str) -> tuple[pd.DataFrame, tuple[list[str], np.ndarray]]:
        embeddings = 0.3 + 0.02 * random.normal(size=(count, 2)).astype(np.float32)
        names = [str(tmp_path / name / f"{i}.png") for i in range(count)]
        table = pd.DataFrame({"image": names, "part": names, "group": names, "score": embeddings[:, 0].astype(float)})
        order = random.permutation(count)
        return table, ([names[i] for i in order], embeddings[order])

    sets = {"train": good(50, "train"), "selection": good(30, "selection"), "calibration": good(90, "calibration")}
    thresholds = ThresholdStore(tmp_path / "thresholds")
    value, promise = smallest_promise_threshold(sets["calibration"][0]["score"])
    thresholds.add(Threshold(value=value, promise=promise, reason="first"))
    return SimpleNamespace(
        folder=tmp_path,
        detector=Brightness(),
        preprocessing=Preprocessing(channels=1, height=16, width=16),
        thresholds=thresholds,
        calibration=sets["calibration"][0],
        selection=sets["selection"][0],
        embeddings=lambda name: sets[name][1],
        fallback_folder=lambda name: tmp_path / "fallbacks" / name,
    )


def picture(folder: Path, index: int, defective: bool) -> Confirmed:
    random = np.random.default_rng(index)
    pixels = np.full((16, 16), 0.3) + 0.02 * random.normal() + 0.002 * random.normal(size=(16, 16))
    if defective:
        pixels[8:] += 0.3
    path = folder / f"{index}.png"
    Image.fromarray((255 * pixels.clip(0, 1)).astype(np.uint8)).save(path)
    return Confirmed(path, str(index), str(index), defective, weight=2.0)


def test_values_by_camera_give_way_to_one_and_that_is_said(bundle: Any, tmp_path: Path) -> None:
    first = bundle.thresholds.current()
    origins = Origins("camera", {"left": OriginLimit(first.value, first.promise)}, {}, "each by itself")
    bundle.thresholds.add(first.model_copy(update={"origins": origins, "parent": None}))
    confirmed = [picture(tmp_path, i, defective=i % 3 == 0) for i in range(36)]
    relearned = relearn(bundle, confirmed, COSTS)
    assert relearned.threshold.origins is None
    assert "one value for every camera, as verdicts are weighed together" in relearned.threshold.reason


def test_the_bundle_gets_a_threshold_and_a_fallback(bundle: Any, tmp_path: Path) -> None:
    confirmed = [picture(tmp_path, i, defective=i % 3 == 0) for i in range(36)]
    before = bundle.thresholds.current()
    relearned = relearn(bundle, confirmed, COSTS)
    assert relearned.threshold == bundle.thresholds.current()
    assert (relearned.threshold.version, relearned.threshold.parent) == (2, 1)
    assert relearned.threshold.promise.limit == pytest.approx(before.promise.limit)
    assert relearned.report["fallback"]["switched_on"]
    name = relearned.threshold.fallback
    assert name is not None
    assert "one value for every" not in relearned.threshold.reason
    fallback = Fallback.load(bundle.fallback_folder(name))
    assert fallback.predict(np.array([[0.3, 0.6]])) > fallback.predict(np.array([[0.3, 0.3]]))
    again = relearn(bundle, confirmed, COSTS)
    assert again.threshold.value == relearned.threshold.value
    assert again.threshold.fallback != name


def test_too_few_verdicts_change_nothing(bundle: Any, tmp_path: Path) -> None:
    for confirmed in ([], [picture(tmp_path, i, defective=i == 0) for i in range(9)]):
        relearned = relearn(bundle, confirmed, COSTS)
        assert not relearned.report["changed"]
        assert "nothing changed" in relearned.report["text"]
        assert bundle.thresholds.current().version == 1


class Contrast(Brightness):
    """Its dense features see how far a place is from the image's mean; its score and embedding see means alone."""

    def dense(self, images: Tensor) -> Tensor:
        far = (images[:, :1] - images[:, :1].mean(dim=(2, 3), keepdim=True)).abs()
        return functional.avg_pool2d(torch.cat([far, images[:, :1]], dim=1), 2)


def draw_held_out(bundle: Any) -> None:
    for table in (bundle.selection, bundle.calibration):
        for i, file in enumerate(table["image"]):
            Path(file).parent.mkdir(exist_ok=True)
            draw(Path(file), np.random.default_rng([7, i]))


def draw(file: Path, random: np.random.Generator, spot: tuple[int, int] | None = None) -> None:
    """An even picture; with a spot that no mean sees, as half of it is brighter and half darker."""
    pixels = np.full((16, 16), 0.3) + 0.02 * random.normal() + 0.02 * random.normal(size=(16, 16))
    if spot is not None:
        row, column = spot
        pixels[row : row + 2, column : column + 2] += 0.25
        pixels[row : row + 2, column + 2 : column + 4] -= 0.25
    Image.fromarray((255 * pixels.clip(0, 1)).astype(np.uint8)).save(file)


def spotted(folder: Path, index: int, defective: bool, contrast: bool = True) -> Confirmed:
    random = np.random.default_rng([3, index])
    spot = (int(random.integers(0, 7)) * 2, int(random.integers(0, 6)) * 2)
    file, mask = folder / f"spotted{index}.png", folder / f"mask{index}.png"
    draw(file, random, spot if defective and contrast else None)
    if not defective:
        return Confirmed(file, str(index), str(index), defective=False)
    pixels = np.zeros((16, 16), dtype=np.uint8)
    pixels[spot[0] : spot[0] + 2, spot[1] : spot[1] + 4] = 255
    Image.fromarray(pixels).save(mask)
    return Confirmed(file, str(index), str(index), defective=True, mask=mask)


def test_defects_that_only_dense_features_see_switch_the_head_on(bundle: Any, tmp_path: Path) -> None:
    bundle.detector = Contrast()
    draw_held_out(bundle)
    confirmed = [spotted(tmp_path, i, defective=i % 3 == 0) for i in range(45)]
    relearned = relearn(bundle, confirmed, COSTS)
    weighed = relearned.report["fallback"]
    assert [one["switched_on"] for one in weighed["weighed"]] == [False, True]
    assert weighed["chosen"] == "classifier and head"
    assert weighed["weighed"][1]["caught_by_pair"] >= 13
    assert "the detector alone" in weighed["text"]
    assert "a fallback with a segmentation head is switched on" in relearned.threshold.reason
    assert Fallback.load(bundle.fallback_folder(str(relearned.threshold.fallback))).needs_dense

    again = relearn(bundle, confirmed, COSTS)
    assert (again.threshold.value, again.report["fallback"]) == (relearned.threshold.value, weighed)


def test_what_the_head_says_of_calibration_parts_outlives_their_images(bundle: Any, tmp_path: Path) -> None:
    bundle.detector = Contrast()
    draw_held_out(bundle)
    confirmed = [spotted(tmp_path, i, defective=i % 3 == 0) for i in range(45)]
    relearned = relearn(bundle, confirmed, COSTS)
    folder = bundle.fallback_folder(str(relearned.threshold.fallback))
    fallback = Fallback.load(folder)
    assert fallback.scale is not None
    images = ImageSet([Path(file) for file in bundle.calibration["image"]], bundle.preprocessing).batch(range(90))
    names, embeddings = bundle.embeddings("calibration")
    kept = embeddings[[names.index(file) for file in bundle.calibration["image"]]]
    expected = fallback.predict(kept, bundle.detector.dense(images).numpy())
    for file in bundle.calibration["image"]:
        Path(file).unlink()

    decisions = calibration_decisions(bundle, relearned.threshold)
    np.testing.assert_allclose(
        decisions["decision_score"], fuse(bundle.calibration["score"].to_numpy(), expected, fallback.scale)
    )
    lowest = relearned.report["lowest_value_that_keeps_the_promise"]
    limit = relearned.threshold.promise.limit
    assert conformal_threshold(by_group(decisions, "decision_score"), limit)[0] == lowest

    (folder / "calibration.parquet").unlink()
    with pytest.raises(BundleError, match="flawsmith retrain"):
        calibration_decisions(bundle, relearned.threshold)


def test_a_useless_head_stays_off(bundle: Any, tmp_path: Path) -> None:
    bundle.detector = Contrast()
    draw_held_out(bundle)
    confirmed = [spotted(tmp_path, i, defective=i % 3 == 0, contrast=False) for i in range(45)]
    relearned = relearn(bundle, confirmed, COSTS)
    assert relearned.threshold.fallback is None
    assert relearned.report["fallback"]["chosen"] == "none"
    assert len(relearned.report["fallback"]["weighed"]) == 2


def test_where_the_classifier_does_as_well_the_head_stays_off(bundle: Any, tmp_path: Path) -> None:
    bundle.detector = Contrast()
    draw_held_out(bundle)
    confirmed = [picture(tmp_path, i, defective=i % 3 == 0) for i in range(36)]
    mask = tmp_path / "lower_half.png"
    Image.fromarray(np.repeat([[0], [255]], 8, axis=0).repeat(16, axis=1).astype(np.uint8)).save(mask)
    confirmed = [replace(one, mask=mask if one.defective else None) for one in confirmed]
    weighed = relearn(bundle, confirmed, COSTS).report["fallback"]
    assert len(weighed["weighed"]) == 2
    assert weighed["chosen"] == "classifier"


def test_without_images_masks_or_dense_features_no_head_is_weighed(bundle: Any, tmp_path: Path) -> None:
    confirmed = [spotted(tmp_path, i, defective=i % 3 == 0) for i in range(45)]
    few = [replace(one, mask=one.mask if i < 15 else None) for i, one in enumerate(confirmed)]

    def text(verdicts: list[Confirmed]) -> str:
        weighed = relearn(bundle, verdicts, COSTS).report["fallback"]
        assert len(weighed["weighed"]) == 1
        return str(weighed["text"])

    assert "5 confirmed defects have a mask, and it takes 6" in text(few)
    assert "offers no dense features" in text(confirmed)
    bundle.detector = Contrast()
    assert "120 images of held-out good parts are not there any more" in text(confirmed)
