import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning.images.readers import read_data
from synth.errors import SynthError
from synth.parts import DEFECTS, KINDS, draw_lot, make_line, make_part, make_parts
from synth.parts.kinds import VISIBLE

EVERY_DEFECT = [(kind, defect) for kind, defects in DEFECTS.items() for defect in defects]
LOT = draw_lot(np.random.default_rng(3))


def part(kind: str, defect: str | None = None, seed: int = 0, **more):
    return make_part(kind, LOT, np.random.default_rng(seed), defect=defect, **more)


def digests(folder: Path) -> dict[str, str]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [64, 200, 256])
def test_good_parts_are_well_exposed_pictures_that_differ(kind: str, size: int) -> None:
    first, second = part(kind, size=size).images[0], part(kind, seed=1, size=size).images[0]
    assert first.shape == (size, size)
    assert first.dtype == np.uint8
    assert 15 < first.mean() < 200
    assert first.std() > 8
    assert (first == 255).mean() < 0.03
    assert not np.array_equal(first, second)
    assert np.array_equal(first, part(kind, size=size).images[0])


@pytest.mark.parametrize(("kind", "defect"), EVERY_DEFECT)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_mask_is_exactly_where_the_defect_changed_the_picture(kind: str, defect: str, seed: int) -> None:
    good, bad = part(kind, seed=seed), part(kind, defect, seed=seed)
    difference = np.abs(good.images[0].astype(int) - bad.images[0].astype(int))
    assert np.array_equal(bad.masks[0], difference >= VISIBLE)
    assert bad.masks[0].any()
    assert bad.label == defect
    assert not good.masks[0].any()


@pytest.mark.parametrize(("kind", "defect"), EVERY_DEFECT)
def test_a_severe_defect_changes_more_than_a_slight_one(kind: str, defect: str) -> None:
    def change(severity: float) -> float:
        good = [part(kind, seed=seed, size=192).images[0].astype(float) for seed in range(4)]
        bad = [part(kind, defect, seed=seed, severity=severity, size=192).images[0] for seed in range(4)]
        return float(np.mean([np.abs(b - g).sum() for g, b in zip(good, bad, strict=True)]))

    # Once print lies beside where it belongs, lying further off changes little more.
    assert change(0.9) > (1.05 if defect == "shifted_print" else 1.2) * change(0.15)


def test_a_fastener_lies_at_any_angle() -> None:
    # The principal axis of what is bright says how the bolt lies.
    angles = []
    for seed in range(40):
        image = part("fastener", seed=seed, size=128).images[0]
        rows, columns = np.nonzero(image > 90)
        covariance = np.cov(np.stack([columns, rows]))
        axis = np.linalg.eigh(covariance)[1][:, 1]
        angles.append(np.degrees(np.arctan2(axis[1], axis[0])) % 180)
    assert np.histogram(angles, bins=6, range=(0, 180))[0].min() > 0


def test_exposures_show_one_part_in_different_light() -> None:
    picture = part("tile", "scratch", exposures=2)
    assert len(picture.images) == len(picture.masks) == 2
    assert not np.array_equal(*picture.images)


def test_one_seed_gives_one_line_byte_for_byte(tmp_path: Path) -> None:
    few = {"good": 2, "stream": 6, "size": 64}
    first, again, other = (
        digests(make_line(tmp_path / name, seed=seed, **few)) for name, seed in [("a", 5), ("b", 5), ("c", 6)]
    )
    assert first == again
    assert first != other


def test_a_line_is_read_by_the_readers_and_its_streams_hide_the_truth(tmp_path: Path) -> None:
    line = make_line(tmp_path / "line", good=3, stream=12, defect_rate=0.5, exposures=2, size=64)
    training = read_data(line)
    assert len(training) == 3 * 3 * 2
    assert {record.label for record in training} == {"good"}
    assert len({record.group for record in training}) == 9

    stream = read_data(line / "stream_1" / "images.csv")
    assert {record.label for record in stream} == {"unlabelled"}
    assert all(record.mask is None and record.lot and record.camera and record.time for record in stream)
    truth = read_data(line / "stream_1" / "truth.csv")
    assert [record.path for record in truth] == [record.path for record in stream]
    assert {record.split for record in truth} == {"test"}
    assert [record.part for record in truth] == [record.part for record in stream]
    assert sum(record.defective for record in truth) == 12
    assert Counter(record.camera for record in truth if record.defective) == dict.fromkeys(
        ("tile-camera", "fastener-camera", "label-camera"), 4
    )
    for record in truth:
        assert (record.mask is not None) == record.defective
    severities = list(csv.DictReader((line / "stream_1" / "severity.csv").open()))
    assert len(severities) == 12
    assert all(0 <= float(row["severity"]) <= 1 for row in severities)
    assert {r.path.name for r in stream}.isdisjoint(r.path.name for r in read_data(line / "stream_2" / "images.csv"))


