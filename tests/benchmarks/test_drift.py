import argparse

import numpy as np
import pytest

from benchmarks.drift import count_delays, count_false_alarms, main
from benchmarks.drift_pool import PER_LOT, Pool, Pools, changed
from benchmarks.drift_replays import PLANS, draw


def pool(lots: int, by: float = 0.0, seed: int = 0) -> Pool:
    rng = np.random.default_rng(seed)
    count = lots * PER_LOT
    looks = rng.normal(size=(count, 6))
    looks[:, 0] += by
    return Pool(
        looks, rng.normal(size=count), rng.normal(size=(count, 4)).astype(np.float32), np.arange(count) // PER_LOT
    )


@pytest.fixture(scope="module")
def pools() -> Pools:
    scale = np.random.default_rng(9).normal(size=(40, 4))
    return Pools(pool(70), {("light", 0.5): pool(40, by=-4, seed=1)}, scale, {})


def test_drift_is_seen_sooner_than_by_the_rivals_and_without_false_alarms(pools: Pools) -> None:
    options = argparse.Namespace(replays=3, delay_replays=3, seed=0)
    alarms = {row["method"]: row["rate"] for row in count_false_alarms(pools, "parts", options)}
    assert alarms["flawsmith"] == 0
    delays = {row["method"]: row for row in count_delays(pools, "parts", options)}
    assert delays["flawsmith"]["median"] < 15
    assert delays["flawsmith"]["dated_error"] < 5
    assert delays["KS each day"]["dated_error"] is None
    assert delays["KS each day"]["median"] >= 50
    lots = {row["method"]: row for row in count_delays(pools, "lots", options)}
    assert lots["flawsmith"]["median"] < 12 * PER_LOT
    assert abs(lots["flawsmith"]["dated_after"]) <= PER_LOT


def test_replays_draw_each_picture_once(pools: Pools) -> None:
    drawn = draw(pools.clean, None, "parts", PLANS["parts"], np.random.default_rng(0))
    assert len(np.unique(drawn.scores)) == len(drawn.scores) == 460
    lots = draw(pools.clean, None, "lots", PLANS["lots"], np.random.default_rng(0))
    assert len(set(lots.lots)) == 65


def test_pictures_change_as_they_are_told() -> None:
    rng = np.random.default_rng(0)
    tile = rng.integers(60, 120, (32, 32), dtype=np.uint8)
    assert (changed(tile, None, 1.0, rng) == tile).all()
    assert changed(tile, "light", 0.5, rng).mean() == pytest.approx(tile.mean() / 2, abs=1)
    assert changed(tile, "focus", 1.0, rng).std() < tile.std()
    assert changed(tile, "texture", 1.6, rng).std() > tile.std()
    assert changed(tile, "gain", 1.3, rng).mean() == pytest.approx(1.3 * tile.mean(), rel=0.05)


@pytest.mark.parametrize("arguments", [["--replays", "0"], ["--lots", "3"], ["--data", "/nowhere"]])
def test_mistakes_end_it(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
