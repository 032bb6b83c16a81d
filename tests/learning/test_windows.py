"""Windows over images."""

import pytest
import torch
from torch import Generator

from learning.images.windows import Windows, random_windows


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 100), (130, 65), (192, 192)])
def test_windows_joined_again_are_the_images(height: int, width: int) -> None:
    images = torch.rand(2, 3, height, width, generator=Generator().manual_seed(0))
    windows = Windows(64, 32, height, width)
    cut = windows.cut(images)
    assert cut.shape == (2 * windows.grid[0] * windows.grid[1], 3, 64, 64)
    torch.testing.assert_close(cut[0, :, :48, :60], images[0, :, :48, :60])
    for channel in range(3):
        torch.testing.assert_close(windows.join(cut[:, channel]), images[:, channel])


def test_where_windows_overlap_their_mean_counts() -> None:
    windows = Windows(4, 2, 4, 6)
    assert windows.grid == (1, 2)
    joined = windows.join(torch.stack([torch.zeros(4, 4), torch.ones(4, 4)]))
    assert joined[0, 0].tolist() == [0, 0, 0.5, 0.5, 1, 1]


def test_random_windows_come_from_their_images_wherever_there_is_room() -> None:
    images = torch.arange(2 * 70 * 70).float().view(2, 1, 70, 70)
    cut = random_windows(images, 64, Generator().manual_seed(3))
    for image, window in zip(images, cut, strict=True):
        top, left = divmod(int(window[0, 0, 0] - image[0, 0, 0]), 70)
        assert torch.equal(window, image[:, top : top + 64, left : left + 64])
    assert random_windows(torch.rand(2, 1, 40, 90), 64, Generator()).shape == (2, 1, 64, 64)
