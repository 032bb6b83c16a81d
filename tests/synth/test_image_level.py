import pytest
import torch
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.families import ANYWHERE, FAMILIES, Context
from synth.image_level import Flaw, Odds, Recipe, Synthesizer


def grey(count: int, size: tuple[int, int] = (64, 80)) -> Tensor:
    return 0.35 + 0.3 * torch.rand(count, 1, *size, generator=Generator().manual_seed(1))


def recipe(count: int = 16, seed: int = 0, **options) -> Recipe:
    return Synthesizer(**options).draw(Generator().manual_seed(seed), count)


def test_mask_is_the_difference_between_before_and_after() -> None:
    images = grey(16)
    before = images.clone()
    flawed, masks = Synthesizer.apply(images, recipe(), Context(sources=grey(4)))
    changed = ((flawed * 255).round() - (before * 255).round()).abs() >= 3
    assert torch.equal(images, before)
    assert torch.equal(masks.bool(), changed)


def test_same_recipe_same_pixels() -> None:
    images = grey(16)
    assert torch.equal(Synthesizer.apply(images, recipe())[0], Synthesizer.apply(images, recipe())[0])
    assert not torch.equal(Synthesizer.apply(images, recipe())[0], Synthesizer.apply(images, recipe(seed=1))[0])


def test_a_batch_is_its_images_one_by_one() -> None:
    images, context = grey(16), Context(sources=grey(4))
    flawed, masks = Synthesizer.apply(images, recipe(), context)
    for i in range(16):
        one, mask = Synthesizer.apply(images[i : i + 1], recipe().of_image(i), context)
        torch.testing.assert_close(one[0], flawed[i], rtol=0, atol=1e-5)
        assert torch.equal(mask[0], masks[i])


def test_a_recipe_survives_being_plain_data() -> None:
    images, first = grey(16), recipe()
    again = Recipe.from_flaws(first.flaws(), 16)
    assert again.flaws() == first.flaws()
    assert torch.equal(Synthesizer.apply(images, first)[0], Synthesizer.apply(images, again)[0])


def test_every_image_gets_as_many_flaws_as_asked_of_the_families_asked() -> None:
    flaws = recipe(64, families=["crack", "bite"], flaws_per_image=(2, 3)).flaws()
    numbers = [sum(flaw.image == i for flaw in flaws) for i in range(64)]
    assert set(numbers) == {2, 3}
    assert {flaw.family for flaw in flaws} == {"crack", "bite"}
    assert {flaw.family for flaw in recipe(64).flaws()} == set(ANYWHERE)


def test_nearly_every_image_is_visibly_flawed() -> None:
    _, masks = Synthesizer.apply(grey(128), recipe(128))
    assert (masks.flatten(1).sum(1) > 0).float().mean() > 0.95


def test_flaws_stay_on_the_part() -> None:
    foreground = torch.zeros(16, 1, 64, 80)
    foreground[:, :, 20:50, 10:30] = 1
    flawed, masks = Synthesizer.apply(grey(16), recipe(), Context(foreground))
    assert not (masks * (1 - foreground)).any()
    assert torch.equal(flawed * (1 - foreground), grey(16) * (1 - foreground))


@pytest.mark.parametrize(
    "options",
    [
        {"families": ["dint"]},
        {"families": []},
        {"families": ["crack", "crack"]},
        {"flaws_per_image": (0, 2)},
        {"severity": (0.5, 0.2)},
        {"odds": Odds({"crack": (1,)})},
    ],
)
def test_impossible_choices_are_refused(options: dict) -> None:
    with pytest.raises(SynthError):
        Synthesizer(**options)


def test_a_recipe_for_other_images_is_refused() -> None:
    with pytest.raises(SynthError, match="for 16 images"):
        Synthesizer.apply(grey(8), recipe(16))
    with pytest.raises(SynthError, match="image 3"):
        Recipe.from_flaws([Flaw(3, 0, "crack", {})], 2)


def test_odds_say_what_is_drawn() -> None:
    odds = Odds({"crack": (0, 0, 1), "blob": (0, 0, 3), "bite": (0, 0, 0)})
    flaws = recipe(300, families=["crack", "blob", "bite"], odds=odds).flaws()
    assert {flaw.family for flaw in flaws} == {"crack", "blob"}
    assert all(2 / 3 <= flaw.parameters["severity"] <= 1 for flaw in flaws)
    assert 0.65 < sum(flaw.family == "blob" for flaw in flaws) / len(flaws) < 0.85


def test_severities_lie_in_the_range_asked_for() -> None:
    severities = [flaw.parameters["severity"] for flaw in recipe(200, severity=(0.3, 0.5)).flaws()]
    assert min(severities) >= 0.3
    assert max(severities) <= 0.5
    assert max(severities) - min(severities) > 0.15


@pytest.mark.parametrize(
    "table",
    [{}, {"crack": ()}, {"crack": (1,), "blob": (1, 2)}, {"crack": (0,)}, {"crack": (-1,)}, {"crack": (float("nan"),)}],
)
def test_impossible_odds_are_refused(table: dict) -> None:
    with pytest.raises(SynthError):
        Odds(table)


@pytest.mark.parametrize(("family", "name"), [("crack", "depth"), ("blob", "depth"), ("stain", "density")])
def test_families_can_be_given_with_ranges_of_their_own(family: str, name: str) -> None:
    flaws = recipe(50, families=["scratch", FAMILIES[family](**{name: (0.2, 0.21)})]).flaws()
    drawn = [flaw.parameters[name] for flaw in flaws if flaw.family == family]
    assert min(drawn) < 0 < max(drawn)
    assert min(map(abs, drawn)) >= 0.199
    assert max(map(abs, drawn)) <= 0.211


def test_flawed_images_and_masks_can_be_trained_on() -> None:
    synthesizer = Synthesizer(["perlin"])
    images = torch.rand(2, 3, 32, 32, generator=Generator().manual_seed(0))
    flawed, masks = synthesizer.apply(images, synthesizer.draw(Generator().manual_seed(0), 2))
    weight = torch.ones(1, 3, 1, 1, requires_grad=True)
    (torch.nn.functional.conv2d(flawed, weight) * masks).sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0
