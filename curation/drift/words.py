"""What an alarm says, and what to do about it. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from curation.drift.units import WITHIN

NAMES = {
    "brightness": "brightness",
    "contrast": "contrast",
    "sharpness": "sharpness",
    "grain": "finest detail (noise)",
    "red": "red against green",
    "blue": "blue against green",
    "score": "anomaly score of accepted parts",
    "rejected": "share that is rejected",
    "embedding": "appearance (embeddings)",
    "unsure": "share of unsure answers",
}

_CAUSES: Mapping[str, str] = {
    "focus": "check the focus, the lens for dirt and the distance to the part",
    "gain": "check the camera's gain and the light, as pictures are noisier",
    "light": "check the lamp and the exposure time",
    "colour": "check the lamp's colour and the camera's white balance",
    "surface": "look at the pictures: a new lot, material or supplier, or another pose",
    "model": "look at the rejected parts: more defects, or parts that the model does not know",
    "people": "look at what inspectors could not decide, and tell them what counts as a defect",
}


def plain(statistic: str) -> str:
    """A statistic in words."""
    base = statistic.removesuffix(WITHIN)
    return NAMES[base] + (", against earlier parts of the lot" if statistic.endswith(WITHIN) else "")


def direction_of(statistic: str, shift: float) -> str:
    """How a statistic moved."""
    if statistic == "embedding":
        return "different"
    return "higher" if shift > 0 else "lower" if shift < 0 else "more spread"


def advice(directions: Sequence[tuple[str, str]], wanted: int | None) -> str:
    """One sentence on what to do.

    Args:
        directions: Statistics that raised an alarm, and how they moved.
        wanted: Independent good parts that the promise of the threshold takes.
    """
    if not directions:
        return ""
    parts = f"{wanted} good parts" if wanted else "good parts"
    stays = (
        f"if it is to stay, have {parts} from after the change confirmed (flawsmith review push) and learn from them: "
        "flawsmith retrain for the threshold, flawsmith retrain challenger for the model"
    )
    return f"{_CAUSES[cause_of(directions)]}; {stays}"


def cause_of(directions: Sequence[tuple[str, str]]) -> str:
    """What is the most likely to have changed, one of ``_CAUSES``; a guess by rules."""
    moved = {statistic.removesuffix(WITHIN): how for statistic, how in directions}
    if moved.get("sharpness") == "lower" or moved.get("grain") == "lower":
        return "focus"
    if moved.get("grain") in ("higher", "more spread"):
        return "gain"
    if {"red", "blue"} & moved.keys():
        return "colour"
    if "brightness" in moved:
        return "light"
    if {"contrast", "sharpness", "embedding"} & moved.keys():
        return "surface"
    return "people" if set(moved) == {"unsure"} else "model"


def plain_tag(statistic: str) -> str:
    """A statistic as a tag."""
    return statistic.replace(" ", "-")
