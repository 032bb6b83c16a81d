"""``segment`` on windows of large pictures, for defects that are small in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from learning.bundle import Bundle
from learning.config import TrainConfig
from learning.confirmed_pictures import ConfirmedPictures
from learning.detectors import Budget, create
from learning.detectors.inputs import standardise_windows
from learning.detectors.segment.batches import Shares, make_batch, share_mixed
from learning.detectors.segment.detector import Segment, SegmentConfig
from learning.detectors.segment.scores import image_scores
from learning.export.record import Format
from learning.export.writing import ExportSettings, export_bundle
from learning.flaw_sources import NO_SOURCES, FlawSources
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing
from learning.images.records import ImageRecord
from learning.images.windows import windows_around
from learning.looking import looks
from learning.training import train_bundle, train_on_records
from synth.sources.defects import Defect, DefectBank

SIDE, WINDOW = 96, 32
OPTIONS: dict[str, Any] = {"widths": (8, 16), "batch": 8, "window": WINDOW}
CONFIG = TrainConfig(detector="segment", detector_config=OPTIONS, size=SIDE, view="whole")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def surface(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good pictures of a grainy surface, and some with a bright spot of 3 x 3 pixels."""
    folder, random = tmp_path_factory.mktemp("surface"), np.random.default_rng(0)
    for place in range(20):
        write(folder / "train" / "good" / f"{place}.png", random.normal(0.4, 0.03, (SIDE, SIDE)))
    for place in range(6):
        picture, mask = random.normal(0.4, 0.03, (SIDE, SIDE)), np.zeros((SIDE, SIDE))
        top, left = random.integers(5, SIDE - 8, 2)
        mask[top : top + 3, left : left + 3] = 1
        write(folder / "test" / "spot" / f"{place}.png", picture + 0.3 * mask)
        write(folder / "ground_truth" / "spot" / f"{place}_mask.png", mask)
        write(folder / "test" / "good" / f"{place}.png", random.normal(0.4, 0.03, (SIDE, SIDE)))
    return folder


def spots(surface: Path, masked: Callable[[int], bool] = lambda place: True) -> list[ImageRecord]:
    masks = surface / "ground_truth" / "spot"
    return [
        ImageRecord(surface / "test" / "spot" / f"{i}.png", "spot", mask=masks / f"{i}_mask.png" if masked(i) else None)
        for i in range(6)
    ]


@pytest.fixture(scope="module")
def good(surface: Path) -> ImageSet:
    return ImageSet(sorted((surface / "train" / "good").iterdir()), Preprocessing(channels=1, height=SIDE, width=SIDE))