def test_a_line_is_as_clear_as_wanted_and_only_its_defects_change(tmp_path: Path) -> None:
    def severities(clarity: float) -> dict[str, float]:
        line = make_line(tmp_path / f"{clarity}", good=1, stream=60, defect_rate=0.5, clarity=clarity, size=64)
        rows = csv.DictReader((line / "stream_1" / "severity.csv").open())
        return {row["image"]: float(row["severity"]) for row in rows}

    clear, even = severities(20.0), severities(1.0)
    assert clear.keys() == even.keys()
    assert len(clear) == 30
    assert np.mean(list(clear.values())) > 0.9
    # Those that cannot be seen at 64 pixels are made clearer until they can.
    assert 0.35 < np.mean(list(even.values())) < 0.8
    for name in ("images.csv", "truth.csv"):
        first, second = (tmp_path / f"{clarity}" / "stream_1" / name for clarity in (20.0, 1.0))
        assert first.read_bytes() == second.read_bytes()
    good = {r.path.name for r in read_data(tmp_path / "1.0" / "stream_1" / "truth.csv") if not r.defective}
    for name in good:
        first, second = (tmp_path / f"{clarity}" / "stream_1" / "images" / name for clarity in (20.0, 1.0))
        assert first.read_bytes() == second.read_bytes()


def test_parts_come_in_mvtec_layout(tmp_path: Path) -> None:
    folder = make_parts(tmp_path / "label", "label", good=4, test_good=2, defective=7, size=64)
    records = read_data(folder)
    assert sum(r.split == "train" for r in records) == 4
    assert {r.label for r in records if r.defective} == set(DEFECTS["label"])
    for record in records:
        if record.defective:
            assert record.mask is not None
            assert Image.open(record.mask).size == Image.open(record.path).size


def test_a_folder_made_elsewhere_is_refused_and_an_own_one_is_kept_or_replaced(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(SynthError, match="not made here"):
        make_parts(foreign, "tile", good=1, test_good=0, defective=0, size=64)
    assert (foreign / "thesis.txt").exists()

    own = make_parts(tmp_path / "own", "tile", good=2, test_good=0, defective=0, size=64)
    written = (own / "parts.json").stat().st_mtime_ns
    make_parts(own, "tile", good=2, test_good=0, defective=0, size=64)
    assert (own / "parts.json").stat().st_mtime_ns == written
    make_parts(own, "tile", good=1, test_good=0, defective=0, size=64)
    assert len(list((own / "train" / "good").iterdir())) == 1


def test_a_call_that_is_stopped_leaves_no_half_folder_and_can_be_repeated(tmp_path: Path) -> None:
    def stop(done: float, total: float, text: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_parts(tmp_path / "tile", "tile", good=4, test_good=0, defective=0, size=64, progress=stop)
    assert not (tmp_path / "tile").exists()
    make_parts(tmp_path / "tile", "tile", good=4, test_good=0, defective=0, size=64)
    assert [path.name for path in tmp_path.iterdir()] == ["tile"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"kinds": ("tile", "gear")}, "gear.*choose from"),
        ({"good": 0}, "good is 0"),
        ({"defect_rate": 1.5}, "between 0 and 1"),
        ({"size": 32}, "64 pixels or more"),
        ({"clarity": 0.0}, "clarity is 0.0; it is a number above 0"),
        ({"clarity": float("nan")}, "clarity is nan"),
        ({"clarity": float("inf")}, "clarity is inf"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(arguments: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(SynthError, match=said) as caught:
        make_line(tmp_path / "line", **arguments)
    assert "\n" not in str(caught.value)
