"""Pictures that other programs have labelled."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Six, named by their numbers."""
    folder = tmp_path / "set" / "images"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for number in range(6):
        Image.fromarray(rng.integers(0, 255, (20, 30), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder
