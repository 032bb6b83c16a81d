"""Promises from verdicts: exact where they can be, kept as often as they say, refused where they cannot be."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from learning.betting import log_capital, log_growth
from learning.errors import ConfigError, PromiseError
from learning.promises import Labelled, cost_threshold, escape_bound, escape_threshold, review_zone
from learning.sampling import ask_probabilities, systematic_sample

DEFECTS = 2.5  # mean score of defective parts; good ones lie around 0, both with a deviation of 1
SHARE = 0.4


def labelled(scores: object, defective: object, groups: object = None, **others: object) -> Labelled:
    values = np.asarray(scores, dtype=np.float64)
    names = np.arange(len(values)).astype(str) if groups is None else np.asarray(groups, dtype=str)
    return Labelled(values, np.asarray(defective, dtype=bool), names, **others)  # type: ignore[arg-type]


def line(rng: np.random.Generator, n: int, priority: bool = False, error: float = 0.0, times: int = 8) -> Labelled:
    """Verdicts on n parts of a stream of ``times`` as many."""
    defective = rng.random(times * n) < SHARE
    scores = rng.normal(size=times * n) + DEFECTS * defective
    weights, largest = None, 1.0
    if priority:
        probabilities = ask_probabilities(scores, 2.0, n)
        chosen = systematic_sample(probabilities, rng)
        weights, largest = 1 / probabilities[chosen], 1 / probabilities.min()
    else:
        chosen = rng.choice(times * n, n, replace=False)
    read = defective[chosen] ^ (rng.random(n) < error)
    return labelled(scores[chosen], read, weights=weights, largest_weight=largest)


def escapes(value: float) -> float:
    return float(norm.cdf(value - DEFECTS))


@pytest.mark.parametrize(("escaped", "of"), [(0, 1), (0, 59), (3, 20), (7, 90), (20, 20)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_bound_of_a_random_sample_is_clopper_and_pearsons(escaped: int, of: int, confidence: float) -> None:
    scores = [*[0.0] * escaped, *[2.0] * (of - escaped), 0.0, 3.0]
    seen = labelled(scores, [*[True] * of, False, False])
    theirs = binomtest(escaped, of, alternative="less").proportion_ci(confidence, "exact").high
    assert escape_bound(seen, 1.0, confidence).limit == pytest.approx(theirs)


@pytest.mark.parametrize("n", [59, 92, 93, 124, 300])
def test_the_threshold_of_a_random_sample_is_the_highest_that_the_exact_bound_allows(n: int) -> None:
    value, promise = escape_threshold(labelled(np.arange(n), np.ones(n)), 0.05)
    below = int(np.ceil(value))  # scores 0, 1, ... up to the value
    assert below - 1 < value < below
    assert promise.groups == n
    assert binomtest(below, n).proportion_ci(0.9, "exact").high <= 0.05 or below == 0
    assert binomtest(below + 1, n).proportion_ci(0.9, "exact").high > 0.05


def test_a_group_counts_once_by_its_lowest_defective_part() -> None:
    groups = np.repeat(np.arange(59), 2).astype(str)
    scores = np.arange(118.0)
    value, promise = escape_threshold(labelled(scores, np.ones(118), groups), 0.05)
    assert (promise.groups, np.ceil(value)) == (59, 0)
    with pytest.raises(PromiseError, match=r"takes 59 .* there are 58"):
        escape_threshold(labelled(scores[2:], np.ones(116), groups[2:]), 0.05)
    assert escape_bound(labelled(scores, np.ones(118), groups), 0.5).limit == pytest.approx(
        binomtest(1, 59, alternative="less").proportion_ci(0.95, "exact").high
    )


def test_refusals_say_how_many_more_it_takes() -> None:
    seen = labelled(np.arange(100.0), np.arange(100) % 2)
    with pytest.raises(
        PromiseError, match=r"takes 59 independent defective .* 50, which carry 5.82 %: add 9 more"
    ) as no:
        escape_threshold(seen, 0.05)
    assert (no.value.needed, no.value.available) == (59, 50)
    weighted = labelled(seen.scores, seen.defective, weights=np.ones(100), largest_weight=4.0)
    with pytest.raises(PromiseError, match=r"weighted by how they were chosen.*it takes about") as no:
        escape_threshold(weighted, 0.05)
    needed = no.value.needed
    assert needed is not None
    # So many of the same parts do carry it, and a tenth fewer do not.
    for n, carried in ((needed + 2, True), (int(0.9 * needed), False)):
        more = labelled(np.arange(float(n)), np.arange(n) % 2, weights=np.ones(n), largest_weight=4.0)
        if carried:
            assert escape_threshold(more, 0.05)[1].kind == "escape"
        else:
            with pytest.raises(PromiseError):
                escape_threshold(more, 0.05)
    with pytest.raises(PromiseError, match=r"more parts like these would not carry it.*have them read twice") as no:
        escape_threshold(labelled(np.arange(1000.0), np.arange(1000) % 50 == 0), 0.1, reading_error=0.05)
    assert no.value.needed is None
    for empty in (labelled([], []), labelled([], [], weights=np.empty(0))):
        with pytest.raises(PromiseError):
            escape_threshold(empty, 0.1)


def test_the_promise_says_what_it_rests_on() -> None:
    rng = np.random.default_rng(0)
    _, promise = escape_threshold(line(rng, 400), 0.1)
    assert promise.text.startswith("at most 10 % of defective parts accepted, with 95 % confidence, from ")
    assert promise.text.endswith("independent defective parts of a random sample, inspectors being taken never to err")
    _, promise = escape_threshold(line(rng, 600, error=0.05), 0.2, reading_error=0.05)
    assert promise.text.endswith("of a random sample, inspectors being taken to err on at most 5 % of parts")
    assert promise.reading_error == 0.05
    _, promise = escape_threshold(line(rng, 1000, priority=True), 0.2)
    assert "1000 independent labelled parts weighted by how they were chosen" in promise.text


@pytest.mark.parametrize(
    ("n", "limit", "priority", "error"),
    [(100, 0.1, False, 0.0), (300, 0.2, False, 0.05), (500, 0.2, True, 0.0), (800, 0.3, True, 0.05)],
)
def test_the_promise_is_kept_as_often_as_it_says(n: int, limit: float, priority: bool, error: float) -> None:
    rng = np.random.default_rng(n)
    lines, made, broken, naive = 300, 0, 0, 0
    for _ in range(lines):
        seen = line(rng, n, priority, error)
        lowest = np.sort(seen.scores[seen.defective])
        naive += escapes(lowest[int(limit * len(lowest))]) > limit
        try:
            value, _ = escape_threshold(seen, limit, 0.9, error)
        except PromiseError:
            continue
        made += 1
        broken += escapes(value) > limit
    assert made > 0.2 * lines
    assert broken / lines <= 0.1 + 3 * np.sqrt(0.09 / lines)
    if not error:  # errors make the naive threshold lower by accident
        assert naive / lines > 0.25


@pytest.mark.parametrize(("priority", "error"), [(False, 0.05), (True, 0.0), (True, 0.05)])
def test_the_bound_at_a_threshold_set_beforehand_holds(priority: bool, error: float) -> None:
    rng = np.random.default_rng(0)
    bounds = np.array([escape_bound(line(rng, 200, priority, error), 1.5, 0.9, error).limit for _ in range(200)])
    assert np.mean(bounds < escapes(1.5)) <= 0.1 + 3 * np.sqrt(0.09 / 200)
    assert np.median(bounds) < 0.95


def test_unresolved_parts_count_as_the_worst() -> None:
    settled = labelled(np.arange(200.0), np.ones(200))
    doubtful = labelled(settled.scores, settled.defective, unresolved=np.arange(200) < 10)
    assert escape_bound(doubtful, -1.0).limit > escape_bound(settled, -1.0).limit
    assert escape_bound(doubtful, 9.5).limit > 10 / 200
    assert escape_threshold(doubtful, 0.1)[0] < escape_threshold(settled, 0.1)[0]


def test_betting_without_losses_is_the_exact_test() -> None:
    grown = log_growth(np.full(59, -0.05), 0.95)
    assert grown.sum(axis=0)[0] == pytest.approx(-59 * np.log(0.95))
    assert log_capital(np.zeros(grown.shape[1])) == pytest.approx(0, abs=1e-12)


def test_bets_on_parts_of_one_group_never_win_more_than_one_bet_on_their_sum() -> None:
    rng = np.random.default_rng(0)
    outcomes = rng.uniform(-1, 0.5, 4)
    split = log_growth(outcomes, 0.5, 4, 4).sum(axis=0)
    assert (split <= log_growth([outcomes.sum()], 0.5 * 4)[0] + 1e-12).all()


def test_the_cost_bound_holds_and_beats_rejecting_everything() -> None:
    rng = np.random.default_rng(1)
    broken = refused = 0
    for seed in range(200):
        try:
            value, promise = cost_threshold(line(rng, 400, priority=seed % 2 == 0), 5, 1, 0.9, seed=seed)
        except PromiseError:
            refused += 1
            continue
        true = SHARE * 5 * escapes(value) + (1 - SHARE) * norm.sf(value)
        broken += true > promise.limit
        assert promise.limit < 1
        assert promise.text.startswith("an expected cost of at most 0.")
    assert refused < 100
    assert broken / 200 <= 0.1 + 3 * np.sqrt(0.09 / 200)


def test_costs_that_cannot_be_promised_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(PromiseError, match="carry no cost below 1 a part, which rejecting every part keeps: it takes"):
        cost_threshold(labelled(np.arange(20.0), np.arange(20) >= 10), 5, 1)
    with pytest.raises(PromiseError, match="two independent groups"):
        cost_threshold(labelled([1.0], [True]), 5, 1)
    with pytest.raises(ConfigError, match="above zero"):
        cost_threshold(line(rng, 20), 0, 1)


def test_a_review_zone_keeps_both_promises_together() -> None:
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(300):
        zone = review_zone(rng.normal(size=100), line(rng, 200), 0.05, 0.1, 0.9)
        broken += escapes(zone.value) > 0.1 or norm.sf(zone.review_up_to) > 0.05
        assert zone.value <= zone.review_up_to
    assert broken / 300 <= 0.1 + 3 * np.sqrt(0.09 / 300)
    assert zone.promise.confidence == pytest.approx(0.95)
    assert "accepted unseen, with 95 % confidence" in zone.promise.text
    assert "rejected unseen, with 95 % confidence" in zone.review_promise.text
    assert zone.review_promise.text.endswith("hold together with 90 % confidence")


def test_no_zone_is_needed_where_the_thresholds_cross() -> None:
    zone = review_zone(np.arange(100.0), labelled(np.arange(200.0, 400.0), np.ones(200)), 0.1, 0.1)
    assert zone.value == zone.review_up_to < 100


@pytest.mark.parametrize(
    "wrong", [{"max_escape": 0}, {"max_escape": 1.5}, {"confidence": 95}, {"reading_error": 0.5}, {"reading_error": -1}]
)
def test_shares_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match="must"):
        escape_threshold(labelled(np.arange(300.0), np.ones(300)), **{"max_escape": 0.1, **wrong})


def test_weights_have_to_be_possible() -> None:
    with pytest.raises(ValueError, match="largest"):
        labelled([1.0], [True], weights=np.array([2.0]), largest_weight=1.0)
    with pytest.raises(ValueError, match="length"):
        labelled([1.0, 2.0], [True])
