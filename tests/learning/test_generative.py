from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator

from learning.defects import load_bank, save_bank
from learning.errors import DataError
from learning.generative import LEAST_DEFECTS, DefectGenerator, GenerativeConfig
from learning.generative.patches import frame_sides, shifted, to_defect, to_patches, turned
from synth.sources.defects import Defect, DefectBank

SMALL = GenerativeConfig(latent=8, width=4, batch=8)


def spots(count: int, channels: int = 1) -> DefectBank:
    """Dark discs of various sizes on a grey ground."""
    g = Generator().manual_seed(0)
    defects = []
    for number in range(count):
        side = int(torch.randint(14, 40, (1,), generator=g))
        at = torch.linspace(-1, 1, side)
        mask = ((at[None] ** 2 + at[:, None] ** 2) < 0.5).float()[None]
        pixels = 0.5 - 0.3 * mask + 0.02 * torch.randn(channels, side, side, generator=g)
        light, contrast = torch.full((channels,), 0.5), torch.full((channels,), 0.02)
        defects.append(Defect(pixels, mask, light, contrast, 1.0, 256, f"spot-{number}", "spot", f"verdict {number}"))
    return DefectBank(tuple(defects))


def test_a_patch_is_the_defect_on_a_flat_ground_and_back() -> None:
    bank = spots(6, channels=3)
    patches = to_patches(bank)
    assert patches.shape == (6, 4, 64, 64)
    assert patches.abs().max() <= 1
    assert (patches[:, -1, 0, 0] == -1).all()
    assert patches[:, :3, 0, 0].abs().max() == 0
    torch.testing.assert_close(patches[:, :3, 32, 32], torch.full((6, 3), -0.6), rtol=0, atol=0.15)
    for defect, patch, frame in zip(bank.defects, patches, frame_sides(bank), strict=True):
        again = to_defect(patch, defect, frame, "again", "nowhere")
        assert again.pixels.shape == (3, frame, frame)
        assert (again.mask > 0.5).sum() == pytest.approx(int((defect.mask > 0.5).sum()), rel=0.15)


def test_moving_and_turning_keep_what_is_there() -> None:
    patches = to_patches(spots(4))
    assert torch.equal(shifted(patches, [(0, 0)] * 4), patches)
    moved = shifted(patches, [(3, -2)] * 4)
    assert torch.equal(moved[..., 3:, :-2], patches[..., :-3, 2:])
    assert (moved[:, -1, :3] == -1).all()
    assert (moved[:, 0, :3] == 0).all()
    spun = turned(patches, Generator().manual_seed(1))
    torch.testing.assert_close(spun.sum(dim=(2, 3)), patches.sum(dim=(2, 3)), rtol=0, atol=0.05)


def test_too_few_defects_are_refused_with_what_to_do_instead() -> None:
    with pytest.raises(DataError, match=r"49 confirmed defects are too few.*50.*`confirmed`"):
        DefectGenerator.train(spots(LEAST_DEFECTS - 1), steps=1)


def test_steps_and_seed_give_the_same_weights_and_they_survive_a_file(tmp_path: Path) -> None:
    bank = spots(LEAST_DEFECTS)
    first, same = (DefectGenerator.train(bank, 3, seed=1, config=SMALL) for _ in range(2))
    assert torch.equal(first.patches(4), same.patches(4))
    other = DefectGenerator.train(bank, 3, seed=2, config=SMALL)
    assert not torch.equal(first.patches(4), other.patches(4))
    folder = tmp_path / "generator"
    first.save(folder)
    assert {file.stat().st_mode & 0o666 for file in folder.glob("*.*")} == {folder.stat().st_mode & 0o666}
    assert torch.equal(DefectGenerator.load(folder).patches(4, seed=3), first.patches(4, seed=3))
    assert first.history == DefectGenerator.load(folder).history
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="damaged"):
        DefectGenerator.load(folder)
    with pytest.raises(DataError, match="no generative source"):
        DefectGenerator.load(tmp_path / "nowhere")


def test_samples_are_defects_of_the_sizes_that_were_confirmed(tmp_path: Path) -> None:
    bank = spots(LEAST_DEFECTS)
    model = DefectGenerator.train(bank, 40, config=GenerativeConfig(latent=8, width=8, batch=16, learning_rate=2e-3))
    made = model.sample(12, seed=5)
    assert len(made) == 12
    assert {defect.label for defect in made.defects} == {"spot"}
    assert all("50 confirmed defects" in defect.provenance and defect.made for defect in made.defects)
    sides = frame_sides(bank)
    assert all(0.8 * min(sides) - 1 <= len(d.mask[0]) <= 1.25 * max(sides) + 1 for d in made.defects)
    assert all(defect.pixels.min() >= 0 and defect.pixels.max() <= 1 for defect in made.defects)
    save_bank(bank + made, tmp_path / "bank")  # made defects share the light of confirmed ones
    assert len(load_bank(tmp_path / "bank")) == len(bank) + 12
    again = model.sample(12, seed=5)
    assert all(torch.equal(a.pixels, b.pixels) for a, b in zip(made.defects, again.defects, strict=True))
    model.bank = DefectBank((replace(bank.defects[0], label="pit"), *bank.defects[1:]))
    assert {defect.label for defect in model.sample(12, seed=5).defects} == {""}
    # It learned that spots are dark: inside the mask they are darker than their surroundings.
    inside = torch.stack([(d.pixels[0][d.mask[0] > 0.5] - 0.5).mean() for d in made.defects])
    assert inside.mean() < -0.05
