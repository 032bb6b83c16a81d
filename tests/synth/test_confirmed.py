"""What has to hold for confirmed defects: how they are cut out, matched and blended into other parts."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve
from torch import Generator, Tensor

from synth.blending import membrane, poisson_blend
from synth.errors import SynthError
from synth.families import Confirmed, Context, Family, Poisson
from synth.families.base import select
from synth.families.plain import from_plain, to_plain
from synth.image_level import Recipe, Synthesizer
from synth.sources.defects import DefectBank, bank_in_channels, bank_of, cut_defects
from synth.sources.pasting import blend, frames, lay, surroundings
from synth.windows import Cutter, Window


def plates(count: int, channels: int = 1, side: int = 96, level: float = 0.5, grain: float = 0.02) -> Tensor:
    noise = grain * torch.randn(count, channels, side, side, generator=Generator().manual_seed(1))
    return ((level + noise).clamp(0, 1) * 255).round() / 255


def disc(side: int, radius: float, at: tuple[float, float] | None = None) -> Tensor:
    down, across = at or (side / 2, side / 2)
    y, x = torch.arange(side)[:, None] - down, torch.arange(side)[None] - across
    return x * x + y * y < radius * radius


def marked(channels: int = 1, level: float = 0.5, depth: float = -0.3, radius: float = 7) -> DefectBank:
    """One dark spot with a bright rim, in a brush a little wider than it."""
    image = plates(1, channels, level=level)[0]
    image = image + depth * disc(96, radius).float() - depth / 2 * (disc(96, radius + 2) ^ disc(96, radius)).float()
    return bank_of([cut_defects(image.clamp(0, 1), disc(96, radius + 5), name="spot", provenance="verdict 1")])


def drawn(count: int, seed: int = 0, severity: float | None = None):
    given = None if severity is None else torch.full((count,), severity)
    return Confirmed().draw(Generator().manual_seed(seed), count, given)


def exact(values: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Laplace's equation, solved by a sparse factorisation."""
    places = np.argwhere(unknown)
    index = {tuple(place): number for number, place in enumerate(places)}
    matrix, right = lil_matrix((len(places),) * 2), np.zeros(len(places))
    for number, (y, x) in enumerate(places):
        for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
            if not (0 <= near[0] < values.shape[0] and 0 <= near[1] < values.shape[1]):
                continue
            matrix[number, number] += 1
            if near in index:
                matrix[number, index[near]] -= 1
            else:
                right[number] += values[near]
    solved = values.copy()
    solved[unknown] = spsolve(matrix.tocsr(), right)
    return solved


@pytest.mark.parametrize("side", [24, 64, 90])
@pytest.mark.parametrize("shape", ["disc", "bar", "at the edge"])
def test_membrane_is_what_a_sparse_solver_finds(side: int, shape: str) -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    unknown = {"disc": disc(side, side / 3), "bar": (y.abs() < 0.1) & (x.abs() < 0.8), "at the edge": x < -0.2}[shape]
    values = 0.3 * x + 0.2 * (3 * y).sin() + 0.3 * (x > 0.2)
    found = membrane(values[None, None], unknown[None, None])[0, 0]
    assert torch.equal(found[~unknown], values[~unknown])
    off = (found - torch.from_numpy(exact(values.double().numpy(), unknown.numpy()))).abs()
    assert off.max() < 4 / 255
    assert off.mean() < 1 / 255


def test_membrane_of_large_windows_is_solved_coarser_and_nearly_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 160), torch.linspace(-1, 1, 160), indexing="ij")
    values, unknown = (0.3 * x + 0.2 * (3 * y).sin())[None, None], disc(160, 60)[None, None]
    monkeypatch.setattr("synth.blending._LARGEST", 256)
    fine = membrane(values, unknown)
    monkeypatch.setattr("synth.blending._LARGEST", 64)
    torch.testing.assert_close(membrane(values, unknown), fine, rtol=0, atol=5 / 255)


def test_membrane_of_nothing_known_is_nothing() -> None:
    assert not membrane(torch.ones(1, 1, 9, 9), torch.ones(1, 1, 9, 9, dtype=torch.bool)).any()


