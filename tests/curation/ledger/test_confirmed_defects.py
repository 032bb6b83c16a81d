import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.confirmed_defects import harvest
from curation.confirmed_regions import confirmed_regions
from curation.ledger import ImageEntry, Ledger, VerdictEntry
from learning.defects import load_bank, save_bank
from tests.curation.ledger.before import made_at


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def part(folder: Path, number: int, ledger: Ledger) -> tuple[str, Path, Path]:
    """A grainy plate with two dark spots, of which the mask shows both; in the ledger."""
    rng = np.random.default_rng(number)
    pixels = rng.normal(130, 4, (96, 96))
    mask = np.zeros((96, 96), np.uint8)
    for top, left in ((20, 30), (60, 50)):
        pixels[top : top + 9, left : left + 12] -= 60
        mask[top - 2 : top + 11, left - 2 : left + 14] = 255
    image, drawn = folder / f"{number}.png", folder / f"mask-{number}.png"
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(image)
    Image.fromarray(mask).save(drawn)
    (image_id,) = ledger.add_images([ImageEntry(image, group=f"lot {number}")])
    return image_id, image, drawn


def say(
    ledger: Ledger, image_id: str, said: str, mask: Path | None = None, who: str = "ann", revision: int = 1
) -> None:
    at = f"2026-01-01T00:00:0{revision}Z"
    entry = VerdictEntry(None, image_id, who, said, at, "test", f"{image_id}-{who}", str(revision), mask, "pit")  # type: ignore[arg-type]
    ledger.record_verdicts([entry])


def test_regions_that_inspectors_agree_on_become_a_bank(ledger: Ledger, tmp_path: Path) -> None:
    ids, _, masks = zip(*(part(tmp_path, number, ledger) for number in range(5)), strict=True)
    say(ledger, ids[0], "defect", masks[0])
    say(ledger, ids[1], "defect", masks[1])
    say(ledger, ids[1], "good", who="bob")
    say(ledger, ids[2], "defect", masks[2])
    say(ledger, ids[2], "good", revision=2)
    say(ledger, ids[3], "defect")
    say(ledger, ids[4], "good", masks[4])
    found = harvest(ledger)
    assert found.left_out == ()
    assert [defect.image for defect in found.bank.defects] == [ids[0]] * 2
    defect = found.bank.defects[0]
    assert (defect.label, defect.group, defect.name) == ("pit", "lot 0", f"{ids[0]}-0")
    assert defect.provenance.startswith("verdict 1 of ann")
    assert defect.light.item() == pytest.approx(130 / 255, abs=0.02)
    # The brush is wider than the defect: what counts is the dark spot in it.
    assert 9 * 12 <= (defect.mask > 0.5).sum() <= 13 * 16
    save_bank(found.bank, tmp_path / "bank")
    again = load_bank(tmp_path / "bank")
    assert [d.provenance for d in again.defects] == [d.provenance for d in found.bank.defects]


def test_a_correction_replaces_the_mask(ledger: Ledger, tmp_path: Path) -> None:
    image_id, _, mask = part(tmp_path, 0, ledger)
    other = tmp_path / "other.png"
    pixels = np.zeros((96, 96), np.uint8)
    pixels[18:31, 28:44] = 255
    Image.fromarray(pixels).save(other)
    say(ledger, image_id, "defect", mask)
    say(ledger, image_id, "defect", other, revision=2)
    regions, _ = confirmed_regions(ledger)
    assert [region.mask for region in regions] == [other]
    assert len(harvest(ledger).bank) == 1


def test_sets_that_training_must_not_see_are_left_out(ledger: Ledger, tmp_path: Path) -> None:
    ids, _, masks = zip(*(part(tmp_path, number, ledger) for number in range(3)), strict=True)
    for image_id, mask in zip(ids, masks, strict=True):
        say(ledger, image_id, "defect", mask)
    regions, _ = confirmed_regions(ledger, without_images={ids[0]}, without_groups={"lot 1"})
    assert [region.image.image_id for region in regions] == [ids[2]]


def test_a_ledger_of_before_checksums_is_brought_up_to_date_and_its_masks_are_taken(
    tmp_path: Path,
) -> None:
    with made_at("0001"), Ledger.open(tmp_path / "old.db") as old:
        image_id, _, mask = part(tmp_path, 0, old)
    with sqlite3.connect(tmp_path / "old.db") as raw:
        columns = "image_id, inspector, verdict, at, source, external_id, revision, regions_mask, recorded_at"
        time = "2026-01-01 00:00:00.000000"
        raw.execute(
            f"INSERT INTO verdicts ({columns}) VALUES (?, 'ann', 'defect', ?, 't', '1', '1', ?, ?)",
            (image_id, time, str(mask), time),
        )
    with Ledger.open(tmp_path / "old.db") as ledger:
        assert ledger.verdicts()[0].regions_sha256 is None
        assert len(harvest(ledger).bank) == 2


def test_files_that_are_not_what_was_confirmed_are_named(ledger: Ledger, tmp_path: Path) -> None:
    ids, images, masks = zip(*(part(tmp_path, number, ledger) for number in range(5)), strict=True)
    for image_id, mask in zip(ids, masks, strict=True):
        say(ledger, image_id, "defect", mask)
    images[0].unlink()
    images[1].write_bytes(images[2].read_bytes())
    masks[2].unlink()
    Image.fromarray(np.full((96, 96), 255, np.uint8)).save(masks[3])
    found = harvest(ledger)
    assert {defect.image for defect in found.bank.defects} == {ids[4]}
    reasons = sorted(found.left_out)
    assert len(reasons) == 4
    for name, reason in ((images[0], "is gone"), (images[1], "was changed"), (masks[2], "is gone")):
        assert any(str(name) in line and reason in line for line in reasons)
    assert any(str(masks[3]) in line and "was changed since the verdict" in line for line in reasons)
