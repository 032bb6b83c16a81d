"""Learning on made-up products: what is learnt from, the network that compares, and what starts from it."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.comparing.detector import Comparing, Pretrained
from benchmarks.comparing.episodes import EpisodeConfig, make_episode
from benchmarks.comparing.network import Comparer, Comparison, coarse, rows
from benchmarks.comparing.training import judge, new_network, pretrain
from learning.detectors.base import Budget
from learning.detectors.segment.detector import SegmentConfig
from learning.images.image_set import ImageSet
from learning.images.preprocessing import Preprocessing

SMALL = EpisodeConfig(products=2, references=2, queries=3, sound=1, size=64)


class TestEpisodes:
    def test_a_seed_is_an_episode(self) -> None:
        first, again, other = (make_episode(SMALL, seed, "cpu") for seed in (3, 3, 4))
        assert first.images.shape == (2, 5, 64, 64)
        assert first.masks.shape == (2, 3, 64, 64)
        assert (first.images.dtype, first.masks.dtype) == (np.uint8, np.bool_)
        assert np.array_equal(first.images, again.images)
        assert np.array_equal(first.masks, again.masks)
        assert not np.array_equal(first.images, other.images)

    def test_only_queries_that_are_not_sound_have_flaws(self) -> None:
        episodes = [make_episode(SMALL, seed, "cpu") for seed in range(6)]
        assert not any(episode.masks[:, 0].any() for episode in episodes)
        flawed = np.mean([episode.masks[:, 1:].any(axis=(-2, -1)) for episode in episodes])
        assert flawed > 0.8

    def test_marks_that_all_parts_carry_are_no_flaws(self) -> None:
        """The same episode with and without: other pictures of good parts, and still no mask."""
        plain = EpisodeConfig(**{**vars(SMALL), "marked": 0.0})
        marked = EpisodeConfig(**{**vars(SMALL), "marked": 1.0})
        changed = 0
        for seed in range(4):
            one, other = make_episode(plain, seed, "cpu"), make_episode(marked, seed, "cpu")
            changed += int((one.images[:, :2] != other.images[:, :2]).any(axis=(-2, -1)).sum())
            assert not other.masks[:, 0].any()
        assert changed > 8


class TestComparison:
    def test_a_good_place_found_again_is_the_least_suspicious(self) -> None:
        comparison = Comparison(8)
        features = torch.randn(2, 8, 4, 4, generator=torch.Generator().manual_seed(0))
        places = comparison.embed(features)
        assert torch.allclose(places.norm(dim=1), torch.ones(2, 4, 4), atol=1e-5)
        same = comparison(places, rows(places, 1))
        assert torch.allclose(same.logits, -comparison.offset.expand(2, 1, 4, 4), atol=1e-4)
        assert same.difference.abs().max() < 1e-5
        less = comparison(places, rows(places[:1], 1))
        assert (less.logits[1] > same.logits[1]).all()

    def test_products_are_compared_with_their_own_parts(self) -> None:
        comparison = Comparison(8)
        places = comparison.embed(torch.randn(4, 8, 2, 2, generator=torch.Generator().manual_seed(0)))
        both = comparison(places, rows(places[[0, 2]], 2))
        for product in range(2):
            own = comparison(places[2 * product : 2 * product + 2], rows(places[[2 * product]], 1))
            assert torch.allclose(own.logits, both.logits[2 * product : 2 * product + 2], atol=1e-5)

    def test_what_is_not_told_is_seen_alone(self) -> None:
        torch.manual_seed(0)
        network = Comparer(2, (8, 8, 16), 2).eval()
        torch.nn.init.normal_(network.tell.weight)
        images = torch.randn(2, 2, 32, 32)
        good = network.places(torch.randn(2, 2, 32, 32))
        alone, _ = network.look(images, rows(good, 1), torch.zeros(()))
        told, compared = network.look(images, rows(good, 1))
        assert torch.allclose(alone, network.network(images), atol=1e-5)
        assert not torch.allclose(alone, told)
        assert torch.equal(compared.logits, network.comparison(network.places(images), rows(good, 1)).logits)

    def test_a_cell_is_flawed_where_a_pixel_is(self) -> None:
        masks = torch.zeros(1, 1, 16, 16)
        masks[0, 0, 9, 3] = 1
        comparison = Comparison(4)
        compared = comparison(comparison.embed(torch.randn(1, 4, 2, 2)), torch.eye(64)[None])
        logits, cells = coarse(masks, compared)
        assert logits.shape == cells.shape == masks.shape
        assert cells[0, 0, 8:, :8].all()
        assert cells.sum() == 64


class TestTraining:
    def test_processes_draw_what_this_one_would(self) -> None:
        alone, _ = pretrain(SMALL, Budget(steps=2), 0)
        helped, report = pretrain(SMALL, Budget(steps=2), 0, workers=1)
        assert report.steps == 2
        for one, other in zip(alone.state_dict().values(), helped.state_dict().values(), strict=True):
            assert torch.equal(one, other)

    def test_it_is_judged_on_products_it_has_never_seen(self) -> None:
        network, _ = pretrain(SMALL, Budget(steps=1), 0)
        found = judge(network, SMALL, 2, "cpu")
        assert all(0 <= value <= 1 for value in vars(found).values())


class TestStartingFromIt:
    def test_a_grey_picture_in_three_channels_is_seen_as_in_one(self) -> None:
        start = new_network().state_dict()
        grey, colour = (
            Pretrained(SegmentConfig(), Preprocessing(channels=channels, height=64, width=64)) for channels in (1, 3)
        )
        grey.start = colour.start = start
        one, three = grey._new_network().eval(), colour._new_network().eval()
        whole, local = torch.rand(2, 1, 1, 64, 64)
        wide = torch.cat([whole.expand(-1, 3, -1, -1), local.expand(-1, 3, -1, -1)], dim=1)
        with torch.inference_mode():
            assert torch.allclose(one(torch.cat([whole, local], dim=1)), three(wide), atol=1e-4)

    def test_good_parts_are_remembered_and_found_again(self, tmp_path: Path) -> None:
        for i in range(3):
            pixels = np.random.default_rng(i).integers(0, 255, (64, 64), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        images = ImageSet(sorted(tmp_path.glob("*.png")), Preprocessing(channels=1, height=64, width=64))
        detector = Comparing(SegmentConfig(flips=False), images.preprocessing)
        detector.start = new_network().state_dict()
        report = detector.remember(images, 0)
        assert report.steps == 0
        known = detector.predict(images.batch([0, 1, 2])).scores
        strange = detector.predict(torch.rand(3, 1, 64, 64)).scores
        assert strange.min() > known.max()
