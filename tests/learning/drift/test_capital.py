import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import norm

from learning.drift.capital import bet, enough, fewest
from learning.drift.ranks import ranks_of


@pytest.mark.parametrize("side", ["both", "up"])
def test_every_bet_is_fair(side: str) -> None:
    kinds = bet([0.5], side).gains.shape[1]  # type: ignore[arg-type]
    for kind in range(kinds):
        # Over the normal score, as the bet itself is steep at the ends.
        expected = quad(
            lambda z, kind=kind: norm.pdf(z) * np.exp(bet([norm.cdf(z)], side).gains[0, kind]),  # type: ignore[arg-type]
            -5.5,
            5.5,
        )[0]
        assert expected == pytest.approx(1, abs=0.01)


def test_the_capital_is_that_of_money_woken_in_turn() -> None:
    p_values = np.random.default_rng(0).random(30)
    bets = bet(p_values)
    log_share = bets.standing[0] - bets.gains[0] + np.log(20)  # of the first money woken
    asleep, held = 0.0, np.full(len(log_share), -np.inf)
    for place, gain in enumerate(bets.gains):
        held = np.logaddexp(held, asleep - np.log(place + 20) + log_share) + gain
        asleep += np.log1p(-1 / (place + 20))
        assert bets.log_capital[place] == pytest.approx(logsumexp(np.append(held, asleep)))
    assert logsumexp(log_share) == pytest.approx(0)


def test_false_alarms_over_all_time_are_as_rare_as_stated() -> None:
    rng = np.random.default_rng(3)
    alarms = sum(bet(rng.random(400)).log_capital.max() >= np.log(10) for _ in range(300))
    assert alarms / 300 <= 0.1


def test_a_shift_is_seen_with_its_side_and_its_beginning() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=200)
    scores[120:] -= 2
    bets = bet(norm.cdf(scores))
    at = int(np.argmax(bets.log_capital >= np.log(400)))
    since, shift = bets.since(at)
    assert 120 <= at < 140
    assert abs(since - 120) <= 3
    assert shift < 0


@pytest.mark.parametrize(("shift", "error"), [(1.0, 5.7), (1.5, 2.6), (4.0, 0.6)])
def test_beginnings_are_not_dated_early_whatever_the_size_of_the_shift(shift: float, error: float) -> None:
    """Bounds lie below what the richest bet alone comes to: 6.5, 3.1 and 0.7 parts."""
    off = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        reference, stream = rng.normal(size=60), rng.normal(size=300)
        stream[100:] += shift
        bets = bet(ranks_of(stream, rng.random(300), reference))
        raised = np.flatnonzero(bets.log_capital >= np.log(200))
        if len(raised) and raised[0] >= 100:
            off.append(bets.since(int(raised[0]))[0] - 100)
    assert len(off) > 180
    assert np.median(off) == 0
    assert np.mean(np.abs(off)) < error


def test_upward_bets_do_not_see_what_falls() -> None:
    assert bet(np.full(100, 0.05), "up").log_capital.max() < np.log(2)
    assert bet(np.full(100, 0.95), "up").log_capital[-1] > np.log(1000)


def test_a_larger_reference_needs_fewer_values() -> None:
    needed = float(np.log(200))
    found = [fewest(needed, count) for count in (25, 50, 100)]
    assert None not in found
    assert found == sorted(found, reverse=True)  # type: ignore[type-var]
    least = enough(needed)
    assert fewest(needed, least - 1) is None
    assert fewest(needed, least) is not None
    assert fewest(needed, 0, seen=least + 30) is not None


def test_nothing_is_no_evidence() -> None:
    assert len(bet([]).log_capital) == 0
