import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator, Tensor

from synth.noise import Numbers
from synth.sources import displaced, sampled, shifted_sources, source_level, turned_sources
from synth.windows import Window

SIZE = (30, 40)


def window(pictures: Tensor, box: tuple[int, int, int, int]) -> Window:
    """A box (left, top, width, height) of pictures that are good as they are."""
    left, top, width, height = box
    count = len(pictures)
    blank = np.zeros((count, pictures.shape[1]), np.float32)
    return Window(
        images=pictures[:, :, top : top + height, left : left + width],
        batch=pictures,
        of=np.arange(count),
        allowed=None,
        left=np.full(count, left),
        top=np.full(count, top),
        centre=np.array([[left + width // 2, top + height // 2]] * count),
        boxes=np.array([box] * count),
        size=SIZE,
        level=blank,
        background=blank,
        has_background=np.zeros(count, bool),
        inward=np.zeros(count),
    )


def pictures(count: int = 4) -> Tensor:
    return torch.rand(count, 3, *SIZE, generator=Generator().manual_seed(0))


def moved(where: Window) -> tuple[Tensor | None, Numbers, Numbers, Numbers]:
    return None, np.zeros(4), np.array([[0.0, 0.0], [0.5, 0.2], [0.3, 0.9], [0.77, 0.41]]), np.arange(4)


def test_a_shifted_source_is_the_picture_rolled_and_mirrored() -> None:
    images = pictures()
    where = window(images, (7, 5, 20, 16))
    sources, which, shift, turn = moved(where)
    taken = shifted_sources(where, sources, which, shift, turn, rolled=True)
    for i in range(4):
        axes = [axis for axis, bit in ((1, 2), (2, 1)) if i & bit]
        steps = [round(float(shift[i, 1]) * SIZE[0]), round(float(shift[i, 0]) * SIZE[1])]
        rolled = images[i].flip(axes).roll(steps, (1, 2))
        assert torch.equal(taken[i], rolled[:, 5:21, 7:27])


@given(
    box=st.tuples(*[st.integers(0, length - 1) for length in SIZE[::-1]], *[st.floats(0, 1)] * 2),
    shift=st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9)),
    turn=st.integers(0, 3),
)
def test_no_border_of_a_source_crosses_what_a_flaw_takes(
    box: tuple[int, int, float, float], shift: tuple[float, float], turn: int
) -> None:
    corner, limits = box[:2], [max(1, int(0.9 * length)) for length in SIZE[::-1]]
    sides = [
        max(1, min(int(share * limit), length - first))
        for share, limit, length, first in zip(box[2:], limits, SIZE[::-1], corner, strict=True)
    ]
    across, down = torch.meshgrid(torch.arange(SIZE[1]) / 64, torch.arange(SIZE[0]) / 64, indexing="xy")
    where = window(torch.stack([across, down])[None], (corner[0], corner[1], sides[0], sides[1]))
    taken = shifted_sources(where, None, np.zeros(1), np.array([shift]), np.array([turn]))
    for channel, axis in ((0, 2), (1, 1)):
        step = -1 / 64 if turn & (1 + channel) else 1 / 64
        assert (taken[:, channel].diff(dim=axis) == step).all()
    assert turn or not torch.equal(taken, where.images)


def test_the_level_of_a_source_is_the_mean_of_what_is_taken() -> None:
    where = window(pictures(), (7, 5, 24, 24))
    taken = shifted_sources(where, *moved(where))
    level = torch.from_numpy(source_level(where, *moved(where)))
    torch.testing.assert_close(level, taken.mean(dim=(-2, -1)))


def test_content_turned_by_nothing_is_only_moved() -> None:
    where = window(pictures(), (0, 0, 40, 30))
    sources, which, shift, turn = moved(where)
    turned = turned_sources(where, sources, which, shift, turn, np.zeros(4), np.ones(4))
    straight = shifted_sources(where, *moved(where))
    middle = (..., slice(14, 17), slice(19, 22))
    torch.testing.assert_close(turned[0][middle], straight[0][middle], rtol=0, atol=1e-5)
    quarter = turned_sources(where, sources, which, shift, turn, np.full(4, np.pi / 2), np.ones(4))
    torch.testing.assert_close(quarter[0, :, 15, 20], pictures()[0, :, 15, 20], rtol=0, atol=1e-4)
    torch.testing.assert_close(quarter[0, :, 15, 25], pictures()[0, :, 10, 20], rtol=0, atol=1e-4)


def test_displaced_pictures_repeat_their_border() -> None:
    images = pictures()
    taken = displaced(window(images, (0, 0, 10, 8)), np.array([[0, 0], [3, 0], [-2, -5], [50, 0]]))
    assert torch.equal(taken[0], images[0, :, :8, :10])
    assert torch.equal(taken[1, :, :, 3:], images[1, :, :8, :7])
    assert torch.equal(taken[1, :, :, 0], images[1, :, :8, 0])
    assert torch.equal(taken[2], images[2, :, 5:13, 2:12])
    assert torch.equal(taken[3], images[3, :, :8, :1].expand(-1, -1, 10))


def test_pictures_are_sampled_between_pixels() -> None:
    images = pictures(1)
    x, y = torch.tensor([[[[4.0, 4.5]]]]), torch.tensor([[[[7.0, 7.0]]]])
    expected = torch.stack([images[0, :, 7, 4], images[0, :, 7, 4:6].mean(dim=1)], dim=1)
    torch.testing.assert_close(sampled(images, np.zeros(1, np.int64), x, y)[0, :, 0], expected, rtol=0, atol=1e-5)
