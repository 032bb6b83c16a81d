"""What the layouts write, read back by other code than wrote it, and compared with the masks pixel by pixel."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from synth.dataset import MANIFEST, write_dataset
from synth.manifest import ManifestRow, read_manifest
from synth.pictures import read_pixels
from synth.settings import SynthesisSettings
from tests.synth.even_odd import filled

FAMILIES = ("blob", "crack", "perlin", "scratch")
SETTINGS = SynthesisSettings(flaws_per_image=(1, 3)).only(FAMILIES)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("good")
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(64, 80), (70, 50, 3)]):
        Image.fromarray(rng.integers(90, 150, shape, dtype=np.uint8)).save(folder / f"part{i}.png")
    return sorted(folder.iterdir())


def made(good: list[Path], out: Path, layout: str) -> dict[str, list[ManifestRow]]:
    write_dataset(good, out, count=10, seed=3, format=layout, settings=SETTINGS)
    groups: dict[str, list[ManifestRow]] = {}
    for row in read_manifest(out / MANIFEST):
        groups.setdefault(row.image, []).append(row)
    return groups


def mask_of(out: Path, name: str) -> NDArray[np.bool_]:
    return read_pixels(out / "masks" / f"{name}.png") > 0


def test_mvtec_has_every_image_and_mask_under_its_class(good: list[Path], tmp_path: Path) -> None:
    groups = made(good, tmp_path / "out", "mvtec")
    for name, rows in groups.items():
        families = {row.family for row in rows if row.area}
        kind = families.pop() if len(families) == 1 else "combined"
        image = tmp_path / "out" / "test" / kind / f"{name}.png"
        mask = tmp_path / "out" / "ground_truth" / kind / f"{name}_mask.png"
        assert image.read_bytes() == (tmp_path / "out" / "images" / f"{name}.png").read_bytes()
        assert mask.read_bytes() == (tmp_path / "out" / "masks" / f"{name}.png").read_bytes()
    assert len(list((tmp_path / "out" / "test").rglob("*.png"))) == len(groups)


def test_mvtec_is_read_as_such_once_good_parts_are_added(good: list[Path], tmp_path: Path) -> None:
    from learning.images.readers import read_data

    groups = made(good, tmp_path / "out", "mvtec")
    (tmp_path / "out" / "train" / "good").mkdir(parents=True)
    (tmp_path / "out" / "train" / "good" / "other.png").write_bytes(good[0].read_bytes())
    records = [record for record in read_data(tmp_path / "out") if record.split == "test"]
    assert {record.path.stem for record in records} == set(groups)
    assert all(record.mask is not None and record.mask.is_file() for record in records)


def test_coco_gives_back_boxes_families_and_masks(good: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    groups = made(good, out, "coco")
    content = json.loads((out / "annotations.json").read_text())
    assert [category["name"] for category in content["categories"]] == list(FAMILIES)
    names = {category["id"]: category["name"] for category in content["categories"]}
    assert len({a["id"] for a in content["annotations"]}) == len(content["annotations"])
    for image in content["images"]:
        name = Path(image["file_name"]).stem
        mask = mask_of(out, name)
        assert (image["height"], image["width"]) == mask.shape
        seen = [row for row in groups.pop(name) if row.area]
        annotations = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        assert len(annotations) == len(seen)
        together = np.zeros_like(mask)
        for row, annotation in zip(seen, annotations, strict=True):
            polygons = [np.array(flat).reshape(-1, 2) for flat in annotation["segmentation"]]
            drawn = np.logical_or.reduce([filled(polygon, mask.shape) for polygon in polygons])
            assert names[annotation["category_id"]] == row.family
            assert annotation["bbox"] == [row.left, row.top, row.right - row.left, row.bottom - row.top]
            assert annotation["area"] == row.area == drawn.sum()
            assert annotation["iscrowd"] == 0
            together |= drawn
        assert np.array_equal(together, mask)
    assert groups == {}


def test_yolo_gives_back_families_and_masks(good: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    groups = made(good, out, "yolo")
    data = yaml.safe_load((out / "data.yaml").read_text())
    assert list(data["names"].values()) == list(FAMILIES)
    assert (out / data["train"]).is_dir()
    assert {path.stem for path in (out / "labels").iterdir()} == set(groups)
    for name, rows in groups.items():
        mask = mask_of(out, name)
        height, width = mask.shape
        exact, drawn, families = np.zeros_like(mask), np.zeros(mask.shape, np.uint8), set()
        for line in (out / "labels" / f"{name}.txt").read_text().splitlines():
            family, *values = line.split(" ")
            corners = np.array(values, dtype=float).reshape(-1, 2)
            assert corners.min() >= 0
            assert corners.max() <= 1
            pixels = corners * [width, height]
            np.testing.assert_allclose(pixels, pixels.round(), atol=1e-4)
            exact |= filled(pixels.round().astype(int), mask.shape)
            cv2.fillPoly(drawn, [pixels.round().astype(np.int32)], 1)
            families.add(data["names"][int(family)])
        assert np.array_equal(exact, mask)
        assert families == {row.family for row in rows if row.area}
        # A reader that draws the outline as well.
        assert not ((drawn > 0) & ~ndimage.binary_dilation(mask, np.ones((3, 3)))).any()
