from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from integrations.label_studio.gallery import LocalFiles
from integrations.label_studio.pictures import overlay, write_pictures
from learning.errors import DataError


def _save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "pixels", "shown"),
    [
        ("a.png", np.full((10, 15), 80, np.uint8), "ask.png"),
        ("a.jpg", np.full((10, 15, 3), 80, np.uint8), "ask.jpg"),
        ("a.tif", np.full((10, 15), 80, np.uint8), "ask.png"),
        ("deep.png", np.full((10, 15), 80 * 257, np.uint16), "ask.png"),
    ],
)
def test_browsers_can_show_it(tmp_path: Path, name: str, pixels: np.ndarray, shown: str) -> None:
    served = tmp_path / "served"
    served.mkdir()
    source = _save(tmp_path / name, pixels)
    for _ in range(2):
        pictures = write_pictures(served, "ask", source, None)
    assert pictures.image.name == shown
    with Image.open(pictures.image) as opened:
        assert opened.format in {"PNG", "JPEG"}
        assert opened.mode in {"L", "RGB"}
        assert opened.size == (15, 10)
        assert abs(int(np.asarray(opened).mean()) - 80) <= 1
    assert sorted(file.name for file in served.iterdir()) == [shown]


def test_the_overlay_is_hot_where_the_map_is_high(tmp_path: Path) -> None:
    anomaly_map = np.zeros((10, 15), np.uint8)
    anomaly_map[2, 3] = 255
    drawn = np.asarray(overlay(np.full((10, 15, 1), 120, np.uint8), anomaly_map)).astype(int)
    assert drawn[2, 3, 0] - drawn[2, 3, 2] > 50
    assert abs(drawn[0, 0, :3] - 120).max() < 30


def test_a_map_of_another_size_is_fitted(tmp_path: Path) -> None:
    source = _save(tmp_path / "a.png", np.full((10, 15), 80, np.uint8))
    map_path = _save(tmp_path / "map.png", np.full((3, 3), 200, np.uint8))
    pictures = write_pictures(tmp_path, "ask", source, map_path)
    assert pictures.anomaly_map is not None
    assert pictures.anomaly_map.shape == (10, 15)


def test_a_damaged_map_is_named(tmp_path: Path) -> None:
    source = _save(tmp_path / "a.png", np.full((10, 15), 80, np.uint8))
    (tmp_path / "map.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"map\.png"):
        write_pictures(tmp_path, "ask", source, tmp_path / "map.png")


def test_addresses_are_quoted() -> None:
    picture = Path("/srv/asks/a b.png")
    address = LocalFiles(picture.parent).address("ask", "image", picture)
    assert address == "/data/local-files/?d=asks/a%20b.png"
