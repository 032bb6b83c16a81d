"""Gold items: images whose truth is known, put among the tasks to learn how inspectors err."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curation.by_hand import GOLD

if TYPE_CHECKING:
    from curation.ledger import AskRow, Ledger, Truth


def gold_truths(ledger: Ledger) -> dict[str, Truth]:
    """What is known for sure: what somebody vouches for, and images that at least two inspectors settled.

    Args:
        ledger: With gold items and verdicts.

    Returns:
        The truth by image id; where the two differ, what is vouched for.
    """
    truths: dict[str, Truth] = {}
    for one in ledger.resolved():
        agreeing = {verdict.inspector for verdict in one.verdicts if verdict.verdict == one.state}
        if one.state != "unresolved" and len(agreeing) > 1:
            truths[one.image_id] = one.state
    return truths | {item.image_id: item.truth for item in ledger.gold_items()}


def open_gold(ledger: Ledger, count: int, seed: int = 0) -> tuple[list[str], int]:
    """Ask about gold items until ``count`` of them are open, as many good ones as defects where there are both.

    Their answers are no verdicts on the images. Those that were asked about least come first.

    Args:
        ledger: With scores: what is beside the image comes from them.
        count: How many may be open at once.
        seed: Of the draw among equals.

    Returns:
        The new ask ids, and how many more it would have taken: there are too few images whose truth is known.
    """
    from curation.ledger import AskEntry

    asks = ledger.asks()
    times = gold_uses(asks)
    open_images = {ask.image_id for ask in asks if ask.state in ("created", "pushed")}
    wanted = count - sum(ask.strategy == GOLD and ask.state in ("created", "pushed") for ask in asks)
    if wanted <= 0:
        return [], 0
    scores = {score.image_id: score for score in ledger.scores()}
    truths = gold_truths(ledger)
    free = sorted(key for key in truths if key in scores and key not in open_images)
    order = np.random.default_rng(seed).permutation(len(free))
    queues: dict[str, list[str]] = {"good": [], "defect": []}
    for key in sorted((free[place] for place in order), key=lambda key: times.get(key, 0)):
        queues[truths[key]].append(key)
    chosen: list[str] = []
    while len(chosen) < wanted and any(queues.values()):
        fewest = min((name for name in queues if queues[name]), key=lambda name: sum(truths[c] == name for c in chosen))
        chosen.append(queues[fewest].pop(0))
    entries = [
        AskEntry(key, GOLD, 1.0, GOLD, scores[key].model_id, scores[key].threshold_version, seed) for key in chosen
    ]
    return (ledger.create_asks(entries) if entries else []), wanted - len(chosen)


def gold_uses(asks: list[AskRow]) -> dict[str, int]:
    """How often each image was a gold item."""
    uses: dict[str, int] = {}
    for ask in asks:
        if ask.strategy == GOLD:
            uses[ask.image_id] = uses.get(ask.image_id, 0) + 1
    return uses
