"""Good parts to make flaws on."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    """Three pictures of different sizes, one of them in colour."""
    folder = tmp_path / "good"
    folder.mkdir()
    rng = np.random.default_rng(0)
    shapes = [(64, 80), (50, 50), (40, 72, 3)]
    for i, shape in enumerate(shapes):
        Image.fromarray(rng.integers(90, 150, shape, dtype=np.uint8)).save(folder / f"part{i}.png")
    return sorted(folder.iterdir())
