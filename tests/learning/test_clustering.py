"""The pieces of the detectors ``kmeans`` and ``birch``."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Generator, Tensor

from learning.clustering import ClusterDetector, cluster_picture, fit_whitening
from learning.detectors import Budget, create
from learning.errors import ConfigError
from learning.images.image_set import ImageSet
from learning.images.records import ImageRecord
from tests.learning.spots import good_parts, spotted

SMALL = {"backbone": {"name": "resnet10t", "levels": (1, 2)}, "batch": 4, "places": 600, "components": 24}
EACH = {"kmeans": {"clusters": 6}, "birch": {"subclusters": 12, "clusters": 3}}

both = pytest.mark.parametrize("name", sorted(EACH))


def blobs(per_blob: int = 80) -> Tensor:
    """Three round clouds, far apart, in four dimensions."""
    middles = torch.tensor([[0.0, 0, 0, 0], [20, 0, 0, 0], [0, 20, 0, 0]])
    noise = torch.randn(3, per_blob, 4, generator=Generator().manual_seed(0))
    return (middles[:, None] + noise).flatten(0, 1)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return good_parts(tmp_path_factory.mktemp("good"), 16, np.random.default_rng(0))


def untrained(name: str, good: ImageSet) -> ClusterDetector:
    detector = create(name, SMALL | EACH[name], good.preprocessing)
    assert isinstance(detector, ClusterDetector)
    return detector


def test_whitened_rows_have_unit_variance_and_what_never_varies_is_left_out() -> None:
    rows = torch.randn(400, 3, generator=Generator().manual_seed(0)) * torch.tensor([10.0, 1.0, 0.1])
    rows = torch.cat([rows @ torch.linalg.qr(torch.randn(3, 3))[0], torch.full((400, 2), 7.0)], dim=1)
    whitened = fit_whitening(rows, 5).apply(rows)
    assert whitened.shape == (400, 3)
    torch.testing.assert_close(whitened.mT.cov(), torch.eye(3), atol=1e-3, rtol=0)
    assert fit_whitening(rows, 2).apply(rows).shape == (400, 2)


@both
def test_clouds_become_clusters(name: str, good: ImageSet) -> None:
    options = {"kmeans": {"clusters": 3}, "birch": {"clusters": 3, "subclusters": 40}}[name]
    detector = create(name, options, good.preprocessing)
    assert isinstance(detector, ClusterDetector)
    rows = blobs()
    found = detector.find(rows, seed=0)
    assert int(found.counts.sum()) == len(rows)
    labels = found.labels[torch.cdist(rows, found.centres).argmin(dim=1)].view(3, -1)
    assert all(len(cloud.unique()) == 1 for cloud in labels)
    assert len(labels[:, 0].unique()) == 3


def test_the_tree_has_no_more_leaves_than_allowed(good: ImageSet) -> None:
    detector = create("birch", {"subclusters": 5, "clusters": 2}, good.preprocessing)
    assert isinstance(detector, ClusterDetector)
    found = detector.find(blobs(), seed=0)
    assert 3 <= len(found.centres) <= 5
    assert len(found.labels.unique()) == 2
    alone = detector.find(torch.ones(1, 6), seed=0)
    assert len(alone.centres) == 1


@both
def test_it_finds_dark_spots_and_draws_its_clusters(name: str, good: ImageSet, tmp_path: Path) -> None:
    detector = untrained(name, good)
    report = detector.fit(good, good, seed=0, budget=Budget(steps=100))
    assert (report.weights, report.steps) == ("random", 4)
    assert int(detector.clusters.counts.sum()) <= 600
    random = np.random.default_rng(1)
    images, masks = spotted(random)
    prediction = detector.predict(images)
    assert roc_auc_score(np.arange(24) < 12, prediction.scores) > 0.95
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.85
    records = list(good.records)
    for i, picture in enumerate(images[:2, 0].numpy() * 255):
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{i}.png")
        records.append(ImageRecord(tmp_path / f"{i}.png", label="spot"))
    cluster_picture(detector, ImageSet(records, good.preprocessing), tmp_path / "deep" / "clusters.png")
    with Image.open(tmp_path / "deep" / "clusters.png") as drawn:
        assert drawn.size[0] > 500


@both
@pytest.mark.parametrize("wrong", [{"clusters": 0}, {"components": 1}, {"score_share": 2}])
def test_wrong_options_are_named_in_a_line(name: str, good: ImageSet, wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))) as raised:
        create(name, wrong, good.preprocessing)
    assert "\n" not in str(raised.value)
