"""What a check finds, as plain data: a proposal, never a deed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "suspect": (
            "Suspected defects among the good",
            "Look at these first: labelled good, or taken for good, and unlike the rest.",
        ),
        "label_conflict": ("One picture, two labels", "The same or nearly the same picture has different labels."),
        "leak": (
            "Leaks between splits",
            "A group, or one scene, on both sides of the split: figures from the test would flatter.",
        ),
        "group_leak": (
            "Alike, yet in two groups",
            "Pictures of what looks like one scene are said to be independent: they may be drawn apart.",
        ),
        "unreadable": ("Unreadable files", "Damaged, empty or of a kind that cannot be read."),
        "mask": ("Masks that cannot be right", "Of another size than their image, damaged, or showing nothing."),
        "flat": ("Pictures without content", "All pixels are equal."),
        "format": ("Other size, shape, channels or depth", "Unlike what is usual in this set."),
        "exact_duplicate": ("Exact duplicates", "The same pixels, maybe in another file format."),
        "near_duplicate": ("Near duplicates", "The same scene once more: saved again, scaled, or exposed differently."),
        "blurred": ("Blurred", "Less fine detail than is usual for this camera."),
        "too_dark": ("Too dark", "Darker than is usual for this camera."),
        "too_bright": ("Too bright", "Brighter than is usual for this camera."),
        "low_contrast": ("Low contrast", "Less contrast than is usual for this camera."),
        "clipped_dark": ("Clipped in the dark", "More pixels at the lowest value than is usual for this camera."),
        "clipped_bright": ("Clipped in the light", "More pixels at the highest value than is usual for this camera."),
        "imbalance": ("Imbalance", "Classes, lots and cameras that a model could learn instead of the defect."),
    }
)
"""Title and explanation of each kind, the most pressing first."""


@dataclass(frozen=True)
class Finding:
    """One thing to look at.

    Attributes:
        kind: One of ``KINDS``.
        images: Places of the images in the list that was checked; several where they belong together.
        text: What was found, in a sentence.
        value: What was measured, where there is one number.
        limit: What it is compared with.
    """

    kind: str
    images: Sequence[int]
    text: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Check:
    """What one check says.

    Attributes:
        findings: Most pressing first.
        judged: Images that could be judged, by kind.
        notes: What could not be judged, and why; in sentences.
        details: Numbers behind it, for the report: plain data.
    """

    findings: Sequence[Finding] = ()
    judged: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
