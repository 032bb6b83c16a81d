"""``flawsmith train``: what it says beside what it learns."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning.bundle import Bundle
from tests.integrations.cli.running import run


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A configuration that is trained in no time."""
    config = tmp_path / "small.yaml"
    config.write_text("size: 64\ndetector: kmeans\ndetector_config: {places: 400, backbone: {name: resnet10t}}\n")
    return config


def test_copies_are_said_and_count_once(tiles: Path, quick: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(tiles / "train" / "good", tmp_path / "good")
    first, second, *_ = sorted(copied.iterdir())
    shutil.copy(first, copied / f"again-{first.name}")
    shutil.copy(first, copied / f"third-{first.name}")
    shutil.copy(second, copied / f"again-{second.name}")
    result = run("train", copied, "--out", tmp_path / "copied", "--config", quick, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "3 of the good images are exact copies" in " ".join(result.stderr.split())
    made = Bundle.load(tmp_path / "copied", device="cpu")
    sets = [set(images) for images in (made.embeddings("train")[0], made.selection["image"], made.calibration["image"])]
    family = {str(copied / f"{prefix}{first.name}") for prefix in ("", "again-", "third-")}
    assert [len(family & one) for one in sets].count(3) == 1


def test_a_good_part_that_holds_the_threshold_alone_is_named(tiles: Path, quick: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    for way in Image.Transpose:  # as many as it takes to tell what is usual
        for image in sorted((tiles / "train" / "good").iterdir()):
            with Image.open(image) as picture:
                picture.transpose(way).save(good / f"{way.name}-{image.name}")
    command = ("train", good, "--out", tmp_path / "bundle", "--config", quick, "--device", "cpu")
    first = run(*command)
    assert first.exit_code == 0, first.output
    assert "look at" not in first.stderr
    held = Path(Bundle.load(tmp_path / "bundle").calibration["image"][0])
    Image.fromarray(np.kron(np.eye(2), np.full((32, 32), 255)).astype(np.uint8)).save(held)
    assert f"look at {held}" in run(*command).stderr.replace("\n", "")


def test_large_pictures_are_said_to_be_seen_small(tiles: Path, quick: Path, tmp_path: Path) -> None:
    large = tmp_path / "good"
    large.mkdir()
    for image in sorted((tiles / "train" / "good").iterdir())[:10]:
        with Image.open(image) as picture:
            picture.resize((320, 320)).save(large / image.name)
    whole = ("--config", quick, "--device", "cpu")
    said = " ".join(run("train", large, "--out", tmp_path / "bundle", *whole).stderr.split())
    assert "stands for" in said
    assert "docs/small-defects.md" in said
    assert "stands for" not in run("train", tiles, "--out", tmp_path / "other", *whole).stderr
