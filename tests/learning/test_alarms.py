"""What good parts raise at each place, and how it is taken off maps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from learning.detectors.segment.alarms import Alarms, log_odds
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing

HEIGHT, WIDTH = 24, 32


@pytest.fixture
def good(tmp_path: Path) -> ImageSet:
    """Grey parts; every fourth one is bright at a place of its own kind."""
    paths = []
    for i in range(40):
        pixels = np.full((HEIGHT, WIDTH), 100, np.uint8)
        if i % 4 == 0:
            pixels[6:9, 10:13] = 220
        paths.append(tmp_path / f"{i:02}.png")
        Image.fromarray(pixels).save(paths[-1])
    return ImageSet(paths, Preprocessing(channels=1, height=HEIGHT, width=WIDTH))


def network(images: Tensor) -> Tensor:
    """Sees a flaw wherever it is bright."""
    return torch.where(images > 0.7, 0.9, 0.02)


def test_what_some_good_parts_raise_at_a_place_counts_less_there_and_nowhere_else(good: ImageSet) -> None:
    alarms = Alarms.of_good(network, good)
    same = torch.full((1, 1, HEIGHT, WIDTH), 0.02)
    same[..., 6:9, 10:13] = 0.9
    elsewhere = torch.full_like(same, 0.02)
    elsewhere[..., 16:19, 20:23] = 0.9
    quiet, kept = alarms.quieten(same), alarms.quieten(elsewhere)
    torch.testing.assert_close(kept[..., 12:, 16:], elsewhere[..., 12:, 16:])
    assert float(quiet.amax()) < 0.5
    # Half of what stands out: a flaw that is plainer than what good parts show is still the highest place.
    expected = log_odds(torch.tensor(0.9)) - 0.5 * (log_odds(torch.tensor(0.9)) - log_odds(torch.tensor(0.02)))
    assert float(log_odds(quiet).amax()) == pytest.approx(float(expected), abs=1e-4)


def test_places_are_taken_off_around_them_and_none_gains(good: ImageSet) -> None:
    logits = Alarms.of_good(network, good).logits
    assert logits.shape == (1, HEIGHT, WIDTH)
    assert float(logits.min()) == 0
    rows, columns = logits[0].nonzero().T
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (4, 10, 8, 14)


def test_they_are_stored_by_name() -> None:
    alarms = Alarms(torch.rand(1, 3, 4))
    arrays = alarms.arrays() | {"other": torch.zeros(1)}
    again = Alarms.of_arrays(arrays)
    assert again is not None
    assert torch.equal(again.logits, alarms.logits)
    assert list(arrays) == ["other"]
    assert Alarms.of_arrays(arrays) is None


def test_few_parts_and_certain_maps_are_no_trouble(good: ImageSet) -> None:
    few = ImageSet(good.paths[:1], good.preprocessing)
    alarms = Alarms.of_good(lambda images: (images > 0.7).float(), few)
    for level in (0.0, 1.0):
        assert torch.isfinite(alarms.quieten(torch.full((2, 1, HEIGHT, WIDTH), level))).all()
