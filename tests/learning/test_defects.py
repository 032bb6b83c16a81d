import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from learning.bundle import Bundle
from learning.config import Sources, TrainConfig, load_config
from learning.defects import bank_digest, cut_from_files, load_bank, save_bank, usable
from learning.detectors import Budget
from learning.errors import DataError
from learning.flaw_sources import FlawSources
from learning.images.readers import read_data
from learning.images.records import ImageRecord
from learning.sealed import file_sha256
from learning.training import train_bundle
from synth.sources.defects import Defect, DefectBank
from synth.sources.folder import TextureFolder


def defect(name: str, **facts: Any) -> Defect:
    mask = torch.zeros(1, 12, 12)
    mask[:, 4:8, 4:8] = 1
    return Defect(0.5 - 0.3 * mask, mask, torch.tensor([0.5]), torch.tensor([0.02]), 1.0, 64, name, **facts)


BANK = DefectBank(
    (
        defect("a", label="pit", provenance="verdict 1 of ann", image="1" * 32, group="lot 1"),
        defect("b", provenance="verdict 2 of bob", group="lot 2"),
    )
)


def test_a_bank_survives_a_file(tmp_path: Path) -> None:
    save_bank(BANK, tmp_path / "bank")
    # Who may read the folder may read what lies in it.
    bank = tmp_path / "bank"
    assert {file.stat().st_mode & 0o666 for file in bank.iterdir()} == {bank.stat().st_mode & 0o666}
    again = load_bank(tmp_path / "bank")
    for old, new in zip(BANK.defects, again.defects, strict=True):
        assert torch.equal(old.pixels, new.pixels)
        assert torch.equal(old.mask, new.mask)
        assert replace(old, pixels=new.pixels, mask=new.mask, light=new.light, contrast=new.contrast) == new
    assert bank_digest(again) == bank_digest(BANK)
    smaller = DefectBank(BANK.defects[:1])
    save_bank(smaller, tmp_path / "bank")
    assert len(load_bank(tmp_path / "bank")) == 1
    assert len(list((tmp_path / "bank").iterdir())) == 3  # pixels, facts and the lock of writers
    assert bank_digest(smaller) != bank_digest(BANK)


def test_writers_take_turns_and_readers_see_one_or_the_other(tmp_path: Path) -> None:
    banks = (BANK, DefectBank(BANK.defects[:1]))
    save_bank(BANK, tmp_path / "bank")
    with ThreadPoolExecutor(3) as pool:
        writers = [
            pool.submit(lambda bank=bank: [save_bank(bank, tmp_path / "bank") for _ in range(20)]) for bank in banks
        ]
        seen = set()
        while not all(writer.done() for writer in writers):
            seen.add(bank_digest(load_bank(tmp_path / "bank")))
        for writer in writers:
            writer.result()
    assert seen <= {bank_digest(bank) for bank in banks}
    assert bank_digest(load_bank(tmp_path / "bank")) in seen | {bank_digest(bank) for bank in banks}
    assert len(list((tmp_path / "bank").glob("*.safetensors"))) == 1


def test_damage_and_other_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no bank of defects"):
        load_bank(tmp_path)
    (tmp_path / "photo.png").write_bytes(b"mine")
    with pytest.raises(DataError, match="left alone"):
        save_bank(BANK, tmp_path)
    save_bank(BANK, tmp_path / "bank")
    (file,) = (tmp_path / "bank").glob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DataError, match="do not fit"):
        load_bank(tmp_path / "bank")
    file.write_bytes(whole)
    facts = tmp_path / "bank" / "defects.json"
    facts.write_text(facts.read_text().replace("verdict 1", "verdict 9"))
    with pytest.raises(DataError, match="checksum"):
        load_bank(tmp_path / "bank")


