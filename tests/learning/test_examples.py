"""The sheet of pictures and maps: the right ones of each class, in any depth, and no more than a few held."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning.errors import DataError
from learning.examples import Examples
from learning.images.records import ImageRecord
from learning.scoring import ImageScore

SIZE = (40, 60)
ORANGE = (200, 60)
"""Red is at least this in what is tinted fully, and blue at most that."""


def scored(
    folder: Path, label: str, score: float, *, depth: int = 8, heat: float = 0.0, masked: bool = False
) -> ImageScore:
    height, width = SIZE
    path = folder / f"{label}_{score}.png"
    grey = np.tile(np.linspace(20, 200, width), (height, 1))
    Image.fromarray((grey * 10).astype(np.uint16) if depth == 16 else grey.astype(np.uint8)).save(path)
    mask = None
    if masked:
        mask = folder / f"{label}_{score}_mask.png"
        marked = np.zeros(SIZE, np.uint8)
        marked[10:30, 10:30] = 255
        Image.fromarray(marked).save(mask)
    heated = np.zeros(SIZE, np.float32)
    heated[10:30, 10:30] = heat
    record = ImageRecord(path, label, mask=mask)
    return ImageScore(record, score, heated, np.zeros(2, np.float32), None, score, 0.0)


def test_rows_hold_the_extremes_of_each_class_in_their_order(tmp_path: Path) -> None:
    examples = Examples((0.0, 1.0), each=2)
    for label, scores in (("good", (0.1, 0.3, 0.2)), ("crack", (0.4, 0.9, 0.5, 0.7))):
        for score in scores:
            examples.add(scored(tmp_path, label, score))
    assert [one.score for one in examples._highest["crack"]] == [0.9, 0.7]
    assert [one.score for one in examples._lowest["crack"]] == [0.4, 0.5]
    assert [one.score for one in examples._highest["good"]] == [0.3, 0.2]
    assert [one.score for one in examples._lowest["good"]] == [0.1, 0.2]


@pytest.mark.parametrize("depth", [8, 16])
def test_what_is_suspected_is_tinted_and_what_is_marked_is_outlined(tmp_path: Path, depth: int) -> None:
    examples = Examples((0.0, 0.5))
    examples.add(scored(tmp_path, "stain", 0.6, depth=depth, heat=0.5, masked=True))
    examples.write(tmp_path / "sheet.png", 0.5)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
    red, blue = ORANGE
    tinted = (sheet[..., 0] > red) & (sheet[..., 2] < blue)
    # Two rows of one image: the picture with an outline, and the map beside it.
    middle = sheet.shape[1] // 2
    outline, heat = int(tinted[:, :middle].sum()), int(tinted[:, middle:].sum())
    assert 0 < outline < heat / 2
    assert heat > 2 * 0.8 * (20 * 176 / 60) ** 2


def test_a_good_part_is_shown_without_any_tint(tmp_path: Path) -> None:
    examples = Examples((0.0, 1.0))
    examples.add(scored(tmp_path, "good", 0.1))
    examples.write(tmp_path / "sheet.jpg", 0.5)
    sheet = np.asarray(Image.open(tmp_path / "sheet.jpg").convert("RGB")).astype(int)
    assert int((sheet.max(axis=2) - sheet.min(axis=2)).max()) < 30


def test_nothing_scored_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to show"):
        Examples((0.0, 1.0)).write(tmp_path / "sheet.png", 0.5)
