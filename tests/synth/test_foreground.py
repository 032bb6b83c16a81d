import pytest
import torch
from skimage.filters import threshold_otsu
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.foreground import foreground, otsu


def discs(part: float, background: float, channels: int = 1) -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 96), torch.linspace(-1, 1, 96), indexing="ij")
    inside = (x * x + y * y < 0.4).float()[None, None]
    noise = 0.02 * torch.randn(1, channels, 96, 96, generator=Generator().manual_seed(0))
    return (background + (part - background) * inside + noise).clamp(0, 1), inside


@pytest.mark.parametrize(("part", "background"), [(0.7, 0.1), (0.2, 0.9), (0.6, 0.4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_part_on_a_plain_background_is_found(part: float, background: float, channels: int) -> None:
    images, inside = discs(part, background, channels)
    masks, trust = foreground(images)
    overlap = (masks * inside).sum() / torch.maximum(masks, inside).sum()
    assert overlap > 0.93
    assert trust > 0.6


def test_holes_belong_to_the_part() -> None:
    images, _ = discs(0.7, 0.1)
    images[..., 44:52, 44:52] = 0.1
    masks, _ = foreground(images)
    assert masks[..., 44:52, 44:52].all()
    assert not masks[..., :5, :5].any()


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_where_there_is_no_background_the_whole_image_is_taken_and_said_so(level: float) -> None:
    texture = level + 0.4 * torch.rand(2, 1, 64, 64, generator=Generator().manual_seed(0))
    masks, trust = foreground(texture)
    assert masks.all()
    assert trust.tolist() == [0.0, 0.0]
    assert foreground(torch.full((1, 1, 16, 16), level))[1].tolist() == [0.0]


def test_each_image_is_judged_by_itself() -> None:
    one, _ = discs(0.7, 0.1)
    plain = torch.full_like(one, 0.5)
    masks, trust = foreground(torch.cat([one, plain]))
    assert trust[0] > 0
    assert trust[1] == 0
    assert torch.equal(masks[:1], foreground(one)[0])


def test_otsu_agrees_with_scikit_image() -> None:
    generator = Generator().manual_seed(0)
    values = torch.cat(
        [0.2 + 0.05 * torch.randn(900, generator=generator), 0.7 + 0.1 * torch.randn(400, generator=generator)]
    )
    values = (values.clamp(0, 1) * 255).round() / 255
    threshold, explained = otsu(values[None])
    expected = threshold_otsu((values * 255).byte().numpy())
    assert abs(threshold.item() * 255 - expected) <= 1
    assert explained > 0.8


def test_one_pixel_is_refused() -> None:
    with pytest.raises(SynthError, match="too small"):
        foreground(torch.rand(1, 1, 1, 1))