@pytest.fixture(scope="module")
def trained(surface: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return train_bundle(surface, tmp_path_factory.mktemp("bundle") / "b", config=CONFIG, budget=Budget(steps=60))


def test_windows_show_what_is_marked_and_lie_within_the_picture() -> None:
    images = torch.arange(3 * 90 * 70).float().view(3, 1, 90, 70)
    marks = torch.zeros(3, 1, 90, 70)
    marks[0, 0, 0, 69] = marks[1, 0, 40:42, 30] = 1
    for seed in range(30):
        cut, marked = windows_around(images, marks, 32, generator(seed))
        assert cut.shape == marked.shape == (3, 1, 32, 32)
        for image, mark, window, shown in zip(images, marks, cut, marked, strict=True):
            top, left = divmod(int(window[0, 0, 0] - image[0, 0, 0]), 70)
            assert torch.equal(window, image[:, top : top + 32, left : left + 32])
            assert torch.equal(shown, mark[:, top : top + 32, left : left + 32])
        assert (marked.flatten(1).sum(dim=1) > 0).tolist() == [True, True, False]
    whole, _ = windows_around(images[..., :70, :], torch.ones(3, 1, 70, 70), 70, generator())
    assert torch.equal(whole, images[..., :70, :])


def test_every_part_of_a_picture_is_shown() -> None:
    images = torch.arange(64 * 64).float().view(1, 1, 64, 64).expand(2000, -1, -1, -1)
    cut, _ = windows_around(images, torch.ones(2000, 1, 64, 64), 32, generator())
    assert len(cut.unique()) == 64 * 64


def test_a_place_is_seen_in_a_large_picture_as_in_a_window() -> None:
    picture = torch.rand(1, 1, 160, 160, generator=generator())
    large = standardise_windows(picture, 64)
    window = standardise_windows(picture[..., 48:112, 48:112], 64)
    middle = slice(28, 36)
    torch.testing.assert_close(window[..., middle, middle], large[..., 76:84, 76:84], rtol=0, atol=0.2)
    assert large.shape == (1, 2, 160, 160)
    assert standardise_windows(torch.full((1, 3, 64, 64), 0.5), 32).abs().max() < 1e-3


def test_a_spot_counts_as_much_in_a_large_picture_as_in_a_window() -> None:
    small = torch.full((1, 1, 32, 32), 0.01)
    small[..., 4:8, 4:8] = 0.9
    large = torch.full((1, 1, 128, 128), 0.01)
    large[..., 4:8, 4:8] = 0.9
    shares = (0.002, 0.02, 0.2)
    alone = image_scores(small, shares)
    torch.testing.assert_close(image_scores(large, shares, 32 * 32), alone)
    assert image_scores(large, shares) < alone
    torch.testing.assert_close(image_scores(small, shares, 10**6), alone)


def test_small_spots_are_found(trained: Bundle, surface: Path) -> None:
    names = ("good", "spot")
    images = {name: ImageSet(sorted((surface / "test" / name).iterdir()), trained.preprocessing) for name in names}
    found = {name: trained.detector.predict(some.batch(range(6))) for name, some in images.items()}
    assert found["spot"].scores.min() > found["good"].scores.max()
    assert found["spot"].maps.shape == (6, SIDE, SIDE)
    for place, heat in enumerate(found["spot"].maps):
        with Image.open(surface / "ground_truth" / "spot" / f"{place}_mask.png") as mask:
            top, left = divmod(int(heat.argmax()), SIDE)
            rows, columns = np.nonzero(np.asarray(mask))
        assert max(abs(top - rows.mean()), abs(left - columns.mean())) < 6
    assert trained.manifest.choices["reference"] == "no: pictures are learnt from by windows"


def test_a_bundle_scores_one_picture_as_it_scores_many(trained: Bundle, good: ImageSet) -> None:
    loaded = Bundle.load(trained.folder)
    images = good.batch(range(3))
    many = loaded.detector.predict(images)
    for place in range(3):
        torch.testing.assert_close(loaded.detector.predict(images[place][None]).scores, many.scores[place][None])
    assert loaded.detector.embed(images).shape == (3, 32)
    assert loaded.detector.dense(images).shape == (3, 8, SIDE // 2, SIDE // 2)


def test_an_export_says_the_same(trained: Bundle, surface: Path, tmp_path: Path) -> None:
    exported = export_bundle(trained, tmp_path / "exported", ExportSettings(Format.ONNX))
    images = ImageSet(sorted((surface / "test" / "spot").iterdir()), trained.preprocessing).batch(range(6))
    found, expected = exported.detector.predict(images), trained.detector.predict(images)
    torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.maps, expected.maps, rtol=0, atol=1e-4)


def test_pictures_no_larger_than_a_window_are_taken_whole(good: ImageSet) -> None:
    shape = Preprocessing(channels=1, height=WINDOW, width=SIDE)
    detector = create("segment", OPTIONS | {"reference": None}, shape)
    assert isinstance(detector, Segment)
    assert detector._window is None


def test_batches_are_windows_with_parts_in_them(surface: Path, good: ImageSet) -> None:
    shares = Shares(8, 0.25, flips=True, mixed=0.5, window=WINDOW)
    draw = NO_SOURCES.synthesizer(None, (0.5, 1)).draw
    batch = make_batch(good, NO_SOURCES, draw, shares, generator())
    assert batch.images.shape == batch.masks.shape == (8, 1, WINDOW, WINDOW)
    assert (batch.masks.flatten(1).sum(dim=1) > 0).tolist() == [False] * 2 + [True] * 6
    # Of confirmed defects, windows show some; of those without a mask nobody knows which window would.
    half = ConfirmedPictures(spots(surface, lambda place: place < 3), good.preprocessing)
    batch = make_batch(good, FlawSources(pictures=half), draw, shares, generator())
    assert batch.marked.all()
    assert (batch.parts == -1).sum() == 3
    assert (batch.masks[-3:].flatten(1).sum(dim=1) > 0).all()
    none = ConfirmedPictures(spots(surface, lambda place: False), good.preprocessing)
    assert none.marked() is None
    assert (make_batch(good, FlawSources(pictures=none), draw, shares, generator()).parts >= 0).all()


def test_a_surface_is_told_by_pictures_reduced_to_a_window(good: ImageSet) -> None:
    assert share_mixed(good, WINDOW) == share_mixed(good) == 0.5


def test_defects_keep_their_size_in_the_picture(good: ImageSet) -> None:
    def defect(side: int, name: str) -> Defect:
        mask = torch.ones(1, side, side)
        return Defect(0.8 * mask, mask, torch.tensor([0.5]), torch.tensor([0.02]), 1.0, 2 * SIDE, name, "b", "c")

    bank = DefectBank((defect(20, "small"), defect(120, "large")))
    (kept,) = looks(good.paths, CONFIG, bank, (), None)("segment").sources.defects.defects  # type: ignore[union-attr]
    # Half as large, as the picture is, and painted as it is on windows; the other one fits into none.
    assert (kept.name, kept.side, tuple(kept.pixels.shape)) == ("small", WINDOW, (1, 10, 10))


def test_a_challenger_goes_on_by_windows(trained: Bundle, surface: Path, tmp_path: Path) -> None:
    records = [ImageRecord(path, "good") for path in sorted((surface / "train" / "good").iterdir())]
    child = train_on_records(
        records,
        tmp_path / "child",
        config=trained.manifest.config,
        budget=Budget(steps=3),
        pictures=spots(surface),
        start=trained,
    )
    assert child.manifest.weights == "model"
    assert child.manifest.defects.shown == 6
    assert child.detector.config.window == WINDOW  # type: ignore[attr-defined]


@pytest.mark.parametrize("other", [{"reference": True}, {"curriculum": {}}])
def test_what_needs_whole_pictures_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="windows have no reference and no curriculum"):
        SegmentConfig(window=64, **other)
