import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.errors import SynthError
from synth.foreground import LEAST_TRUST, foreground


def grid(height: int, width: int) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return y, x


def noise(shape: tuple[int, ...], amount: float = 0.02) -> Tensor:
    return amount * torch.randn(shape, generator=Generator().manual_seed(0))


def discs(
    part: float, background: float, channels: int = 1, height: int = 96, width: int = 96
) -> tuple[Tensor, Tensor]:
    y, x = grid(height, width)
    inside = (x * x + y * y < 0.4).float()[None, None]
    plain = background + (part - background) * inside
    return (plain + noise((1, channels, height, width))).clamp(0, 1), inside


def overlap(masks: Tensor, inside: Tensor) -> float:
    return float((masks * inside).sum() / torch.maximum(masks, inside).sum())


@pytest.mark.parametrize(("part", "background"), [(0.7, 0.1), (0.2, 0.9), (0.62, 0.4)])
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 96, 96), (3, 96, 96), (1, 500, 300), (3, 64, 200)])
def test_a_part_on_a_plain_background_is_found(
    part: float, background: float, channels: int, height: int, width: int
) -> None:
    images, inside = discs(part, background, channels, height, width)
    masks, trust = foreground(images)
    assert overlap(masks, inside) > 0.9
    assert trust.item() > 0.9


def test_holes_belong_to_the_part() -> None:
    images, _ = discs(0.7, 0.1)
    images[..., 44:52, 44:52] = 0.1
    masks, _ = foreground(images)
    assert masks[..., 44:52, 44:52].all()
    assert not masks[..., :5, :5].any()


def test_light_that_falls_off_is_no_part() -> None:
    images, inside = discs(0.8, 0.3)
    y, x = grid(96, 96)
    lit = (images + 0.15 * x + 0.1 * y).clamp(0, 1)
    masks, trust = foreground(lit)
    assert overlap(masks, inside) > 0.9
    assert trust.item() > 0.9


def test_a_part_that_reaches_the_border_is_trusted_less() -> None:
    y, x = grid(96, 96)
    inside = ((x.abs() < 0.35) & (y > -0.5)).float()[None, None]
    images = 0.2 + 0.5 * inside + noise((1, 1, 96, 96))
    masks, trust = foreground(images)
    assert overlap(masks, inside) > 0.9
    assert LEAST_TRUST < trust.item() < 0.95


def test_a_part_is_told_by_its_colour_alone() -> None:
    _, inside = discs(0.7, 0.1)
    grey = torch.full((1, 3, 96, 96), 0.5)
    red = torch.tensor([0.8, 0.4, 0.3])[None, :, None, None]
    masks, trust = foreground(torch.where(inside > 0, red, grey))
    assert overlap(masks, inside) > 0.9
    assert trust.item() > 0.9


@pytest.mark.parametrize("fill", ["dark texture", "bright texture", "plain", "soft spot", "two halves"])
def test_where_there_is_no_part_the_whole_image_is_taken_and_said_so(fill: str) -> None:
    y, x = grid(64, 64)
    texture = torch.rand(1, 1, 64, 64, generator=Generator().manual_seed(0))
    images = {
        "dark texture": 0.4 * texture,
        "bright texture": 0.5 + 0.4 * texture,
        "plain": torch.full((1, 1, 64, 64), 0.5),
        "soft spot": 0.2 + 0.5 * torch.exp(-2 * (x * x + y * y))[None, None],
        "two halves": 0.3 + 0.4 * (x > 0).float()[None, None],
    }[fill]
    masks, trust = foreground(images)
    assert masks.all()
    assert trust.tolist() == [0.0]


def test_each_image_is_judged_by_itself() -> None:
    one, _ = discs(0.7, 0.1)
    plain = torch.full_like(one, 0.5)
    masks, trust = foreground(torch.cat([one, plain]))
    assert trust[0] > 0
    assert trust[1] == 0
    assert torch.equal(masks[:1], foreground(one)[0])


def test_a_larger_picture_of_the_same_part_gives_the_same_mask() -> None:
    small, _ = discs(0.7, 0.1)
    large = functional.interpolate(small, scale_factor=10, mode="bilinear").clamp(0, 1)
    masks = functional.interpolate(foreground(large)[0], scale_factor=0.1, mode="area")
    assert overlap((masks > 0.5).float(), foreground(small)[0]) > 0.95


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 400), (1000, 8)])
def test_the_smallest_and_the_longest_pictures(height: int, width: int) -> None:
    masks, trust = foreground(torch.rand(2, 1, height, width, generator=Generator().manual_seed(1)))
    assert masks.shape == (2, 1, height, width)
    assert set(masks.unique().tolist()) <= {0.0, 1.0}
    assert trust.shape == (2,)


def test_one_pixel_is_refused() -> None:
    with pytest.raises(SynthError, match="too small"):
        foreground(torch.rand(1, 1, 1, 1))
