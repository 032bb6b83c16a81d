"""The pieces of the ``patchcore`` detector."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch import Generator, Tensor

from learning.detectors import Budget, create
from learning.detectors.patchcore import PatchCore
from learning.detectors.patchcore.bank import MemoryBank, image_scores
from learning.detectors.patchcore.coreset import greedy_coreset, project
from learning.errors import ConfigError
from learning.images.image_set import ImageSet
from tests.learning.spots import good_parts, spotted

SMALL = {"backbone": {"name": "resnet10t", "levels": (1, 2)}, "batch": 4, "places": 600}


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def rows(count: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(count, width, generator=seeded(seed))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return good_parts(tmp_path_factory.mktemp("good"), 16, np.random.default_rng(0))


class TestCoreset:
    def test_each_choice_is_the_farthest_from_those_before(self) -> None:
        data = rows(60, 5)
        chosen = greedy_coreset(data, 12, seeded()).tolist()
        for i in range(1, 12):
            nearest = torch.cdist(data, data[chosen[:i]]).amin(dim=1)
            assert nearest[chosen[i]] == pytest.approx(float(nearest.max()), rel=1e-4)

    def test_all_rows_are_chosen_once_even_where_they_are_equal(self) -> None:
        assert sorted(greedy_coreset(torch.ones(7, 3), 10, seeded()).tolist()) == list(range(7))

    def test_it_covers_what_a_random_choice_misses(self) -> None:
        data = torch.cat([rows(500, 8), rows(3, 8, seed=1) + 40])
        chosen = greedy_coreset(data, 20, seeded())
        assert (chosen >= 500).sum() == 3

    def test_time_that_is_over_ends_it_with_what_was_chosen(self) -> None:
        chosen = greedy_coreset(rows(2000, 4), 1500, seeded(), deadline=time.monotonic() - 1)
        assert len(chosen) == 100

    def test_projection_nearly_keeps_distances(self) -> None:
        data = rows(40, 900)
        ratio = torch.pdist(project(data, 256, seeded())) / torch.pdist(data)
        assert (ratio - 1).abs().max() < 0.25
        assert project(data, 900, seeded()) is data


class TestBank:
    def test_it_finds_what_a_search_by_hand_finds(self) -> None:
        bank, queries = MemoryBank(rows(50, 6)), rows(30, 6, seed=1)
        distances, indices = bank.nearest(queries)
        every = torch.cdist(queries, bank.rows)
        assert torch.equal(indices, every.argmin(dim=1))
        torch.testing.assert_close(distances, every.amin(dim=1))
        assert torch.equal(bank.around(torch.tensor([4]), 3)[0, 0], bank.rows[4])

    def test_the_score_is_equation_7(self) -> None:
        bank, queries = MemoryBank(rows(50, 6)), rows(8, 6, seed=1)
        distances, nearest = bank.nearest(queries)
        score = image_scores(distances[None], nearest[None], queries[None], bank, 5)
        place = int(distances.argmax())
        memory = bank.rows[nearest[place]]
        around = (bank.rows - memory).norm(dim=1).argsort()[:5]
        spread = [math.exp(float((queries[place] - bank.rows[i]).norm())) for i in around]
        expected = (1 - math.exp(float(distances[place])) / sum(spread)) * float(distances[place])
        assert float(score) == pytest.approx(expected, rel=1e-4)
        plain = image_scores(distances[None], nearest[None], queries[None], bank, 1)
        assert float(plain) == float(distances.max())

    def test_far_away_the_score_stays_finite(self) -> None:
        bank, queries = MemoryBank(rows(20, 6)), 1e4 + rows(2, 6)
        distances, nearest = bank.nearest(queries)
        assert torch.isfinite(image_scores(distances[None], nearest[None], queries[None], bank, 9)).all()


def test_it_finds_dark_spots_and_says_that_its_weights_are_random(good: ImageSet) -> None:
    detector = create("patchcore", SMALL, good.preprocessing)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=100))
    assert (report.weights, report.backbone, report.steps) == ("random", "resnet10t", 4)
    assert isinstance(detector, PatchCore)
    # However many images there are, no more places are kept than the configuration says, and a tenth remembered.
    assert len(detector.bank.rows) <= 60
    random = np.random.default_rng(1)
    images, masks = spotted(random)
    prediction = detector.predict(images)
    assert roc_auc_score(np.arange(24) < 12, prediction.scores) > 0.95
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.9


def test_a_bundle_needs_the_file_of_weights_only_once(good: ImageSet, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_file(timm.create_model("resnet10t").state_dict(), file)
    options = SMALL | {"backbone": {"name": "resnet10t", "levels": (1, 2), "weights": "file", "file": str(file)}}
    detector = create("patchcore", options, good.preprocessing)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=1))
    assert report.weights == "file"
    assert report.backbone_sha256 is not None
    (tmp_path / "bundle").mkdir()
    detector.save(tmp_path / "bundle")
    file.unlink()
    loaded = create("patchcore", options, good.preprocessing).load(tmp_path / "bundle")
    assert torch.equal(loaded.predict(good.batch(range(3))).scores, detector.predict(good.batch(range(3))).scores)


@pytest.mark.parametrize("wrong", [{"coreset": 0}, {"neighbours": 0}, {"places": 3}, {"projection": "many"}])
def test_wrong_options_are_named_in_a_line(good: ImageSet, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))) as raised:
        create("patchcore", wrong, good.preprocessing)
    assert "\n" not in str(raised.value)