def test_defects_of_parts_that_are_held_back_are_left_out(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    same_image = DefectBank((replace(BANK.defects[0], image=file_sha256(image)[:32], group=""), BANK.defects[1]))
    kept, left_out = usable(same_image, [ImageRecord(image)])
    assert ([d.name for d in kept.defects], left_out) == (["b"], ["a"])
    kept, left_out = usable(BANK, [ImageRecord(image, group="lot 2")])
    assert ([d.name for d in kept.defects], left_out) == (["a"], ["b"])
    kept, left_out = usable(BANK, [ImageRecord(image, part="lot 1")])
    assert left_out == ["a"]
    assert usable(BANK, []) == (BANK, [])


def test_what_a_network_made_is_left_out_where_it_learnt_from_a_part_that_is_held_back(tmp_path: Path) -> None:
    save_bank(BANK + DefectBank((defect("made-0", made=True),)), tmp_path / "bank")
    bank = load_bank(tmp_path / "bank")
    image = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    assert usable(bank, [ImageRecord(image, group="lot 3")])[1] == []
    kept, left_out = usable(bank, [ImageRecord(image, group="lot 2")])
    assert ([d.name for d in kept.defects], left_out) == (["a"], ["b", "made-0"])


_KILLED = """
import os, resource, signal, sys
from pathlib import Path
from learning.defects import load_bank, save_bank

bank = load_bank(Path(sys.argv[2]))
if sys.argv[1] == "pixels":
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
else:
    os.fsync = lambda stream: os.kill(os.getpid(), signal.SIGKILL)
save_bank(bank, Path(sys.argv[3]))
"""


@pytest.mark.parametrize("written", ["pixels", "facts"])
def test_a_bank_is_written_where_one_was_being_written_when_it_was_killed(tmp_path: Path, written: str) -> None:
    save_bank(BANK, tmp_path / "source")
    save_bank(DefectBank(BANK.defects[:1]), tmp_path / "old")
    for folder in (tmp_path / "new", tmp_path / "old"):
        killed = subprocess.run([sys.executable, "-c", _KILLED, written, tmp_path / "source", folder], check=False)
        assert killed.returncode < 0
        assert any(file.name.startswith(".") for file in folder.iterdir())
    assert len(load_bank(tmp_path / "old")) == 1
    for folder in (tmp_path / "new", tmp_path / "old"):
        save_bank(BANK, folder)
        assert len(load_bank(folder)) == 2
        assert len(list(folder.iterdir())) == 3


def test_a_bank_is_not_written_beside_hidden_files_of_others(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(DataError, match="left alone"):
        save_bank(BANK, tmp_path)


def test_sources_draw_confirmed_defects_often_and_other_families_as_they_are(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    synthesizer = FlawSources(BANK).synthesizer(["blob", "scratch"])
    drawn = [flaw.family for flaw in synthesizer.draw(generator, 600).flaws()]
    assert drawn.count("confirmed") / len(drawn) == pytest.approx(0.3, abs=0.05)
    assert set(FlawSources().synthesizer(("blob",)).families) == {"blob"}
    assert "confirmed" not in FlawSources(DefectBank(())).synthesizer(None).families
    Image.fromarray(np.full((20, 20), 50, np.uint8)).save(tmp_path / "t.png")
    images = torch.rand(2, 1, 32, 40)
    context = FlawSources(BANK, TextureFolder(tmp_path)).context(generator, images, None, images)
    assert context.textures is not None
    assert context.textures.shape == (1, 1, 32, 40)
    assert context.defects is BANK
    flawed, masks = synthesizer.apply(images, synthesizer.draw(generator, 2), context)
    assert masks.any()
    assert flawed.shape == images.shape


def test_a_bundle_says_which_confirmed_defects_it_learned_from(stub: type, data: Path, tmp_path: Path) -> None:
    seen: list[FlawSources] = []
    fit = stub.fit

    def spy(self, *args, **kwargs):
        seen.append(kwargs["sources"])
        return fit(self, *args, **kwargs)

    stub.fit = spy
    try:
        test = next(record for record in read_data(data) if record.split == "test" and record.mask)
        held = cut_from_files(test.path, test.mask, name="held", image_id=file_sha256(test.path)[:32])
        bank = BANK + DefectBank(tuple(held))
        bundle = train_bundle(
            data, tmp_path / "bundle", config=TrainConfig(detector="stub"), budget=Budget(steps=1), defects=bank
        )
    finally:
        stub.fit = fit
    assert [d.name for d in seen[0].defects.defects] == ["a", "b"]
    assert {d.side for d in seen[0].defects.defects} == {bundle.preprocessing.height}
    manifest = Bundle.load(bundle.folder).manifest
    assert manifest.defects.used == {"a": "verdict 1 of ann", "b": "verdict 2 of bob"}
    assert manifest.defects.left_out == ("held-0",)
    card = (bundle.folder / "card.md").read_text()
    assert "- a: verdict 1 of ann" in card
    assert "held-0" in card
    assert "Only good parts were read" not in card


def test_without_confirmed_defects_the_card_says_so(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    assert bundle.manifest.defects.used == {}
    assert "No defect was seen in training" in (bundle.folder / "card.md").read_text()


def test_configurations_name_sources(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("sources: {defects: bank, textures: dtd}\n")
    assert load_config(file).sources == Sources(defects="bank", textures=Path("dtd"))
