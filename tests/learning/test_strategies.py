"""Each strategy prefers what it should; whatever it prefers, parts are drawn as often as is stated."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from learning.errors import ConfigError
from learning.sampling import AUDIT_SHARE, STRATEGIES, Candidates, Known, draw_asks
from learning.sampling.strategies.diverse import k_centre

ROUNDS = 1200
PARTS = 60


def line(parts: int = PARTS, seed: int = 0) -> dict[str, Any]:
    """Parts in two clouds, with all that strategies can use."""
    rng = np.random.default_rng(seed)
    scores = rng.gamma(2, size=parts)
    embeddings = rng.normal(size=(parts, 6)) + 4.0 * (np.arange(parts) % 2)[:, None]
    return {
        "scores": scores,
        "threshold": float(np.quantile(scores, 0.8)),
        "embeddings": embeddings,
        "opinions": [scores + rng.normal(size=parts)],
        "known": Known(embeddings[:4] + 0.1, ["good", "dent", "dent", "crack"]),
        "trained": rng.normal(size=(10, 6)),
    }


def candidates(count: int = 12, **changed: Any) -> Candidates:
    return Candidates(**(line() | {"count": count} | changed))


def shares(name: str, parts: Candidates) -> np.ndarray:
    return np.sum(list(STRATEGIES[name].shares(parts).values()), axis=0)


def draw(name: str, seed: int, budget: int = 12, **changed: Any) -> Any:
    given = line() | changed
    scores, threshold = given.pop("scores"), given.pop("threshold")
    groups = [str(i) for i in range(len(scores))]
    return draw_asks(scores, threshold, groups, budget, seed=seed, strategy=name, **given)


@pytest.mark.parametrize("name", STRATEGIES)
def test_parts_are_drawn_as_often_as_stated_and_never_less_than_the_audits(name: str) -> None:
    seen, audits = np.zeros(PARTS), np.zeros(PARTS)
    stated: dict[int, float] = {}
    for seed in range(ROUNDS):
        for one in draw(name, seed):
            seen[one.index] += 1
            audits[one.index] += one.reason == "audit"
            assert stated.setdefault(one.index, one.inclusion_probability) == one.inclusion_probability
    probabilities = np.array([stated.get(i, 0.0) for i in range(PARTS)])
    assert probabilities.min() >= AUDIT_SHARE * 12 / PARTS - 1e-12
    assert probabilities.sum() == pytest.approx(12)
    assert np.abs(seen / ROUNDS - probabilities).max() <= 4.5 * np.sqrt(0.25 / ROUNDS)
    even = AUDIT_SHARE * 12 / PARTS if name != "random" else 12 / PARTS
    assert np.abs(audits / ROUNDS - even).max() <= 4.5 * np.sqrt(even * (1 - even) / ROUNDS)


@pytest.mark.parametrize("name", STRATEGIES)
def test_shares_add_up_to_one_and_hold_nothing_negative(name: str) -> None:
    found = shares(name, candidates())
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0


def test_borderline_prefers_what_is_near_the_threshold() -> None:
    parts = candidates(threshold=float(np.quantile(line()["scores"], 0.5)))
    found = STRATEGIES["borderline"].shares(parts)["borderline"]  # type: ignore[index]
    near = np.abs(parts.distance) < 0.1
    assert found[near].min() > found[~near].max()


def test_diverse_prefers_what_is_unlike_all_that_is_known() -> None:
    rng = np.random.default_rng(1)
    embeddings = rng.normal(size=(40, 3))
    embeddings[7] = 30.0  # alone, and nobody was asked about it
    embeddings[8:11] = -30.0 + 0.01 * rng.normal(size=(3, 3))  # three of a kind: one of them is enough
    parts = Candidates(
        rng.random(40), 0.9, 2, embeddings, known=Known(np.zeros((1, 3)), ["good"]), trained=rng.normal(size=(20, 3))
    )
    found = shares("diverse", parts)
    assert set(np.argsort(-found)[:2]) == {7, 8 + int(np.argmax(found[8:11]))}
    assert np.sort(found[8:11])[1] < 0.2 * found[8:11].max()
    # What was answered is a centre by itself.
    answered = Candidates(parts.scores, 0.9, 2, embeddings, known=Known(embeddings[7:8], ["dent"]))
    assert shares("diverse", answered)[7] < 0.01


def test_k_centre_is_the_greedy_algorithm() -> None:
    rows = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    start = rows[:3] + 0.5
    radii, left = k_centre(rows, start, 6)
    centres = list(start)
    expected = {}
    for _ in range(6):
        away = np.min([np.linalg.norm(rows - centre, axis=1) for centre in centres], axis=0)
        farthest = int(away.argmax())
        expected[farthest] = away[farthest]
        centres.append(rows[farthest])
    assert {int(i): pytest.approx(radii[i], rel=1e-3) for i in np.flatnonzero(radii)} == expected
    away = np.min([np.linalg.norm(rows - centre, axis=1) for centre in centres], axis=0)
    assert np.allclose(left, away, atol=1e-3)


def test_disagreement_prefers_what_models_see_differently() -> None:
    scores = np.linspace(0, 1, 50)
    other = scores.copy()
    other[[3, 48]] = other[[48, 3]]
    found = shares("disagreement", Candidates(scores, 0.9, 5, opinions=[other]))
    assert set(np.argsort(-found)[:2]) == {3, 48}
    # A model that says nothing of a part is no vote against it.
    silent = np.full(50, np.nan)
    silent[:10] = other[:10]
    assert np.isfinite(shares("disagreement", Candidates(scores, 0.9, 5, opinions=[silent]))).all()


def test_change_prefers_uncertain_parts_with_uncertain_neighbours() -> None:
    rng = np.random.default_rng(3)
    scores = np.linspace(0, 1, 100)
    embeddings = rng.normal(size=(100, 2)) * 0.1
    embeddings[85:95] += 8.0  # the borderline parts of one kind lie together …
    lonely = 84
    embeddings[lonely] = -60.0  # … and one as uncertain as they are lies alone
    found = shares("change", Candidates(scores, 0.895, 10, embeddings))
    assert found[85:90].min() > 1.5 * found[lonely]
    assert found[:50].max() < 0.15 * found[85:95].min()


def test_balance_prefers_kinds_of_which_least_is_confirmed() -> None:
    scores = np.linspace(0, 1, 100)
    embeddings = np.zeros((100, 2))
    embeddings[90:95], embeddings[95:] = 5.0, -5.0
    defects_known = Known(
        np.array([[5.0, 5.0]] * 6 + [[-5.0, -5.0]] + [[0.0, 0.0]]), ["dent"] * 6 + ["crack"] + ["good"]
    )
    found = shares("balance", Candidates(scores, 0.895, 10, embeddings, known=defects_known))
    assert found[95:].min() > 2 * found[90:95].max()  # cracks before dents
    few_defects = Known(np.zeros((9, 2)), ["good"] * 9)
    many_defects = Known(np.zeros((9, 2)), ["dent"] * 9)
    rejected = [
        shares("balance", Candidates(scores, 0.895, 10, known=one))[90:].sum() for one in (few_defects, many_defects)
    ]
    assert rejected[0] > 4 * rejected[1]


def test_the_mix_uses_what_there_is() -> None:
    bare = Candidates(line()["scores"], 3.0, 12)
    assert set(STRATEGIES["mix"].shares(bare)) == {"borderline", "rejected", "balance"}
    every = set(STRATEGIES["mix"].shares(candidates()))
    assert every == {"borderline", "rejected", "balance", "diverse", "change", "disagreement"}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize(
    "changed",
    [
        {"embeddings": np.ones((PARTS, 6)), "known": None, "trained": None},
        {"embeddings": np.where(np.arange(PARTS)[:, None] < 30, np.nan, line()["embeddings"])},
        {"scores": np.zeros(PARTS), "threshold": 0.5, "opinions": [np.zeros(PARTS)]},
        {"known": Known(np.full((4, 6), np.nan), ["good", "dent", "", "crack"])},
        {"opinions": [np.where(np.arange(PARTS) < 30, np.nan, 1.0)]},
        {"embeddings": 1e6 + line()["embeddings"], "trained": None},
    ],
    ids=["equal embeddings", "some embeddings", "equal scores", "known not embedded", "some opinions", "far away"],
)
def test_degenerate_parts_are_drawn_all_the_same(name: str, changed: dict[str, Any]) -> None:
    draws = draw(name, 1, **changed)
    assert len({one.index for one in draws}) == len(draws) == 12
    assert all(AUDIT_SHARE * 12 / PARTS - 1e-12 <= one.inclusion_probability <= 1 for one in draws)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_budget_above_the_number_of_parts_asks_about_all_for_certain(name: str, parts: int) -> None:
    given = {key: value[:parts] for key, value in line().items() if key in ("scores", "embeddings")}
    draws = draw(name, 0, budget=500, **given, opinions=[given["scores"][::-1]])
    assert [one.inclusion_probability for one in draws] == [1.0] * parts


@pytest.mark.parametrize("name", ["mix", "borderline", "diverse", "balance", "disagreement", "random"])
def test_one_part_alone_is_asked_about(name: str) -> None:
    opinions = [np.array([1.0])]
    if name == "disagreement":
        with pytest.raises(ConfigError, match="second opinion"):
            draw(name, 0, scores=np.ones(1), embeddings=np.ones((1, 6)), opinions=opinions)
        return
    draws = draw(name, 0, scores=np.ones(1), embeddings=np.ones((1, 6)), opinions=opinions)
    assert [(one.index, one.inclusion_probability) for one in draws] == [(0, 1.0)]


def test_what_a_strategy_lacks_is_said() -> None:
    for name in ("diverse", "change"):
        for embeddings in (None, np.full((PARTS, 6), np.nan)):
            with pytest.raises(ConfigError, match="no embeddings"):
                draw(name, 0, embeddings=embeddings)
    with pytest.raises(ConfigError, match="no second opinion"):
        draw("disagreement", 0, opinions=[])
    with pytest.raises(ConfigError, match="there are: mix, borderline"):
        draw("luck", 0)
    with pytest.raises(ValueError, match="as many as scores"):
        draw("mix", 0, embeddings=np.ones((3, 6)))


def test_the_default_is_the_mix_and_reasons_say_which_strategy_it_was() -> None:
    reasons: Counter[str] = Counter()
    for seed in range(300):
        reasons.update(one.reason for one in draw("mix", seed))
    assert set(reasons) == {"audit", "borderline", "rejected", "balance", "diverse", "change", "disagreement"}
    given = line()
    scores, threshold = given.pop("scores"), given.pop("threshold")
    groups = [str(i) for i in range(PARTS)]
    assert draw_asks(scores, threshold, groups, 12, seed=5, **given) == draw("mix", 5)