def test_poisson_blending_keeps_gradients_and_takes_on_light() -> None:
    texture = 0.05 * torch.randn(1, 3, 64, 64, generator=Generator().manual_seed(0))
    target = torch.full((1, 3, 64, 64), 0.7)
    inside = disc(64, 20)[None, None]
    blended = poisson_blend(target, 0.2 + texture, inside)
    assert torch.equal(blended[~inside.expand(-1, 3, -1, -1)], target[~inside.expand(-1, 3, -1, -1)])
    core = disc(64, 15).expand(1, 3, -1, -1)
    assert (blended - 0.7 - texture)[core].std() < 0.03
    assert blended[core].mean() == pytest.approx(0.7, abs=0.03)


def test_what_is_cut_is_the_defect_and_not_the_whole_brush() -> None:
    (defect,) = marked().defects
    assert defect.light.item() == pytest.approx(0.5, abs=0.01)
    assert defect.contrast.item() == pytest.approx(0.02, rel=0.3)
    assert defect.grain == pytest.approx(1.0, abs=0.3)
    assert defect.side == 96
    found = int((defect.mask > 0.5).sum())
    assert int(disc(96, 9).sum()) * 0.9 < found < int(disc(96, 12).sum())
    assert defect.mask[0, [0, -1]].max() == 0


def test_a_defect_that_only_an_inspector_sees_keeps_the_brush() -> None:
    (defect,) = cut_defects(plates(1)[0], disc(96, 10), name="a")
    assert (defect.mask > 0.5).sum() >= disc(96, 10).sum()


def test_regions_apart_are_defects_of_their_own_and_gaps_are_bridged() -> None:
    mask = disc(96, 5, (20, 20)) | disc(96, 6, (70, 60))
    crack = torch.zeros(96, 96, dtype=torch.bool)
    crack[40, 10:40] = True
    crack[40, 22:25] = False
    found = cut_defects(plates(1)[0], mask | crack, name="a")
    assert [defect.name for defect in found] == ["a-0", "a-1", "a-2"]


@pytest.mark.parametrize("mask", [disc(96, 1), torch.ones(96, 96, dtype=torch.bool), torch.zeros(96, 96).bool()])
def test_what_has_no_surroundings_or_hardly_a_pixel_is_left_out(mask: Tensor) -> None:
    assert len(cut_defects(plates(1)[0], mask, name="a")) == int(mask.sum() == 4)


def test_light_that_changes_slowly_is_taken_out() -> None:
    ramp = torch.linspace(0.2, 0.8, 96).expand(1, 96, 96)
    (defect,) = cut_defects(ramp - 0.15 * disc(96, 8), disc(96, 8), name="a")
    around = defect.pixels[0][defect.mask[0] == 0]
    assert around.std() < 0.03
    assert (defect.light - defect.pixels)[0][defect.mask[0] > 0.99].mean() == pytest.approx(0.15, abs=0.04)


def test_a_chip_out_of_the_border_is_darker_than_the_part_and_not_than_the_background() -> None:
    image = torch.full((1, 96, 96), 0.05)
    part = torch.zeros(96, 96, dtype=torch.bool)
    part[20:, 20:] = True
    chip = disc(96, 10, (22, 22))
    image[0, part & ~chip] = 0.6
    (defect,) = cut_defects(image, chip, part, name="a")
    assert defect.light.item() == pytest.approx(0.6, abs=0.01)


def test_banks_refuse_what_does_not_fit() -> None:
    grey, colour = marked(1), marked(3)
    with pytest.raises(SynthError, match="grey defects or coloured"):
        grey + DefectBank(tuple(replace(d, name="other") for d in colour.defects))
    with pytest.raises(SynthError, match="same name"):
        grey + grey
    with pytest.raises(SynthError, match="does not fit the image"):
        cut_defects(plates(1)[0], disc(95, 4), name="a")
    with pytest.raises(SynthError, match="use `DefectBank"):
        Confirmed().apply(plates(1, 3), drawn(1), Context(defects=grey))
    with pytest.raises(SynthError, match="needs confirmed defects"):
        Confirmed().apply(plates(1), drawn(1))
    assert (grey.fitted(3, 96) + DefectBank(tuple(replace(d, name="o") for d in colour.defects))).channels == 3


