"""Going on from a model: its weights, its split, its view; and defects as they were photographed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from learning.bundle import Bundle
from learning.cleaning import Cleaned, Suspect
from learning.config import TrainConfig
from learning.confirmed_pictures import ConfirmedPictures
from learning.continuing import split_as
from learning.detectors import Budget, Detector
from learning.detectors.segment.batches import Shares, make_batch
from learning.detectors.segment.detector import Segment
from learning.errors import ConfigError, DataError
from learning.flaw_sources import FlawSources
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.training import train_bundle, train_on_records
from synth.image_level import Synthesizer

SIDE = 32
SMALL = TrainConfig(
    detector="segment", detector_config={"widths": [8, 16], "stem": 2, "batch": 8}, size=SIDE, view="whole"
)
STEPS = Budget(steps=3)


def good_of(data: Path) -> list[ImageRecord]:
    return [record for record in read_data(data) if record.split == "train"]


def spots_of(data: Path) -> list[ImageRecord]:
    return [record for record in read_data(data) if record.label == "bright"]


@pytest.fixture
def parent(data: Path, tmp_path: Path) -> Bundle:
    return train_bundle(data, tmp_path / "parent", config=SMALL, budget=STEPS)


def go_on(parent: Bundle, data: Path, out: Path, **options: object) -> Bundle:
    arguments: dict[str, object] = {"config": parent.manifest.config, "budget": STEPS, "start": parent}
    return train_on_records(good_of(data), out, **(arguments | options))  # type: ignore[arg-type]


def weights(bundle: Bundle) -> bytes:
    return (bundle.folder / "weights.safetensors").read_bytes()


class TestSplit:
    def test_what_calibrated_calibrates_and_all_that_is_new_trains(self, data: Path, bundle: Bundle) -> None:
        new = ImageRecord(data / "new.png", label="good")
        parts = split_as(bundle, [new, *good_of(data)])
        assert {str(record.path) for record in parts["calibration"]} == set(bundle.calibration["image"])
        assert {str(record.path) for record in parts["selection"]} == set(bundle.selection["image"])
        trained = set(bundle.embeddings("train")[0])
        assert {str(record.path) for record in parts["train"]} == trained | {str(new.path)}

    def test_a_group_of_which_one_picture_has_trained_does_not_calibrate(self, data: Path, bundle: Bundle) -> None:
        taught, held = bundle.embeddings("train")[0][0], bundle.calibration["image"][0]
        # As if somebody said only now that both pictures show one part.
        good = [
            replace(one, group="both", part="both") if str(one.path) in (taught, held) else one for one in good_of(data)
        ]
        parts = split_as(bundle, good)
        assert held in {str(record.path) for record in parts["train"]}
        assert held not in {str(record.path) for record in parts["calibration"]}

    def test_other_good_parts_alone_are_refused(self, data: Path, bundle: Bundle) -> None:
        trained = set(bundle.embeddings("train")[0])
        with pytest.raises(DataError, match="none of the good parts that were for selection, calibration of stub-"):
            split_as(bundle, [one for one in good_of(data) if str(one.path) in trained])


class TestTraining:
    def test_the_weights_go_on_and_it_says_from_where(self, data: Path, parent: Bundle, tmp_path: Path) -> None:
        before = weights(parent)
        child = go_on(parent, data, tmp_path / "child", seed=5)
        other = train_on_records(good_of(data), tmp_path / "other", config=SMALL, budget=STEPS, seed=5)

        def far(bundle: Bundle) -> float:
            there, here = (one.detector.network.state_dict() for one in (parent, bundle))  # type: ignore[attr-defined]
            return float(sum((there[name].float() - here[name].float()).abs().sum() for name in there))

        assert 0 < far(child) < 0.2 * far(other)
        assert weights(parent) == before
        assert child.manifest.started is not None
        assert (child.manifest.started.model, child.manifest.weights) == (parent.fingerprint, "model")
        assert parent.fingerprint in (child.folder / "card.md").read_text()
        # Another seed, and yet nothing that has trained calibrates.
        assert set(child.calibration["image"]) == set(parent.calibration["image"])
        assert set(other.calibration["image"]) != set(parent.calibration["image"])

    def test_same_seed_and_steps_give_the_same_bytes_and_a_kill_changes_nothing(
        self, data: Path, parent: Bundle, tmp_path: Path
    ) -> None:
        spots = spots_of(data)
        first = go_on(parent, data, tmp_path / "first", pictures=spots)
        assert first.manifest.defects.shown == len(spots)
        torch.rand(3)

        def stop(done: float, total: float, text: str) -> None:
            if text == "training" and done > 0.5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            go_on(parent, data, tmp_path / "second", pictures=spots, progress=stop)
        assert weights(go_on(parent, data, tmp_path / "second", pictures=spots)) == weights(first)
        assert weights(go_on(parent, data, tmp_path / "without")) != weights(first)

    def test_what_good_parts_usually_look_like_is_kept(self, data: Path, tmp_path: Path) -> None:
        options = SMALL.detector_config | {"reference": True}
        config = SMALL.model_copy(update={"detector_config": options})
        parent = train_bundle(data, tmp_path / "parent", config=config, budget=STEPS)
        child = go_on(parent, data, tmp_path / "child")
        # Other inputs than those that the weights have learnt from would undo what they know.
        before, after = (load_file(one.folder / "weights.safetensors") for one in (parent, child))
        kept = [name for name in before if name.startswith("reference.")]
        assert kept
        assert all(torch.equal(before[name], after[name]) for name in kept)

    def test_pictures_of_parts_that_calibrate_are_not_shown(self, data: Path, parent: Bundle, tmp_path: Path) -> None:
        held = parent.calibration.iloc[0]
        first, *others = spots_of(data)
        one = replace(first, group=held["group"])
        assert go_on(parent, data, tmp_path / "child", pictures=[one, *others]).manifest.defects.shown == len(others)

    def test_another_configuration_is_refused(self, data: Path, parent: Bundle, tmp_path: Path) -> None:
        config = parent.manifest.config.model_copy(update={"size": 2 * SIDE})
        with pytest.raises(ConfigError, match="size would differ"):
            go_on(parent, data, tmp_path / "child", config=config)
        assert not (tmp_path / "child").exists()

    def test_a_detector_that_learns_in_one_go_is_refused(self, data: Path, bundle: Bundle, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="stub cannot go on from weights that are there"):
            go_on(bundle, data, tmp_path / "child")

    def test_what_the_parent_suspected_trains_nothing_here(self, data: Path, parent: Bundle, tmp_path: Path) -> None:
        suspect = parent.embeddings("train")[0][0]
        found = Cleaned(judged=16, rate=0.05, suspects=(Suspect(image=suspect, score=1, limit=0),))
        parent.manifest = parent.manifest.model_copy(update={"cleaned": found})
        child = go_on(parent, data, tmp_path / "child")
        assert child.manifest.cleaned == found
        assert suspect not in child.embeddings("train")[0]


class TestPictures:
    @pytest.fixture
    def bright(self, tmp_path: Path) -> ConfirmedPictures:
        """Black but for a white spot each, which is what the mask marks."""
        records = []
        for number, (top, left) in enumerate([(4, 6), (30, 20)]):
            pixels = np.zeros((48, 64), dtype=np.uint8)
            pixels[top : top + 12, left : left + 14] = 255
            files = tmp_path / f"{number}.png", tmp_path / f"{number}_mask.png"
            for file in files:
                Image.fromarray(pixels).save(file)
            records.append(ImageRecord(files[0], label="spot", mask=files[1]))
        return ConfirmedPictures(records, Preprocessing(channels=1, height=SIDE, width=SIDE))

    def test_masks_move_with_the_pictures(self, bright: ConfirmedPictures) -> None:
        images, masks, marked = bright.draw(torch.Generator().manual_seed(0), 16, flips=True)
        assert marked.tolist() == [True] * 16
        assert images.shape == masks.shape == (16, 1, SIDE, SIDE)
        assert len({tuple(mask.flatten().tolist()) for mask in masks}) > 10
        seen = images > 0.5
        union = ((masks > 0) | seen).sum(dim=(1, 2, 3))
        assert (((masks > 0) & seen).sum(dim=(1, 2, 3)) / union).min() > 0.7

    def test_what_nobody_marked_says_so_and_has_no_mask(self, bright: ConfirmedPictures) -> None:
        one, other = bright.images.records
        mixed = ConfirmedPictures([one, replace(other, mask=None)], bright.images.preprocessing)
        _, masks, marked = mixed.draw(torch.Generator().manual_seed(0), 16, flips=True)
        assert set(marked.tolist()) == {True, False}
        assert torch.equal(masks.flatten(1).any(dim=1), marked)

    def test_half_of_the_flawed_images_of_a_batch_are_pictures(self, bright: ConfirmedPictures, data: Path) -> None:
        good = ImageSet(good_of(data), bright.images.preprocessing)
        shares, draw = Shares(16, 0.25, flips=False, mixed=0.0), Synthesizer(["stain"]).draw

        def made(pictures: ConfirmedPictures | None) -> tuple[torch.Tensor, torch.Tensor]:
            batch = make_batch(good, FlawSources(pictures=pictures), draw, shares, torch.Generator().manual_seed(0))
            return batch.images, batch.masks

        images, masks = made(bright)
        alone, _ = made(None)
        assert images.shape == alone.shape == (16, 1, SIDE, SIDE)
        assert not masks[:4].any()
        # Good parts are grey, pictures black but for their spot.
        assert (images.flatten(1).median(dim=1).values < 0.1).tolist() == [False] * 10 + [True] * 6
        assert masks[10:].flatten(1).any(dim=1).all()
        assert (alone.flatten(1).median(dim=1).values > 0.1).all()


def test_only_what_can_go_on_says_so() -> None:
    assert Segment.tunable
    assert (Segment.go_on_from is not Detector.go_on_from) == Segment.tunable


def test_a_mask_of_nothing_does_not_call_a_defect_good(data: Path, tmp_path: Path) -> None:
    """Whoever confirmed the defect with it said that there is one, and not where."""
    empty = tmp_path / "empty.png"
    first, second, *_ = spots_of(data)
    with Image.open(first.path) as picture:
        Image.fromarray(np.zeros((picture.height, picture.width), np.uint8)).save(empty)
    shown = ConfirmedPictures([replace(first, mask=empty), second], Preprocessing(channels=1, height=SIDE, width=SIDE))
    assert shown._marked.tolist() == [False, second.mask is not None]
    only = shown.marked()
    assert only is not None
    assert len(only) == 1
