"""What has to hold for every flaw family, whatever it paints."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.families import ANYWHERE, FAMILIES, Context
from synth.families.base import select
from synth.families.plain import from_plain, to_plain
from synth.families.scratch import Scratch

SIZES = [(64, 64), (48, 160), (8, 9)]

family_names = pytest.mark.parametrize("name", sorted(ANYWHERE))


def good_parts(count: int, channels: int, size: tuple[int, int], seed: int = 1) -> Tensor:
    """Grainy plates on 8-bit levels."""
    grain = torch.rand(count, channels, *size, generator=Generator().manual_seed(seed))
    return ((0.35 + 0.3 * grain) * 255).round() / 255


def disc(count: int, size: tuple[int, int]) -> Tensor:
    y, x = torch.meshgrid(torch.linspace(-1, 1, size[0]), torch.linspace(-1, 1, size[1]), indexing="ij")
    return (x * x + y * y < 0.5).float().expand(count, 1, *size)


def drawn(name: str, count: int = 8, seed: int = 0):
    return FAMILIES[name]().draw(Generator().manual_seed(seed), count)


@family_names
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_mask_is_exactly_where_the_image_visibly_changed(name: str, channels: int, size: tuple[int, int]) -> None:
    images = good_parts(8, channels, size)
    before = images.clone()
    context = Context(sources=good_parts(3, channels, (40, 50), seed=2))
    flawed, masks = FAMILIES[name]().apply(images, drawn(name), context)
    levels = (flawed * 255).round().int() - (before * 255).round().int()
    assert torch.equal(images, before)
    assert torch.equal(masks.bool(), levels.abs().amax(dim=1, keepdim=True) >= 3)
    assert masks.shape == (8, 1, *size)
    assert flawed.shape == images.shape
    assert flawed.dtype == masks.dtype == images.dtype
    assert flawed.min() >= 0
    assert flawed.max() <= 1


@family_names
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masks_of_16_bit_pictures_are_seen_on_their_levels(name: str, dtype: torch.dtype) -> None:
    images = (good_parts(8, 1, (64, 64)).to(dtype) * 65535 + 7).round() / 65535
    flawed, masks = FAMILIES[name]().apply(images, drawn(name), Context(depth=16))
    levels = (flawed * 65535).round().int() - (images * 65535).round().int()
    assert torch.equal(masks.bool(), levels.abs() >= 3 * 257)
    assert masks.any()


@family_names
def test_a_large_picture_has_the_same_flaw_and_only_there(name: str) -> None:
    parameters = FAMILIES[name]().draw(Generator().manual_seed(7), 1, torch.tensor([0.7]))
    shares = []
    for side in (128, 1024):
        across = torch.linspace(-1, 1, side)
        # Patches that take on the light around them are seen by their structure.
        images = torch.full((1, 1, side, side), 0.5) + 0.1 * across + 0.06 * (25 * across).sin()
        flawed, masks = FAMILIES[name]().apply(images, parameters)
        assert torch.equal(masks.bool(), ((flawed * 255).round() - (images * 255).round()).abs() >= 3)
        shares.append(float(masks.mean()))
    assert 0 < shares[0] < 1
    assert 0.4 < shares[1] / shares[0] < 2.5


@family_names
@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    severity=st.floats(0, 1, width=32),
    size=st.tuples(st.integers(8, 70), st.integers(8, 70)),
    channels=st.sampled_from([1, 3]),
    others=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    contrast=st.sampled_from([0.3, 1.0]),
)
def test_any_drawn_flaw_keeps_to_range_and_foreground_and_its_mask_is_the_change(
    name: str,
    seed: int,
    severity: float,
    size: tuple[int, int],
    channels: int,
    others: bool,
    dtype: torch.dtype,
    contrast: float,
) -> None:
    # Up to black and white, where what is painted would leave the range.
    images = ((good_parts(3, channels, size, seed=seed).to(dtype) - 0.5) * (contrast / 0.3) + 0.5).clamp(0, 1)
    before = images.clone()
    foreground, sources = disc(3, size), good_parts(2, channels, size, seed=seed + 1).to(dtype) if others else None
    parameters = FAMILIES[name]().draw(Generator().manual_seed(seed), 3, torch.full((3,), severity))
    flawed, masks = FAMILIES[name]().apply(images, parameters, Context(foreground, sources))
    assert torch.equal(images, before)
    assert flawed.shape == images.shape
    assert flawed.dtype == masks.dtype == images.dtype
    assert torch.isfinite(flawed).all()
    assert flawed.min() >= 0
    assert flawed.max() <= 1
    assert torch.equal(torch.where(foreground > 0, images, flawed), images)
    changed = ((flawed * 255).round() - (images * 255).round()).abs().amax(dim=1, keepdim=True) >= 3
    assert torch.equal(masks.bool(), changed)
    assert not (masks * (1 - foreground)).any()


@family_names
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_on_pictures_of_black_and_white_alone_flaws_stay_in_range(name: str, dtype: torch.dtype) -> None:
    images = torch.rand(8, 1, 64, 64, generator=Generator().manual_seed(1), dtype=dtype).round() * 0.98 + 0.01
    parameters = FAMILIES[name]().draw(Generator().manual_seed(0), 8, torch.ones(8))
    flawed, masks = FAMILIES[name]().apply(images, parameters, Context(sources=images[:4]))
    assert flawed.min() >= 0
    assert flawed.max() <= 1
    assert masks.any()


@family_names
def test_one_seed_gives_one_set_of_flaws(name: str) -> None:
    first, same, other = drawn(name, seed=3), drawn(name, seed=3), drawn(name, seed=4)
    for field in fields(first):
        assert np.array_equal(getattr(first, field.name), getattr(same, field.name))
    assert any(not np.array_equal(getattr(first, f.name), getattr(other, f.name)) for f in fields(first))
    images = good_parts(8, 1, (64, 64))
    assert torch.equal(FAMILIES[name]().apply(images, first)[0], FAMILIES[name]().apply(images, same)[0])


@family_names
def test_a_batch_is_its_images_one_by_one(name: str) -> None:
    images, parameters = good_parts(8, 1, (72, 56)), drawn(name)
    context = Context(disc(8, (72, 56)), good_parts(3, 1, (72, 56), seed=2))
    flawed, masks = FAMILIES[name]().apply(images, parameters, context)
    for i in range(8):
        alone = Context(context.foreground[i : i + 1], context.sources)
        one, mask = FAMILIES[name]().apply(images[i : i + 1], select(parameters, [i]), alone)
        torch.testing.assert_close(one[0], flawed[i], rtol=0, atol=1e-5)
        assert torch.equal(mask[0], masks[i])


@family_names
def test_parameters_survive_being_written_down(name: str) -> None:
    parameters = drawn(name)
    rows = [to_plain(parameters, row) for row in range(8)]
    again = from_plain(type(parameters), rows)
    for field in fields(parameters):
        assert np.array_equal(getattr(parameters, field.name), getattr(again, field.name))
        assert getattr(parameters, field.name).dtype == getattr(again, field.name).dtype


@family_names
@pytest.mark.parametrize("level", [0.02, 0.5, 0.98])
def test_flaws_can_be_seen_on_parts_of_any_brightness(name: str, level: float) -> None:
    grain = 0.03 * torch.randn(64, 1, 96, 96, generator=Generator().manual_seed(5))
    sources = good_parts(8, 1, (96, 96), seed=2)
    _, masks = FAMILIES[name]().apply((level + grain).clamp(0, 1), drawn(name, 64), Context(sources=sources))
    seen = (masks.flatten(1).sum(1) > 0).float().mean()
    # What multiplies light leaves black parts black.
    assert seen > (0.9 if name not in ("uneven", "ripple") or level > 0.1 else 0.3)


@family_names
def test_flaws_come_small_and_large_and_mostly_spare_part_of_the_image(name: str) -> None:
    _, masks = FAMILIES[name]().apply(good_parts(64, 1, (128, 128)), drawn(name, 64))
    shares = masks.flatten(1).mean(1)
    assert shares.median() < 0.6
    assert shares.quantile(0.9) > 3 * shares.quantile(0.1)


@family_names
def test_flaws_land_on_a_part_that_is_small_in_its_image(name: str) -> None:
    foreground = torch.zeros(32, 1, 96, 96)
    foreground[..., 10:34, 60:84] = 1
    _, masks = FAMILIES[name]().apply(good_parts(32, 1, (96, 96)), drawn(name, 32), Context(foreground))
    # Unevenness is patchy: a small part can lie between its patches.
    assert (masks.flatten(1).sum(1) > 0).float().mean() > (0.75 if name == "uneven" else 0.85)


@family_names
def test_one_empty_foreground_of_a_batch_is_refused(name: str) -> None:
    foreground = torch.ones(3, 1, 16, 16)
    foreground[1] = 0
    with pytest.raises(SynthError, match="image 1 is empty"):
        FAMILIES[name]().apply(good_parts(3, 1, (16, 16)), drawn(name, 3), Context(foreground))


@family_names
@pytest.mark.parametrize(
    ("images", "context", "says"),
    [
        (torch.rand(1, 1, 1, 1), Context(), "too small"),
        (torch.rand(1, 1, 40, 7), Context(), "too small"),
        (torch.rand(1, 2, 16, 16), Context(), "1 or 3 channels"),
        (torch.rand(1, 16, 16), Context(), "1 or 3 channels"),
        (torch.rand(0, 1, 16, 16), Context(), "1 or 3 channels"),
        (torch.zeros(1, 1, 16, 16, dtype=torch.uint8), Context(), "floating point"),
        (torch.full((1, 1, 16, 16), 255.0), Context(), "0..1"),
        (torch.full((1, 1, 16, 16), float("nan")), Context(), "0..1"),
        (torch.full((1, 1, 16, 16), -0.1, dtype=torch.float64), Context(), "0..1"),
        (torch.rand(1, 1, 16, 16), Context(torch.zeros(1, 1, 16, 16)), "image 0 is empty"),
        (torch.rand(1, 1, 16, 16), Context(torch.ones(1, 1, 8, 16)), "does not fit"),
        (torch.rand(1, 1, 16, 16), Context(sources=torch.rand(2, 3, 16, 16)), "channels"),
    ],
)
def test_what_cannot_be_flawed_is_refused(name: str, images: Tensor, context: Context, says: str) -> None:
    with pytest.raises(SynthError, match=says):
        FAMILIES[name]().apply(images, drawn(name, 1), context)


def test_parameters_with_other_names_are_refused() -> None:
    row = to_plain(drawn("crack"), 0)
    del row["width"]
    with pytest.raises(SynthError, match="CrackParameters need"):
        from_plain(type(drawn("crack")), [row])


@family_names
def test_painting_by_tiles_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images, parameters = good_parts(6, 3, (150, 170)), drawn(name, 6)
    context = Context(disc(6, (150, 170)), good_parts(3, 3, (60, 60), seed=2))
    whole, _ = FAMILIES[name]().apply(images, parameters, context)
    monkeypatch.setattr("synth.windows._TILE", 50)
    tiled, _ = FAMILIES[name]().apply(images, parameters, context)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-4)


@family_names
def test_greater_severity_is_seen_more(name: str) -> None:
    images, sources = good_parts(96, 1, (96, 96)), good_parts(8, 1, (96, 96), seed=2)
    seen = []
    for severity in (0.0, 0.5, 1.0):
        parameters = FAMILIES[name]().draw(Generator().manual_seed(0), 96, torch.full((96,), severity))
        flawed, _ = FAMILIES[name]().apply(images, parameters, Context(sources=sources))
        seen.append(float((flawed - images).abs().sum(dim=(1, 2, 3)).median()))
    assert seen[0] < seen[1] < seen[2]
    assert seen[2] > 3 * seen[0]


@pytest.mark.parametrize("name", ["bite", "blob", "contamination", "crack", "scratch", "spall", "stain"])
def test_bright_flaws_do_not_run_into_white(name: str) -> None:
    images = good_parts(64, 1, (128, 128))
    flawed, masks = FAMILIES[name]().apply(
        images, FAMILIES[name]().draw(Generator().manual_seed(0), 64, torch.ones(64))
    )
    assert (flawed[masks > 0] > 253 / 255).float().mean() < 0.01


@pytest.mark.parametrize("level", [0.1, 0.3, 0.4])
def test_what_bites_lay_bare_is_of_the_parts_own_tones(level: float) -> None:
    images = torch.full((64, 1, 128, 128), level)
    bite = FAMILIES["bite"]()
    flawed, masks = bite.apply(images, bite.draw(Generator().manual_seed(0), 64, torch.ones(64)))
    assert flawed[masks > 0].quantile(0.99) < 1.65 * level + 0.1


def test_a_scratch_wanders_fades_and_is_thinner_towards_its_ends() -> None:
    scratch = Scratch()
    straight = replace(
        scratch.draw(Generator().manual_seed(0), 1, torch.ones(1)),
        **{k: np.float32([v]) for k, v in {"angle": 0, "length": 0.9, "bend": 0, "width": 0.03, "depth": -0.7}.items()},
        **{k: np.float32([v]) for k, v in {"wander": 0, "fading": 0, "burr": 0}.items()},
        middle=np.float32([[0.5, 0.5]]),
        number=np.array([1]),
    )
    images = torch.full((1, 1, 128, 128), 0.5)

    def along(**changes: float) -> tuple[np.ndarray, np.ndarray]:
        """Darkest change in each column of the groove, and the line it lies in."""
        parameters = replace(straight, **{name: np.float32([value]) for name, value in changes.items()})
        change = (images - scratch.apply(images, parameters)[0])[0, 0]
        return change.amax(dim=0)[10:118].numpy(), change.argmax(dim=0)[20:108].numpy()

    even, line = along()
    assert np.ptp(line) == 0
    assert even[:3].max() < 0.5 * even[50]
    assert np.ptp(even[30:80]) < 0.02
    assert np.ptp(along(fading=0.8)[0][30:80]) > 0.1
    assert np.ptp(along(wander=1)[1]) > 2
    assert (images - scratch.apply(images, replace(straight, burr=np.float32([0.5])))[0]).min() < -0.1


def test_a_missing_feature_is_gone_and_its_surroundings_go_on() -> None:
    grain = 0.02 * torch.randn(16, 1, 96, 96, generator=Generator().manual_seed(0))
    images = (0.7 + grain).clamp(0, 1)
    images[:, :, 44:52, 40:48] = 0.1
    parameters = FAMILIES["missing"](size=(0.12, 0.121), share=(1.0, 1.0)).draw(Generator().manual_seed(0), 16)
    # The candidates are all around the feature, so that the hole covers it.
    near = np.array([43.5, 47.5], dtype=np.float32) / 96
    held = {f.name: getattr(parameters, f.name) for f in fields(parameters)}
    held.update(candidates=np.broadcast_to(near, (16, 12, 2)), aspect=np.ones(16), roughness=np.zeros(16))
    flawed, _ = FAMILIES["missing"]().apply(images, type(parameters)(**held))
    assert flawed[:, :, 44:52, 40:48].mean() > 0.6
    assert flawed[:, :, 44:52, 40:48].std() < 0.1


def test_an_intersection_of_perlin_masks_is_smaller_and_a_union_larger() -> None:
    images = torch.full((32, 1, 96, 96), 0.5)
    parameters = drawn("perlin", 32)
    held = {f.name: getattr(parameters, f.name) for f in fields(parameters)}
    held.update(level=np.full(32, 0.1), local=np.zeros(32, dtype=bool), opacity=np.ones(32))
    held.update(content=np.zeros(32, dtype=np.int64), brightness=np.ones(32), contrast=np.zeros(32))
    masks = []
    for algebra in (1, 0, 2):
        held.update(algebra=np.full(32, algebra))
        masks.append(FAMILIES["perlin"]().apply(images, type(parameters)(**held))[1])
    intersection, single, union = masks
    assert (intersection <= single).all()
    assert (single <= union).all()
    assert intersection.mean() < 0.7 * single.mean()
    assert single.mean() < 0.8 * union.mean()


def test_perlin_shows_pictures_of_textures_where_there_are_some() -> None:
    parameters = drawn("perlin", 16)
    held = {f.name: getattr(parameters, f.name) for f in fields(parameters)}
    held.update(content=np.full(16, 2), opacity=np.ones(16))
    context = Context(textures=torch.ones(2, 1, 20, 20))
    flawed, masks = FAMILIES["perlin"]().apply(torch.full((16, 1, 64, 64), 0.3), type(parameters)(**held), context)
    assert (flawed[masks > 0] > 0.3).all()
    assert flawed.max() > 0.99