def test_a_defect_keeps_its_share_of_the_part_at_another_resolution() -> None:
    bank = marked()
    half = bank.fitted(1, 48)
    assert half.defects[0].side == 48
    assert bank.fitted(1, 48, zoom=2).defects[0].pixels.shape == bank.defects[0].pixels.shape
    assert bank.fitted(1, 48, zoom=2).defects[0].side == 48
    area = [float((b.defects[0].mask > 0.5).sum()) for b in (bank, half)]
    assert area[0] / area[1] == pytest.approx(4, rel=0.3)
    parameters = replace(drawn(8, severity=0.8), scale=np.ones(8), stretch=np.ones(8), bend=np.zeros(8))
    shares = []
    for side in (96, 192):
        _, masks = Confirmed().apply(plates(8, side=side), parameters, Context(defects=bank))
        shares.append(masks.mean(dim=(1, 2, 3)))
    torch.testing.assert_close(shares[0], shares[1], rtol=0.35, atol=0.01)


@pytest.mark.parametrize("side", [96, 140, 200])
def test_a_bank_as_it_was_cut_paints_what_one_of_the_pictures_size_does(side: int) -> None:
    bank = marked()
    images, parameters = plates(6, channels=3, side=side), drawn(6, severity=0.8)
    own = bank_in_channels(bank, 3)
    assert [defect.side for defect in own.defects] == [defect.side for defect in bank.defects]
    pixels, masks = Confirmed().apply(images, parameters, Context(defects=own))
    fitted, fitted_masks = Confirmed().apply(images, parameters, Context(defects=bank.fitted(3, side)))
    assert torch.equal(pixels, fitted)
    assert torch.equal(masks, fitted_masks)
    assert masks.any()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    channels=st.sampled_from([1, 3]),
    level=st.floats(0.05, 0.95),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_mask_is_the_change_and_lies_on_the_part(seed: int, channels: int, level: float, dtype: torch.dtype) -> None:
    images = plates(4, channels, level=level, grain=0.1).to(dtype)
    before = images.clone()
    foreground = disc(96, 30).float().expand(4, 1, -1, -1)
    flawed, masks = Confirmed().apply(images, drawn(4, seed), Context(foreground, defects=marked(channels)))
    assert torch.equal(images, before)
    assert flawed.shape == images.shape
    assert flawed.dtype == masks.dtype == dtype
    levels = (flawed * 255).round() - (images * 255).round()
    assert torch.equal(masks > 0, levels.abs().amax(dim=1, keepdim=True) >= 3)
    assert not (masks * (1 - foreground)).any()
    assert torch.equal(torch.where(foreground > 0, images, flawed), images)
    assert flawed.min() >= 0
    assert flawed.max() <= 1


@pytest.mark.parametrize(
    ("size", "foreground", "says"),
    [((1, 1), None, "too small"), ((40, 7), None, "too small"), ((16, 16), torch.zeros(1, 1, 16, 16), "empty")],
)
def test_what_no_defect_can_be_laid_on_is_refused(size: tuple[int, int], foreground: Tensor | None, says: str) -> None:
    with pytest.raises(SynthError, match=says):
        Confirmed().apply(torch.rand(1, 1, *size), drawn(1), Context(foreground, defects=marked()))


def test_one_seed_is_one_flaw_and_a_batch_is_its_images_one_by_one() -> None:
    images, bank = plates(12, side=110), marked() + renamed(marked(depth=0.3), "bright") + shorter(marked())
    parameters = drawn(12, seed=3)
    context = Context(disc(110, 45).float().expand(12, 1, -1, -1), defects=bank)
    flawed, masks = Confirmed().apply(images, parameters, context)
    assert torch.equal(flawed, Confirmed().apply(images, drawn(12, seed=3), context)[0])
    for row in range(12):
        alone = replace(context, foreground=context.foreground[row : row + 1])
        one, mask = Confirmed().apply(images[row : row + 1], select(parameters, [row]), alone)
        torch.testing.assert_close(one[0], flawed[row], rtol=0, atol=1e-5)
        assert (mask[0] != masks[row]).sum() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_rounding_decides_nothing_where_a_defect_is_laid_straight(channels: int) -> None:
    """Its mask ends on whole pixels then: whether one there is 0 is a matter of the last digit."""
    ones = np.ones(8)
    parameters = replace(drawn(8), scale=ones, stretch=ones, bend=0 * ones, angle=0 * ones, centre=np.full((8, 2), 0.5))
    images, context = plates(8, channels), Context(defects=marked(channels) + shorter(marked(channels)))
    single, masks = Confirmed().apply(images, parameters, context)
    double, precise = Confirmed().apply(images.double(), parameters, context)
    torch.testing.assert_close(single.double(), double, rtol=0, atol=0.1 / 255)
    assert (masks != precise).sum() <= 1


