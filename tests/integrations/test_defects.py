from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.ledger import ImageEntry, Ledger, VerdictEntry
from integrations.defects import defect_bank
from learning.defects import load_bank, save_bank
from learning.errors import DataError
from tests.integrations.cli.running import mistake


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger with one confirmed defect."""
    rng = np.random.default_rng(0)
    pixels, mask = rng.normal(130, 4, (64, 64)), np.zeros((64, 64), np.uint8)
    pixels[20:30, 20:32] -= 60
    mask[18:32, 18:34] = 255
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "part.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    file = tmp_path / "ledger.db"
    with Ledger.open(file) as opened:
        (image_id,) = opened.add_images([ImageEntry(tmp_path / "part.png")])
        said = VerdictEntry(
            None, image_id, "ann", "defect", "2026-01-01T00:00:00Z", "t", "1", "1", tmp_path / "mask.png"
        )
        opened.record_verdicts([said])
    return file


def test_a_ledger_and_the_bank_made_of_it_are_the_same(ledger: Path, tmp_path: Path) -> None:
    bank, left_out = defect_bank(str(ledger))
    assert (len(bank), left_out) == (1, ())
    save_bank(bank, tmp_path / "bank")
    again, _ = defect_bank(str(tmp_path / "bank"))
    assert again.defects[0].provenance == bank.defects[0].provenance == "verdict 1 of ann"
    assert len(load_bank(tmp_path / "bank")) == 1


def test_what_has_no_confirmed_defect_is_named(ledger: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a bank of defects nor a ledger"):
        defect_bank(str(tmp_path / "nowhere"))
    (tmp_path / "mask.png").unlink()
    with pytest.raises(DataError, match=r"no confirmed defect with a mask: .*part\.png: its mask .* is gone"):
        defect_bank(str(ledger))


def test_a_folder_of_something_else_is_refused_before_a_network_learns(ledger: Path, tmp_path: Path) -> None:
    asked = ("defects", "--ledger", ledger, "--made", 5, "--out")
    assert "exists and is no bank of defects" in mistake(*asked, tmp_path)
    assert "too few to learn from" in mistake(*asked, tmp_path / "bank").replace("\n", " ")


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (np.full((32, 64), 255, np.uint8), "64 × 32 pixels, but its image is 64 × 64"),
        (np.zeros((64, 64), np.uint8), "no region of"),
        (np.full((64, 64), 255, np.uint8), "40% or less"),
    ],
)
def test_a_mask_that_nothing_can_be_cut_by_is_named_and_no_bank_is_written(
    ledger: Path, tmp_path: Path, mask: np.ndarray, says: str
) -> None:
    Image.fromarray(np.full((64, 64), 130, np.uint8)).save(tmp_path / "other.png")
    Image.fromarray(mask).save(tmp_path / "wrong.png")
    alone = tmp_path / "alone.db"
    for place in (ledger, alone):
        with Ledger.open(place) as opened:
            (image_id,) = opened.add_images([ImageEntry(tmp_path / "other.png")])
            said = VerdictEntry(
                None, image_id, "ann", "defect", "2026-01-01T00:00:00Z", "t", "2", "1", tmp_path / "wrong.png"
            )
            opened.record_verdicts([said])
    bank, (why,) = defect_bank(str(ledger))
    assert [defect.provenance for defect in bank.defects] == ["verdict 1 of ann"]
    assert "wrong.png" in why
    assert says in why
    assert says in " ".join(mistake("defects", "--ledger", alone, "--out", tmp_path / "bank").split())
    assert not (tmp_path / "bank").exists()
