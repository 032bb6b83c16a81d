"""Each check on parts made for it: what is planted is found, and what is only ordinary is not."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from curation.quality import KINDS, flagged
from curation.quality.measure import NUMBERS, measure_pixels
from learning.images.records import GOOD, ImageRecord
from tests.curation.quality.made import SIDE, checked, names, part, parts, save


def flawed(records: list[ImageRecord], folder: Path, picture: np.ndarray, depth: int = 8) -> list[ImageRecord]:
    return [*records, ImageRecord(save(folder / "flawed.png", picture, depth), GOOD)]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [False, True])
def test_ordinary_parts_have_no_findings(tmp_path: Path, depth: int, colour: bool) -> None:
    report = checked(parts(tmp_path, make=lambda seed: part(seed, colour=colour), depth=depth), tmp_path)
    assert not report.findings
    assert all(report.judged[kind] == 40 for kind in ("blurred", "too_dark", "near_duplicate", "suspect", "format"))


def test_a_dark_product_is_not_too_dark_but_one_darker_than_the_others_is(tmp_path: Path) -> None:
    records = parts(tmp_path, make=lambda seed: part(seed, dark=0.1))
    assert not checked(records, tmp_path).findings
    report = checked(flawed(records, tmp_path, part(99, dark=0.23)), tmp_path)
    assert names(report, "too_dark") == [{"flawed.png"}]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [False, True])
def test_blur_is_found(tmp_path: Path, depth: int, colour: bool) -> None:
    records = parts(tmp_path, make=lambda seed: part(seed, colour=colour), depth=depth)
    noise = np.random.default_rng(5).normal(0, 0.006, (SIDE, SIDE, 3) if colour else (SIDE, SIDE))
    blurred = (cv2.GaussianBlur(part(99, colour=colour), (0, 0), 1.5) + noise).clip(0, 1)
    assert names(checked(flawed(records, tmp_path, blurred, depth), tmp_path), "blurred") == [{"flawed.png"}]


def test_too_bright_and_clipped(tmp_path: Path) -> None:
    report = checked(flawed(parts(tmp_path), tmp_path, (part(99) + 0.4).clip(0, 1)), tmp_path)
    assert names(report, "too_bright") == [{"flawed.png"}]
    assert names(report, "clipped_bright") == [{"flawed.png"}]


def test_clipping_is_seen_below_the_end_of_the_range(tmp_path: Path) -> None:
    """A camera of 12 bit in files of 16 clips at 4095."""
    scale = 4095 / 65535
    records = parts(tmp_path, make=lambda seed: part(seed) * scale, depth=16)
    assert not checked(records, tmp_path).findings
    clipped = np.minimum(part(99) * 1.3, 0.75).clip(0, 1) * scale
    assert names(checked(flawed(records, tmp_path, clipped, 16), tmp_path), "clipped_bright") == [{"flawed.png"}]


def test_clipped_in_the_dark_and_low_contrast(tmp_path: Path) -> None:
    picture = part(99)
    records = parts(tmp_path)
    dark = np.maximum(picture, np.quantile(picture, 0.3))
    assert names(checked(flawed(records, tmp_path, dark), tmp_path), "clipped_dark") == [{"flawed.png"}]
    flat = picture.mean() + 0.3 * (picture - picture.mean())
    assert names(checked(flawed(records, tmp_path, flat), tmp_path), "low_contrast") == [{"flawed.png"}]


def test_damaged_empty_and_flat_files(tmp_path: Path) -> None:
    records = parts(tmp_path)
    whole = (tmp_path / "000.png").read_bytes()
    for name, content in (("cut.png", whole[: len(whole) // 2]), ("empty.png", b""), ("text.png", b"no picture")):
        (tmp_path / name).write_bytes(content)
        records.append(ImageRecord(tmp_path / name, GOOD))
    records.append(ImageRecord(tmp_path / "gone.png", GOOD))
    report = checked(flawed(records, tmp_path, np.full((SIDE, SIDE), 0.5)), tmp_path)
    assert names(report, "unreadable") == [{"cut.png"}, {"empty.png"}, {"text.png"}, {"gone.png"}]
    assert names(report, "flat") == [{"flawed.png"}]
    assert set(report.findings) == {"unreadable", "flat"}


@pytest.mark.parametrize("level", [0, 1, 50, 77, 128, 200, 255])
@pytest.mark.parametrize("shape", [(90, 120), (64, 64, 3)])
def test_pictures_of_one_value_have_no_contrast_whatever_the_value(level: int, shape: tuple[int, ...]) -> None:
    measured = measure_pixels(np.full(shape, level, np.uint8))
    assert measured.numbers[NUMBERS.index("contrast")] == 0
    assert not measured.signature.any()


def test_size_channels_and_depth(tmp_path: Path) -> None:
    records = parts(tmp_path, 60)
    records.append(ImageRecord(save(tmp_path / "colour.png", part(70, colour=True)), GOOD))
    records.append(ImageRecord(save(tmp_path / "deep.png", part(71), 16), GOOD))
    records.append(ImageRecord(save(tmp_path / "small.png", part(72)[:, :64]), GOOD))
    report = checked(records, tmp_path)
    assert names(report, "format") == [{"colour.png"}, {"deep.png"}, {"small.png"}]
    assert "colour with 8 bit; 61 of 63 are grey with 8 bit" in report.findings["format"][0].text


def test_sizes_that_vary_by_themselves_are_no_finding_but_a_far_one_is(tmp_path: Path) -> None:
    sizes = np.random.default_rng(0).integers(60, 96, (40, 2))
    records = parts(tmp_path, make=lambda seed: part(seed)[: sizes[seed, 0], : sizes[seed, 1]])
    assert "format" not in checked(records, tmp_path).findings
    report = checked(flawed(records, tmp_path, np.tile(part(99), (1, 6))), tmp_path)
    assert names(report, "format") == [{"flawed.png"}]


def test_masks(tmp_path: Path) -> None:
    records = parts(tmp_path)
    masks = [np.zeros((SIDE, SIDE)), np.ones((SIDE, SIDE // 2)), np.pad(np.ones((4, 4)), 46)]
    for at, mask in enumerate(masks):
        path = save(tmp_path / "masks" / f"{at}.png", mask)
        records[at] = replace(records[at], label="scratch", mask=path, split="test")
    report = checked(records, tmp_path)
    assert names(report, "mask") == [{"000.png"}, {"001.png"}]


def test_exact_duplicates_in_another_format(tmp_path: Path) -> None:
    records = parts(tmp_path)
    Image.open(records[3].path).save(tmp_path / "again.bmp")
    report = checked([*records, ImageRecord(tmp_path / "again.bmp", GOOD)], tmp_path)
    assert names(report, "exact_duplicate") == [{"003.png", "again.bmp"}]
    assert "near_duplicate" not in report.findings


@pytest.mark.parametrize("how", ["jpeg", "smaller", "relit", "shifted"])
@pytest.mark.parametrize("count", [5, 40])
def test_near_duplicates(tmp_path: Path, how: str, count: int) -> None:
    records = parts(tmp_path, count)
    picture = Image.open(records[3].path)
    again = tmp_path / ("again.jpg" if how == "jpeg" else "again.png")
    if how == "jpeg":
        picture.save(again, quality=80)
    elif how == "smaller":
        picture.resize((80, 80), Image.Resampling.LANCZOS).save(again)
    elif how == "relit":
        save(again, (part(3) * 1.3 - 0.1).clip(0, 1))
    else:
        save(again, np.roll(part(3), 1, axis=1))
    report = checked([*records, ImageRecord(again, GOOD)], tmp_path)
    assert names(report, "near_duplicate") == [{"003.png", again.name}]


def test_parts_in_the_same_pose_are_no_duplicates(tmp_path: Path) -> None:
    """Few poses, turned alike, so that all that is coarse agrees; only the grain tells parts apart."""

    def turned(seed: int) -> np.ndarray:
        grain = np.random.default_rng(seed).normal(0, 0.03, (SIDE, SIDE))
        bar = np.pad(np.ones((60, 16)), ((18, 18), (40, 40)))
        turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), (seed % 8) * 45.0, 1.0)
        return (0.3 + 0.4 * cv2.warpAffine(bar, turn, (SIDE, SIDE)) + grain).clip(0, 1)

    assert "near_duplicate" not in checked(parts(tmp_path, 80, turned), tmp_path).findings


def test_leaks_between_splits_and_groups_and_labels(tmp_path: Path) -> None:
    records = parts(tmp_path)
    Image.open(records[3].path).save(tmp_path / "again.jpg", quality=85)
    records.append(ImageRecord(tmp_path / "again.jpg", "scratch"))
    records = [
        replace(record, split="train" if at < 20 else "test", group=f"lot{at // 2}")
        for at, record in enumerate(records)
    ]
    records[30] = replace(records[30], group="lot0")
    report = checked(records, tmp_path)
    assert names(report, "leak") == [{"000.png", "001.png", "030.png"}, {"003.png", "again.jpg"}]
    # The first two pictures, which are shown, lie on either side.
    assert {records[place].split for place in report.findings["leak"][0].images[:2]} == {"train", "test"}
    assert names(report, "group_leak") == [{"003.png", "again.jpg"}]
    assert names(report, "label_conflict") == [{"003.png", "again.jpg"}]


def test_near_duplicates_within_a_group_are_as_they_should_be(tmp_path: Path) -> None:
    records = parts(tmp_path)
    Image.open(records[3].path).save(tmp_path / "again.jpg", quality=85)
    records = [replace(record, group=record.path.name) for record in [*records, ImageRecord(tmp_path / "again.jpg")]]
    records[-1] = replace(records[-1], group="003.png")
    report = checked(records, tmp_path)
    assert not {"near_duplicate", "group_leak", "leak"} & set(report.findings)
    assert any("1 families of near duplicates lie within one group" in note for note in report.notes)


def test_a_defect_among_the_good_is_found_by_simple_features(tmp_path: Path) -> None:
    spoilt = part(99)
    spoilt[20:34, 60:74] = 0.02
    records = flawed(parts(tmp_path, 90), tmp_path, spoilt)
    report = checked(records, tmp_path)
    assert names(report, "suspect") == [{"flawed.png"}]
    assert report.table.records[report.ranking[0]].path.name == "flawed.png"
    # What is labelled a defect need not be suspected.
    assert "suspect" not in checked([*records[:-1], replace(records[-1], label="hole")], tmp_path).findings


def test_imbalance_of_classes_and_lots(tmp_path: Path) -> None:
    records = [
        replace(record, lot="a" if at < 30 else "b", label="scratch" if at >= 26 else GOOD)
        for at, record in enumerate(parts(tmp_path))
    ]
    records[0] = replace(records[0], label="fray")
    texts = [finding.text for finding in checked(records, tmp_path).findings["imbalance"]]
    assert any("class fray has 1 independent group" in text for text in texts)
    assert any("class scratch has 14" in text for text in texts)
    assert any("lot and label go together" in text and "100% of lot b" in text for text in texts)
    mixed = [replace(r, lot="ab"[at % 2], label=("scratch" if at % 4 > 1 else GOOD)) for at, r in enumerate(records)]
    assert "imbalance" not in checked(mixed, tmp_path).findings


def test_each_camera_is_compared_with_itself(tmp_path: Path) -> None:
    records = [replace(record, camera="left") for record in parts(tmp_path / "left")]
    records += [
        replace(record, camera="right")
        for record in parts(tmp_path / "right", make=lambda seed: part(1000 + seed, dark=0.25))
    ]
    report = checked(records, tmp_path)
    assert not report.findings
    dark = replace(ImageRecord(save(tmp_path / "dark.png", part(99, dark=0.2)), GOOD), camera="left")
    assert names(checked([*records, dark], tmp_path), "too_dark") == [{"dark.png"}]
    rows = {(row.what, row.name): row for row in report.statistics}
    assert rows["camera", "left"].images == 40
    assert rows["camera", "left"].brightness[1] == pytest.approx(rows["camera", "right"].brightness[1] + 0.25, abs=0.02)


def test_one_picture_and_few_pictures_are_not_judged(tmp_path: Path) -> None:
    report = checked(parts(tmp_path, 1), tmp_path)
    assert not report.findings
    assert report.judged["blurred"] == report.judged["suspect"] == 0
    assert any("too few pictures" in note for note in report.notes)


def test_every_kind_is_known_and_flags_are_by_image(tmp_path: Path) -> None:
    report = checked(flawed(parts(tmp_path), tmp_path, (part(99) + 0.4).clip(0, 1)), tmp_path)
    assert set(report.findings) <= set(KINDS)
    assert {"too_bright", "clipped_bright"} <= set(flagged(report)[40])