def shorter(bank: DefectBank) -> DefectBank:
    """Lengths that are even where they were odd: in a frame with the longer ones they do not lie in the middle."""
    cut = (replace(d, pixels=d.pixels[:, 1:, 3:], mask=d.mask[:, 1:, 3:]) for d in bank.defects)
    return renamed(DefectBank(tuple(cut)), "shorter")


def renamed(bank: DefectBank, name: str) -> DefectBank:
    return DefectBank(tuple(replace(defect, name=f"{name}-{i}") for i, defect in enumerate(bank.defects)))


def test_parameters_survive_being_written_down() -> None:
    parameters = drawn(5)
    again = from_plain(type(parameters), [to_plain(parameters, row) for row in range(5)])
    for field in fields(parameters):
        assert np.array_equal(getattr(parameters, field.name), getattr(again, field.name))


def test_one_confirmed_defect_gives_hundreds() -> None:
    """Laid on one and the same part in the same place, no two of 200 are alike."""
    parameters = replace(drawn(200), centre=np.full((200, 2), 0.5))
    flawed, masks = Confirmed().apply(plates(1, grain=0).expand(200, -1, -1, -1), parameters, Context(defects=marked()))
    assert (masks.sum(dim=(1, 2, 3)) > 0).float().mean() > 0.95
    apart = torch.cdist(flawed.flatten(1), flawed.flatten(1)) + 9 * torch.eye(200)
    assert apart.min() > 3 / 255


def test_greater_severity_is_seen_more() -> None:
    seen = []
    for severity in (0.0, 0.5, 1.0):
        images = plates(64)
        flawed, _ = Confirmed().apply(images, drawn(64, severity=severity), Context(defects=marked()))
        seen.append(float((flawed - images).abs().sum(dim=(1, 2, 3)).median()))
    assert seen[0] < seen[1] < seen[2]
    assert seen[2] > 3 * seen[0]


@pytest.mark.parametrize("level", [0.15, 0.5, 0.85])
def test_light_and_contrast_are_matched(level: float) -> None:
    """A spot that took three fifths of the light takes three fifths anywhere, and its rim keeps no edge."""
    bank = marked(depth=-0.3, level=0.5)
    parameters = drawn(1)
    parameters = replace(parameters, scale=np.ones(1), stretch=np.ones(1), bend=np.zeros(1), strength=np.ones(1))
    images = plates(1, level=level, grain=0.01)
    x = (torch.arange(96).float() - 48)[None, None, None, :]
    laid = lay(frames(bank, parameters, 96, images), parameters, x, x.mT, torch.ones(1))
    painted = blend(images, laid, parameters.strength, torch.ones(1, 1, 96, 96))
    middle = painted[0, 0][disc(96, 4)].mean()
    assert middle / level == pytest.approx(0.4, abs=0.06)
    assert torch.equal(painted[laid.masks == 0], images[laid.masks == 0])
    light, contrast = surroundings(images, laid.masks, torch.ones(1, 1, 96, 96))
    assert light.item() == pytest.approx(level, abs=0.01)
    assert contrast.item() == pytest.approx(0.01, rel=0.3)


def test_a_tiny_part_and_a_defect_larger_than_it_can_be_painted() -> None:
    foreground = torch.zeros(4, 1, 96, 96)
    foreground[..., 40:43, 50:52] = 1
    flawed, masks = Confirmed().apply(plates(4), drawn(4, severity=1.0), Context(foreground, defects=marked()))
    assert torch.isfinite(flawed).all()
    assert not (masks * (1 - foreground)).any()
    small, _ = Confirmed().apply(plates(4, side=8), drawn(4), Context(defects=marked()))
    assert torch.isfinite(small).all()


