"""Draw the parts that inspectors are asked about: priorities of a strategy, mixed with audits, drawn by the design."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.errors import ConfigError
from learning.sampling.candidates import Candidates, Floats, Known, Reason, Shares
from learning.sampling.design import inclusion_probabilities, systematic_sample
from learning.sampling.strategies import DEFAULT, STRATEGIES, Strategy
from learning.sampling.strategies.borderline import Borderline

AUDIT_SHARE = 0.15
"""Share of the budget that is spread evenly over all parts, unless another is given."""


@dataclass(frozen=True)
class Draw:
    """One image to ask about.

    Attributes:
        index: Its place in the sequence of scores.
        reason: Why; audits alone are a sample in which all parts had the same probability.
        inclusion_probability: Probability in (0, 1] with which its group came into the sample, for whatever reason.
    """

    index: int
    reason: str
    inclusion_probability: float


def strategy_named(name: str) -> Strategy:
    """Look a strategy up.

    Raises:
        ConfigError: If there is none of this name.
    """
    if name not in STRATEGIES:
        msg = f"no strategy is called {name!r}; there are: {', '.join(STRATEGIES)}"
        raise ConfigError(msg)
    return STRATEGIES[name]


def draw_asks(
    scores: Sequence[float] | NDArray[np.floating],
    threshold_value: float,
    groups: Sequence[str],
    budget: int,
    audit_share: float = AUDIT_SHARE,
    seed: int = 0,
    *,
    strategy: str = DEFAULT,
    embeddings: NDArray[np.floating] | None = None,
    opinions: Sequence[NDArray[np.floating]] = (),
    known: Known | None = None,
    trained: NDArray[np.floating] | None = None,
) -> list[Draw]:
    """Draw the images that inspectors are asked about, at most one of each group (of exposures).

    A group (a part with several exposures) is shown by its highest-scoring image, the one that decides about it. The
    sample has exactly ``min(budget, number of groups)`` images.

    Args:
        scores: ``[N]`` decision scores; higher is more anomalous.
        threshold_value: A part is rejected above it.
        groups: ``[N]`` what must not be asked about twice: a part, or whatever its exposures share.
        budget: How many answers the inspectors can give.
        audit_share: Share of the budget that is spread evenly over all groups; in (0, 1].
        seed: The same seed draws the same sample.
        strategy: One of ``STRATEGIES``.
        embeddings: ``[N, D]``, see ``Candidates``.
        opinions: ``[N]`` each, see ``Candidates``.
        known: See ``Candidates``.
        trained: See ``Candidates``.

    Returns:
        The draws, highest score first.

    Raises:
        ValueError: If lengths differ, a score is not finite, the budget is negative, or the share out of range.
        ConfigError: If there is no such strategy, or what it takes is not there.
    """
    chosen_strategy = strategy_named(strategy)
    values = np.asarray(scores, dtype=np.float64)
    if budget < 0 or not 0 < audit_share <= 1:
        msg = f"budget must be at least 0 and audit_share in (0, 1]; got {budget} and {audit_share}"
        raise ValueError(msg)
    if values.shape != (len(groups),) or not np.isfinite(values).all():
        msg = f"one finite score for each group entry is needed; got shape {values.shape} and {len(groups)} groups"
        raise ValueError(msg)
    beside = [*([] if embeddings is None else [embeddings]), *opinions]
    if any(len(one) != len(values) for one in beside):
        msg = f"embeddings and opinions must be as many as scores; got {[len(one) for one in beside]}, {len(values)}"
        raise ValueError(msg)
    if not len(values) or not budget:
        return []
    shown = _highest_of_each_group(values, groups)
    candidates = Candidates(
        values[shown],
        threshold_value,
        min(budget, len(shown)),
        None if embeddings is None else np.asarray(embeddings, dtype=np.float64)[shown],
        [np.asarray(opinion, dtype=np.float64)[shown] for opinion in opinions],
        known,
        None if trained is None else np.asarray(trained, dtype=np.float64),
    )
    if reason := chosen_strategy.missing(candidates):
        msg = f"the strategy {strategy} cannot be used: {reason}; choose another one, such as {DEFAULT}"
        raise ConfigError(msg)
    shares = with_audits(chosen_strategy.shares(candidates), len(candidates), audit_share)
    probabilities = inclusion_probabilities(np.sum(list(shares.values()), axis=0), candidates.count)

    generator = np.random.default_rng(seed)
    chosen = systematic_sample(probabilities, generator)
    # An even share of the sample, whatever the part's priority, so that audits by themselves are a uniform sample.
    audit = audit_share * candidates.count / len(shown) / probabilities[chosen]
    audited = generator.random(len(chosen)) < audit
    others = _reasons(shares, chosen, generator)
    draws = [
        Draw(
            index=int(shown[i]),
            reason=str(Reason.AUDIT if audits else other),
            inclusion_probability=float(probabilities[i]),
        )
        for i, audits, other in zip(chosen, audited, others, strict=True)
    ]
    return sorted(draws, key=lambda draw: (-values[draw.index], draw.index))


def ask_probabilities(scores: Floats, threshold_value: float, count: int, audit_share: float = AUDIT_SHARE) -> Floats:
    """Probabilities with which ``borderline`` and audits draw parts of one image each.

    Whatever the strategy, none is below ``audit_share * count / G``: promises rely on that.

    Args:
        scores: ``[G]`` decision scores.
        threshold_value: A part is rejected above it.
        count: Size of the sample, at most G.
        audit_share: See ``draw_asks``.

    Returns:
        ``[G]`` in (0, 1].
    """
    shares = with_audits(Borderline().shares(Candidates(scores, threshold_value, count)), len(scores), audit_share)
    return inclusion_probabilities(np.sum(list(shares.values()), axis=0), count)


def with_audits(shares: Shares, parts: int, audit_share: float) -> Shares:
    """Leave a share of the sample to all parts alike; together they add up to one again."""
    mixed = {reason: (1 - audit_share) * share for reason, share in shares.items()}
    return mixed | {Reason.AUDIT: mixed.get(Reason.AUDIT, np.zeros(parts)) + audit_share / parts}


def _reasons(shares: Shares, chosen: NDArray[np.int64], generator: np.random.Generator) -> list[Reason]:
    """Why each was chosen if it is no audit, drawn by how much each reason gave to it."""
    names = [reason for reason in shares if reason is not Reason.AUDIT]
    if not names:
        return [Reason.AUDIT] * len(chosen)
    each = np.cumsum([shares[name][chosen] for name in names], axis=0)
    # Of what nothing but audits gave to, the first name is never used: it is an audit for certain.
    ticks = generator.random(len(chosen)) * each[-1]
    return [names[int(i)] for i in (each <= ticks).sum(axis=0).clip(max=len(names) - 1)]


def _highest_of_each_group(scores: Floats, groups: Sequence[str]) -> NDArray[np.int64]:
    highest: dict[str, int] = {}
    for i, group in enumerate(groups):
        if group not in highest or scores[i] > scores[highest[group]]:
            highest[group] = i
    return np.array(list(highest.values()), dtype=np.int64)
