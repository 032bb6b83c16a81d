"""Which decision scores can be compared: thresholds by camera or lot shift them, each version in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curation.plugin.binding import ledger_of


def on_one_scale(
    ctx: Any, scores: Sequence[float | None], models: Sequence[str | None], versions: Sequence[int | None]
) -> tuple[list[float | None], str]:
    """Decision scores that are on the scale of the image that comes last, and how many are not, in words.

    Args:
        ctx: Of a panel.
        scores: ``[N]``, None where an image has none.
        models: ``[N]`` whose.
        versions: ``[N]`` of the threshold.

    Returns:
        ``[N]`` scores, None for those on another scale; and a line that says so, or nothing.
    """
    with ledger_of(ctx.dataset) as ledger:
        named = sorted({model for model in models if model is not None})
        shifting = {
            (row.model_id, row.version)
            for model in named
            for row in ledger.thresholds(model)
            if row.origins is not None
        }
    scales = [pair if pair in shifting else None for pair in zip(models, versions, strict=True)]
    there = [scale for scale, score in zip(scales, scores, strict=True) if score is not None]
    alike = [score if there and scale == there[-1] else None for scale, score in zip(scales, scores, strict=True)]
    left_out = len(there) - sum(score is not None for score in alike)
    if not left_out:
        return alike, ""
    return alike, f"{left_out} images are left out: their scores were shifted by another threshold's cameras or lots."