def test_poisson_patches_take_their_light_from_the_part_alone() -> None:
    images, foreground = plates(12), disc(96, 30).float().expand(12, 1, -1, -1)
    elsewhere = torch.where(foreground > 0, images, 0.95)
    parameters = Poisson().draw(Generator().manual_seed(0), 12, torch.full((12,), 0.8))
    found = [Poisson().apply(one, parameters, Context(foreground, plates(4, level=0.3))) for one in (images, elsewhere)]
    (pixels, masks), (others, same) = found
    assert masks.flatten(1).any(dim=1).all()
    assert torch.equal(masks, same)
    assert torch.equal(pixels * foreground, others * foreground)


def test_of_a_soft_foreground_what_is_more_likely_part_than_not_counts() -> None:
    images, foreground = plates(4), disc(96, 30).float().expand(4, 1, -1, -1)
    context = Context(foreground, defects=marked())
    expected = Confirmed().apply(images, drawn(4), context)
    found = Confirmed().apply(images, drawn(4), replace(context, foreground=(0.2 + 0.4 * foreground)))
    assert torch.equal(found[0], expected[0])
    with pytest.raises(SynthError, match="is empty"):
        Confirmed().apply(images, drawn(4), replace(context, foreground=0.5 * foreground))


@pytest.mark.parametrize("family", [Confirmed(), Poisson()], ids=lambda family: family.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("part", [None, disc(96, 40)])
def test_large_flaws_are_painted_by_pieces_as_they_would_be_whole(
    family: Family[Any], dtype: torch.dtype, part: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without grain of its own, whose size is measured where the pieces are and not all over the window.
    images = (plates(8, 3, grain=0) + 0.2 * torch.linspace(-1, 1, 96)).to(dtype)
    # Several reach further than a piece.
    parameters = family.draw(Generator().manual_seed(4), 8)
    foreground = None if part is None else part.float().expand(8, 1, -1, -1)
    context = Context(foreground, images.flip(0), defects=marked(3))
    whole, masks = family.apply(images, parameters, context)
    monkeypatch.setattr("synth.families.base.LARGEST", 32)
    monkeypatch.setattr("synth.pieces._PIECE", 16)
    pieced, seen = family.apply(images, parameters, context)
    assert not torch.equal(pieced, whole)
    torch.testing.assert_close(pieced, whole, rtol=0, atol=1 / 255)
    assert (seen != masks).sum() < 0.05 * masks.sum()
    assert torch.equal(family.apply(images, parameters, context)[0], pieced)
    alone = replace(context, foreground=None if foreground is None else foreground[5:6])
    assert torch.equal(family.apply(images[5:6], select(parameters, [5]), alone)[0][0], pieced[5])


@pytest.mark.parametrize("family", [Confirmed(), Poisson()], ids=lambda family: family.name)
def test_a_large_flaw_is_never_held_as_a_whole(family: Family[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    images, held = plates(1, side=900), []
    cut = Cutter.window

    def watched(self: Cutter, boxes: list[list[int]]) -> Window:
        window = cut(self, boxes)
        held.append(window.images.numel())
        return window

    monkeypatch.setattr(Cutter, "window", watched)
    parameters = family.draw(Generator().manual_seed(1), 1, torch.ones(1))
    _, masks = family.apply(images, parameters, Context(sources=images, defects=marked(radius=12)))
    assert masks.sum() > 20_000
    assert max(held) <= 280**2


def test_recipes_draw_confirmed_defects_only_where_they_are_asked_for() -> None:
    assert "confirmed" not in Synthesizer().families
    synthesizer = Synthesizer(["confirmed", "blob"])
    recipe = synthesizer.draw(Generator().manual_seed(0), 6)
    images, context = plates(6), Context(defects=marked())
    flawed, _ = synthesizer.apply(images, recipe, context)
    again, _ = synthesizer.apply(images, Recipe.from_flaws(recipe.flaws(), 6), context)
    assert {flaw.family for flaw in recipe.flaws()} == {"confirmed", "blob"}
    assert torch.equal(flawed, again)
