"""Judging a challenger: bounds that hold, gates that fail for their own reason, and refusals with a number."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from learning.challenge import ChallengeConfig, Metric, Pairs, RegressionCase, judge, load_challenge
from learning.challenge.gains import gain, weighted_auroc
from learning.errors import ConfigError, PromiseError
from learning.thresholds import needed_groups


def line(
    champion: float, challenger: float, n: int = 400, shift: float = 0.0, seed: int = 0, repeats: int = 1
) -> Pairs:
    """Parts of a line, 40 % defective; both models reject what lies above 1.6, and share part of their noise."""
    rng = np.random.default_rng(seed)
    defective = np.arange(n) < 0.4 * n
    shared = rng.normal(size=n)
    scores = 0.9 * shared + 0.44 * rng.normal(size=(2, n))
    scores += np.array([champion, challenger])[:, None] * defective
    scores[1] += shift
    names = np.arange(n).astype(str)
    return Pairs(
        np.repeat(scores[0] - 1.6, repeats),
        np.repeat(scores[1] - 1.6, repeats),
        np.repeat(defective, repeats),
        np.repeat(names, repeats),
        np.ones(n * repeats),
    )


PLAIN = ChallengeConfig(margins={Metric.ESCAPE: 0.1, Metric.FALSE_REJECT: 0.05}, synthetic_each=0, resamples=500)


def test_a_better_challenger_wins_and_the_same_parts_give_the_same_judgement() -> None:
    pairs = line(2.0, 3.0)
    first = judge(pairs, PLAIN)
    assert first.wins
    assert first.text.startswith("wins: AUROC on the frozen set: ")
    assert first == judge(pairs, PLAIN)
    assert first.counts["defective_groups"] == 160


def test_a_worse_challenger_is_refused_and_every_gate_says_why() -> None:
    found = judge(line(3.0, 2.0), PLAIN)
    assert not found.wins
    assert "not shown to be better" in found.text
    assert "defective parts of the frozen set accepted" in found.text
    assert "10.0 % is allowed" in found.text
    by_name = {gate.name: gate for gate in found.gates}
    assert not by_name["auroc"].passed
    assert not by_name["escape_rate"].passed
    assert by_name["false_reject_rate"].passed


def test_better_scores_do_not_make_up_for_a_threshold_that_rejects_good_parts() -> None:
    found = judge(line(2.0, 3.0, shift=0.8), PLAIN)
    assert [gate.name for gate in found.gates if not gate.passed] == ["false_reject_rate"]
    assert found.text.startswith("refused: good parts of the frozen set rejected: ")
    found = judge(line(2.0, 3.0, shift=-1.8), PLAIN)
    assert [gate.name for gate in found.gates if not gate.passed] == ["escape_rate"]


def test_the_synthetic_gate_refuses_on_its_own() -> None:
    config = PLAIN.model_copy(update={"margins": PLAIN.margins | {Metric.SYNTHETIC_ESCAPE: 0.1}, "synthetic_each": 1})
    made = line(3.0, 3.0)
    made = made.rows(made.defective)
    worse = Pairs(made.champion, made.challenger - 2, made.defective, made.groups, made.weights)
    assert judge(line(2.0, 3.0), config, made).wins
    found = judge(line(2.0, 3.0), config, worse)
    assert [gate.name for gate in found.gates if not gate.passed] == ["synthetic_escape_rate"]
    assert "made-up defects accepted" in found.text


def test_a_missed_regression_case_is_named_whatever_else_is_better() -> None:
    cases = [RegressionCase("returned.png", False, True), RegressionCase("scratch.png", True, False)]
    found = judge(line(2.0, 3.0), PLAIN, regressions=cases)
    assert found.text == "refused: 1 of 2 regression cases are missed: scratch.png"
    assert judge(line(2.0, 3.0), PLAIN, regressions=cases[:1]).wins


@pytest.mark.parametrize("primary", [Metric.AUROC, Metric.ESCAPE, Metric.COST])
def test_a_least_gain_is_asked_for_as_a_share_of_the_champions_mistakes(primary: Metric) -> None:
    margins = {Metric.FALSE_REJECT: 0.05}
    pairs = line(2.0, 3.5)
    config = PLAIN.model_copy(update={"primary": primary, "margins": margins, "least_gain": 0.0})
    assert judge(pairs, config).wins
    gate = judge(pairs, config).gates[0]
    removed = gate.gain / (1 - gate.champion if primary is Metric.AUROC else gate.champion)
    assert judge(pairs, config.model_copy(update={"least_gain": removed * 0.7})).wins
    found = judge(pairs, config.model_copy(update={"least_gain": removed}))
    assert "not shown to be better by more than" in found.text
    assert found.gates[0].needed == pytest.approx(gate.gain)


@pytest.mark.parametrize(("margin", "needed"), [(0.1, 29), (0.05, 59)])
def test_too_few_parts_are_refused_with_the_number_it_takes(margin: float, needed: int) -> None:
    config = PLAIN.model_copy(update={"margins": {Metric.ESCAPE: margin}})
    assert needed == needed_groups(margin)
    enough = line(2.0, 3.0, n=round(needed / 0.4) + 1)
    assert enough.count(True)[0] >= needed
    judge(enough, config)
    few = enough.rows(~enough.defective | (np.cumsum(enough.defective) < needed))
    with pytest.raises(PromiseError, match=rf"it takes {needed} independent defective parts") as caught:
        judge(few, config)
    assert (caught.value.needed, caught.value.available) == (needed, needed - 1)
    assert "confirm about 4 more defective parts" in str(caught.value)


def test_parts_of_one_group_count_once_and_unequal_weights_count_less() -> None:
    config = PLAIN.model_copy(update={"margins": {Metric.ESCAPE: 0.1}})
    few = line(2.0, 3.0, n=50, repeats=10)
    with pytest.raises(PromiseError, match="there are 20"):
        judge(few, config)
    pairs = line(2.0, 3.0, n=100)
    weights = np.where(np.arange(100) % 20 == 0, 100.0, 1.0)
    heavy = Pairs(pairs.champion, pairs.challenger, pairs.defective, pairs.groups, weights)
    with pytest.raises(PromiseError, match="which say as much as 2"):
        judge(heavy, config)


@pytest.mark.parametrize("lost", [0, 1, 3, 8])
def test_the_bound_of_a_loss_is_within_one_part_of_the_exact_one(lost: int) -> None:
    n = 200
    champion, challenger = np.ones(n), np.where(np.arange(n) < lost, -1.0, 1.0)
    pairs = Pairs(champion, challenger, np.ones(n, dtype=bool), np.arange(n).astype(str), np.ones(n))
    found = gain(pairs, Metric.ESCAPE, 0.95, 20_000, np.random.default_rng(0))
    exact = float(beta.ppf(0.95, lost + 1, n - lost))
    assert found.gain == pytest.approx(-lost / n)
    # Resamples lose whole parts.
    assert abs(-found.lower - exact) <= 1.01 / n
    if not lost:
        assert -found.lower == pytest.approx(3 / n, rel=0.01)


def test_doubling_every_part_within_its_group_changes_nothing() -> None:
    once, twice = (gain(line(2, 3, repeats=r), Metric.COST, 0.95, 400, np.random.default_rng(1)) for r in (1, 2))
    assert once.lower == pytest.approx(twice.lower)
    assert once.gain == pytest.approx(twice.gain)


def test_weighted_auroc_is_that_of_a_second_implementation() -> None:
    rng = np.random.default_rng(3)
    scores, defective = rng.integers(0, 12, 80) / 4, rng.random(80) < 0.4
    weights = rng.uniform(0.2, 4, (3, 80))
    for row, area in zip(weights, weighted_auroc(scores, defective, weights), strict=True):
        assert area == pytest.approx(roc_auc_score(defective, scores, sample_weight=row))


def test_naive_counting_favours_a_challenger_where_parts_were_chosen_near_the_champions_threshold() -> None:
    from benchmarks.promotions import simulate

    gains: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(30):
        pairs = simulate(np.random.default_rng(seed), 1000, "priority", 0.5, (2.0, 2.0), 0.3)
        for weighted in gains:
            weights = pairs.weights if weighted else np.ones(len(pairs.weights))
            areas = [weighted_auroc(scores, pairs.defective, weights) for scores in (pairs.champion, pairs.challenger)]
            gains[weighted].append(float(areas[1] - areas[0]))
    assert np.mean(gains[False]) > 0.02
    assert abs(np.mean(gains[True])) < 0.012


def test_the_configuration_in_the_repository_is_the_default_one(tmp_path: Path) -> None:
    assert load_challenge(Path("configs/challenge.yaml")) == ChallengeConfig()
    file = tmp_path / "rules.yaml"
    for text, words in [
        ("primary: recall", "primary"),
        ("primary: false_reject_rate", "takes one of auroc, escape_rate, cost"),
        ("margins: {auroc: 0.1}", "give it no margin"),
        ("margins: {escape_rate: 0}", "above 0"),
        ("synthetic_each: 0", "takes synthetic_each of 1 or more"),
        ("margin: 1", "margin is not a key"),
    ]:
        file.write_text(text)
        with pytest.raises(ConfigError, match=words) as caught:
            load_challenge(file)
        assert "\n" not in str(caught.value)
