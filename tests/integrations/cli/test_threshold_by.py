"""``flawsmith threshold --by``: a value for each camera, from training by a table to what is said of an image."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from learning.bundle import Bundle
from learning.export import writing
from tests.integrations.cli.running import mistake, run

CAMERAS = ("left", "right", "spare")


def write_table(file: Path, images: list[Path], splits: dict[str, str]) -> Path:
    """Images by turns of two cameras, every seventh of a third one; labels by their folders."""
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("image", "label", "split", "camera", "lot"))
        for i, image in enumerate(images):
            camera = "spare" if i % 7 == 6 else CAMERAS[i % 2]
            rows.writerow(
                (image.relative_to(file.parent), image.parent.name, splits[image.parent.parent.name], camera, "")
            )
    return file


@pytest.fixture(scope="module")
def table(tiles: Path) -> Path:
    images = sorted((tiles / "train").rglob("*.png")) + sorted((tiles / "test").rglob("*.png"))
    return write_table(tiles / "line.csv", images, {"train": "train", "test": "test"})


@pytest.fixture(scope="module")
def cameras(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cameras")
    (root / "small.yaml").write_text(
        "size: 64\ndetector_config: {reference: false}\nshares: {train: 0.4, selection: 0.2, calibration: 0.4}\n"
    )
    options = ("--config", root / "small.yaml", "--steps", 2, "--device", "cpu")
    result = run("train", table, "--out", root / "tile", *options)
    assert result.exit_code == 0, result.output
    return root / "tile"


def test_each_camera_gets_its_value_and_all_that_follows_says_so(cameras: Path, table: Path, tmp_path: Path) -> None:
    own = shutil.copytree(cameras, tmp_path / "bundle")
    calibration = Bundle.load(own).calibration
    assert {"camera", "lot"} <= set(calibration.columns)
    counts = calibration.groupby("camera")["group"].nunique()
    asked = ("threshold", own, "--by", "camera", "--confidence", 0.5)
    result = run(*asked, "--max-false-reject", 0.3)  # takes 2 groups
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    assert (counts["left"] >= 2, counts["right"] >= 2, counts["spare"] < 2) == (True, True, True), counts
    for name in ("left", "right"):
        assert f"camera {name}: " in said
        assert (
            f"at most 30 % of good parts of camera {name} rejected, with 50 % confidence, from {counts[name]}" in said
        )
    assert f"camera spare: the shared value, as it has {2 - counts['spare']} calibration groups too few" in said
    assert "for each by itself (that all 2 hold at once: no confidence is stated)" in said
    threshold = Bundle.load(own).thresholds.current()
    assert threshold.origins is not None
    limits = threshold.origins.limits

    ledger = tmp_path / "l.db"
    result = run("score", own, table, "--ledger", ledger, "--home", tmp_path)
    assert result.exit_code == 0, result.output
    assert "images are of no camera with a value of its own: the shared value decided" in " ".join(
        result.stderr.split()
    )
    with table.open() as stream:
        camera = {str(table.parent / row["image"]): row["camera"] for row in csv.DictReader(stream)}
    for row in csv.DictReader(result.stdout.splitlines()):
        value = limits[camera[row["image"]]].value if camera[row["image"]] in limits else threshold.value
        assert row["decision"] == ("reject" if float(row["score"]) > value else "accept")
        assert (float(row["decision_score"]) > threshold.value) == (row["decision"] == "reject")

    for name in ("left", "spare"):
        image = next(Path(path) for path, one in camera.items() if one == name)
        told = " ".join(run("explain", image, "--ledger", ledger, "--neighbors", 0).stdout.split())
        if name == "left":
            assert f"promise: at most 30 % of good parts of camera {name} rejected" in told
            assert f"(camera {name} has a value of its own, {limits[name].value:.4g} before the shift)" in told
        else:
            assert "(the shared value, as camera spare had" in told
    history = json.loads(run("explain", image, "--ledger", ledger, "--neighbors", 0, "--json").stdout)
    assert history["thresholds"][0]["origins"]["limits"]["left"]["value"] == limits["left"].value

    figures = json.loads(run("evaluate", own, table, "--json").stdout)
    assert {row["name"]: row["value"] for row in figures["origins"]}["left"] == limits["left"].value
    assert "no camera with its own" in " ".join(run("evaluate", own, table).stdout.split())

    moved = run("threshold", own, "--max-false-reject", 0.5)
    assert "one value decides for every camera from now on" in " ".join(moved.stderr.split())


def test_an_export_that_scores_otherwise_gets_values_of_its_own(
    cameras: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = shutil.copytree(cameras, tmp_path / "bundle")
    result = run("threshold", own, "--by", "camera", "--confidence", 0.5, "--max-false-reject", 0.3)
    assert result.exit_code == 0, result.output
    before = Bundle.load(own).thresholds.current().origins
    monkeypatch.setattr(writing, "_SAME_SCORES", -1.0)  # so that FP32 is taken for another model, as INT8 is
    exported = writing.export_bundle(Bundle.load(own), tmp_path / "exported", writing.ExportSettings())
    assert exported.manifest.export is not None
    assert exported.manifest.export.threshold == "anew"
    after = exported.thresholds.current().origins
    assert before is not None
    assert after is not None
    assert set(after.limits) == set(before.limits)
    assert after.text == before.text
    scores = exported.calibration.set_index("camera")["score"]
    assert all(own.value in set(scores.loc[[name]]) for name, own in after.limits.items())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--by", "camera", "--max-escape", 0.1], "--by goes with --max-false-reject alone"),
        (["--by", "lot", "--costs", "escape=5,reject=1"], "--by goes with --max-false-reject alone"),
        (["--by", "lot", "--max-false-reject", 0.1], "no calibration part of this bundle names its lot"),
        (["--by", "camera", "--max-false-reject", 0.01], "and none has them"),
        (["--defect-class", "crack", "--max-false-reject", 0.1], "they go with --max-escape"),
        (["--critical", "--costs", "escape=5,reject=1"], "they go with --max-escape"),
    ],
)
def test_what_cannot_be_is_refused(cameras: Path, options: list[object], says: str) -> None:
    assert says in mistake("threshold", cameras, *options)
    assert Bundle.load(cameras).thresholds.current().version == 1
