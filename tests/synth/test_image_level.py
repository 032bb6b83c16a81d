import pytest
import torch
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.families import FAMILIES, Context
from synth.image_level import Flaw, Recipe, Synthesizer


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
        torch.testing.assert_close(one[0], flawed[i], rtol=0, atol=1e-6)
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
    assert {flaw.family for flaw in recipe(64).flaws()} == set(FAMILIES)


def test_nearly_every_image_is_visibly_flawed() -> None:
    _, masks = Synthesizer.apply(grey(128), recipe(128))
    assert (masks.flatten(1).sum(1) > 0).float().mean() > 0.95


def test_flaws_stay_on_the_part() -> None:
    foreground = torch.zeros(16, 1, 64, 80)
    foreground[:, :, 20:50, 10:30] = 1
    flawed, masks = Synthesizer.apply(grey(16), recipe(), Context(foreground))
    assert not (masks * (1 - foreground)).any()
    assert torch.equal(flawed * (1 - foreground), grey(16) * (1 - foreground))


@pytest.mark.parametrize("options", [{"families": ["dent"]}, {"families": []}, {"flaws_per_image": (0, 2)}])
def test_impossible_choices_are_refused(options: dict) -> None:
    with pytest.raises(SynthError):
        Synthesizer(**options)


def test_a_recipe_for_other_images_is_refused() -> None:
    with pytest.raises(SynthError, match="for 16 images"):
        Synthesizer.apply(grey(8), recipe(16))
    with pytest.raises(SynthError, match="image 3"):
        Recipe.from_flaws([Flaw(3, 0, "crack", {})], 2)
