"""Sources that cannot be used are named before the first flaw is made; what a set can be looked at and checked by."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synth.checking import verify_dataset
from synth.dataset import OVERVIEW, write_dataset
from synth.errors import SynthError
from synth.settings import SynthesisSettings
from synth.sources.defects import Defect, DefectBank


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    (tmp_path / "good").mkdir()
    grain = np.random.default_rng(0).integers(90, 160, (48, 48), dtype=np.uint8)
    Image.fromarray(grain).save(tmp_path / "good" / "part.png")
    return [tmp_path / "good" / "part.png"]


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_texture_that_cannot_be_read_is_named(good: list[Path], tmp_path: Path, content: bytes) -> None:
    textures = tmp_path / "textures"
    textures.mkdir()
    for name in ("a.png", "c.png"):
        (textures / name).write_bytes(good[0].read_bytes())
    (textures / "b.png").write_bytes(content)
    settings = SynthesisSettings.model_validate({"sources": {"textures": str(textures)}, "families": {"scratch": {}}})
    out = tmp_path / "out"
    # Scratches take no texture: nothing but a look at all of them finds it.
    with pytest.raises(SynthError, match=r"b\.png cannot be read"):
        write_dataset(good, out, count=1, settings=settings)
    assert not (out / "images").exists()
    (textures / "b.png").unlink()
    assert write_dataset(good, out, count=1, settings=settings).images == 1


@pytest.mark.parametrize(("mask", "pixels"), [(0.0, 0.5), (1.0, float("nan"))])
def test_a_confirmed_defect_with_nothing_to_show_is_named(
    good: list[Path], tmp_path: Path, mask: float, pixels: float
) -> None:
    square = torch.ones(1, 8, 8)
    defect = Defect(pixels * square, mask * square, torch.ones(1), torch.ones(1), grain=1, side=48, name="verdict-7")
    with pytest.raises(SynthError, match="verdict-7 is empty or damaged"):
        write_dataset(good, tmp_path / "out", count=1, defects=DefectBank((defect,)))
    assert not (tmp_path / "out" / "images").exists()


def test_a_folder_that_is_no_set_is_called_that(good: list[Path]) -> None:
    with pytest.raises(SynthError, match="holds no synthetic data set; name the folder that one was written to"):
        verify_dataset(good[0].parent)


def test_the_overview_outlines_the_mask_at_both_sizes(good: list[Path], tmp_path: Path) -> None:
    write_dataset(good, tmp_path / "out", count=1)
    with Image.open(tmp_path / "out" / OVERVIEW) as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    inked = (pixels == (255, 50, 25)).all(axis=2).any(axis=0)
    # Good, flawed, outlined and closer, side by side; the two last ones are marked.
    assert [bool(quarter.any()) for quarter in np.array_split(inked, 4)] == [False, False, True, True]
