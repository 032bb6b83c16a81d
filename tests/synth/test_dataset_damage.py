"""Images and journals that are spoilt: each is named, with what helps."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.checking import verify_dataset
from synth.dataset import write_dataset
from synth.errors import SynthError
from synth.settings import SynthesisSettings


def test_an_image_that_cannot_be_read_is_said_before_anything_is_made(good: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    pixels = np.random.default_rng(0).integers(90, 150, (64, 64, 3), dtype=np.uint8)
    alone = SynthesisSettings.model_validate({"sources": {"parts": 0}})
    for ending in ("png", "jpg", "tif"):
        broken = good[0].parent / f"broken.{ending}"
        Image.fromarray(pixels).save(broken)
        broken.write_bytes(broken.read_bytes()[:-30])
        for seed in range(3):
            with pytest.raises(SynthError, match=rf"broken\.{ending} cannot be read .*replace it or take it out"):
                write_dataset([*good, broken], out, count=4, settings=alone, workers=1, seed=seed)
        # Taking it out, as it says, is enough.
        assert not (out / "images").exists()
    write_dataset(good, out, count=3)


def test_an_image_that_was_spoilt_since_a_set_was_begun_is_said_with_what_helps(
    good: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_dataset(good, out, count=2)
    whole = good[1].read_bytes()
    good[1].write_bytes(whole[:-30])
    with pytest.raises(SynthError, match=r"part1\.png cannot be read .*begun with it.*another folder"):
        write_dataset(good, out, count=4)
    assert verify_dataset(out) == []
    good[1].write_bytes(whole)
    write_dataset(good, out, count=4)
    assert verify_dataset(out) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"trust"', b'"trusx"'),
        (b'"area": ', b'"area": "x'),
        (b'"image": "000001', b'"image": "000007'),
        (b"{", b"\xff"),
        (b"000001_part", b"000000_part"),
    ],
)
@pytest.mark.parametrize("complete", [True, False])
def test_a_damaged_line_of_the_journal_is_named(
    good: list[Path], tmp_path: Path, old: bytes, new: bytes, complete: bool
) -> None:
    out = tmp_path / "out"
    write_dataset(good, out, count=3)
    journal = out / "synthesis.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert old in lines[2]
    lines[2] = lines[2].replace(old, new, 1)
    journal.write_bytes(b"".join(lines))
    if not complete:
        (out / "checksums.sha256").unlink()
    with pytest.raises(SynthError, match=r"synthesis\.jsonl is damaged in line 3.*another folder"):
        write_dataset(good, out, count=3)


def test_a_journal_that_was_changed_since_the_set_was_complete_is_not_believed(
    good: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_dataset(good, out, count=2)
    journal = out / "synthesis.jsonl"
    journal.write_text(journal.read_text().replace('"severity": 0.', '"severity": 0.0', 1))
    with pytest.raises(SynthError, match=r"synthesis\.jsonl has changed since the set was complete"):
        write_dataset(good, out, count=2)
    assert verify_dataset(out) == ["synthesis.jsonl has changed"]
