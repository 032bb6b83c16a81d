"""A synthetic set and confirmed defects on disk, grey, in colour or with 16 bits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learning.images.records import ImageRecord
from synth.dataset import write_dataset
from synth.settings import SynthesisSettings


def save(pixels: np.ndarray, path: Path, mode: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "16 bit":
        Image.fromarray((pixels * 65535).astype(np.uint16)).save(path)
    elif mode == "colour":
        Image.fromarray((np.stack([pixels, pixels * 0.8, pixels * 0.6], axis=2) * 255).astype(np.uint8)).save(path)
    else:
        Image.fromarray((pixels * 255).astype(np.uint8)).save(path)


@pytest.fixture
def good(tmp_path: Path) -> Callable[[str], list[Path]]:
    def make(mode: str) -> list[Path]:
        rng = np.random.default_rng(0)
        paths = [tmp_path / mode / "good" / f"{i}.png" for i in range(6)]
        for path in paths:
            save(np.clip(rng.normal(0.5, 0.03, (48, 64)), 0, 1), path, mode)
        return paths

    return make


@pytest.fixture
def synthetic(good: Callable[[str], list[Path]], tmp_path: Path) -> Callable[..., Path]:
    def make(mode: str = "grey", count: int = 10) -> Path:
        out = tmp_path / mode / "flawed"
        write_dataset(good(mode), out, count=count, settings=SynthesisSettings().only(["blob", "scratch"]))
        return out

    return make


@pytest.fixture
def confirmed(tmp_path: Path) -> Callable[..., list[ImageRecord]]:
    """As many defects as are asked for: bright squares on parts of their own, in MVTec AD's layout."""

    def make(count: int, mode: str = "grey") -> list[ImageRecord]:
        rng = np.random.default_rng(1)
        records = []
        for i in range(count):
            pixels = np.clip(rng.normal(0.5, 0.03, (48, 64)), 0, 1)
            mask = np.zeros((48, 64), dtype=np.uint8)
            left, top = int(rng.integers(5, 40)), int(rng.integers(5, 30))
            pixels[top : top + 6, left : left + 9] = 0.9
            mask[top : top + 6, left : left + 9] = 255
            image = tmp_path / mode / "confirmed" / "test" / "spot" / f"{i}.png"
            save(pixels, image, mode)
            file = tmp_path / mode / "confirmed" / "ground_truth" / "spot" / f"{i}_mask.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(file)
            records.append(ImageRecord(image, label="spot", mask=file, group=f"part {i}"))
        return records

    return make
