"""Whether it is time for a new model: by the number of new verdicts, or by a drift alarm."""

from __future__ import annotations

from dataclasses import dataclass

from curation.drift.cameras import Rules
from curation.drift.watch import watch_ledger
from curation.ledger import Ledger
from curation.set_versions import new_since_last
from learning.progress import Progress, silent


@dataclass(frozen=True)
class Due:
    """Whether a challenger is due.

    Attributes:
        due: Whether any of the conditions that were asked for holds; always where none was.
        new: Images that are newly confirmed since the last challenger was judged.
        drift: What drift alarms say that are younger than that judgement; empty where none was asked about.
        text: In words.
    """

    due: bool
    new: int
    drift: tuple[str, ...]
    text: str


def challenger_due(
    ledger: Ledger,
    camera: str = "",
    *,
    if_new: int = 0,
    if_drift: bool = False,
    rules: Rules | None = None,
    progress: Progress = silent,
) -> Due:
    """Say whether a challenger is due. An alarm counts until a challenger was judged after it.

    Args:
        ledger: With verdicts and scores.
        camera: Whose model; empty for all.
        if_new: So many images have to be newly confirmed; 0 asks for none.
        if_drift: Whether a drift alarm will do.
        rules: How cameras are watched.
        progress: Told the number of pictures to be measured.
    """
    new = new_since_last(ledger, camera)
    alarms: tuple[str, ...] = ()
    if if_drift:
        judged = ledger.challenges(camera)
        last = judged[-1].at if judged else None
        states = watch_ledger(ledger, rules or Rules(), camera=camera or None, progress=progress)
        alarms = tuple(
            found.text for state in states for found in state.findings if last is None or found.raised_at > last
        )
    if not if_new and not if_drift:
        return Due(True, new, alarms, "")
    counted = f"{new} images are newly confirmed since the last challenger"
    counted += f", fewer than {if_new}" if if_new and new < if_new else ""
    drifted = f"drift: {'; '.join(alarms)}" if alarms else "no new drift alarm"
    text = "; ".join([counted] * bool(if_new) + [drifted] * if_drift)
    return Due(bool(alarms) or (if_new > 0 and new >= if_new), new, alarms, text)
