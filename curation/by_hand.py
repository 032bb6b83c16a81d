"""How what a person chose is told from what a draw chose; here, as it is needed where nothing else of the ledger is."""

BY_HAND = "chosen by hand"
"""Strategy and reason of asks that no draw chose: no promise is made from their answers."""
MARKED = "marked by hand"
"""Source of verdicts that were given without an ask, by who looked through images."""
SECOND_LOOK = "second look"
"""Strategy and reason of asks about images on which inspectors disagree or are unsure."""
GOLD = "gold item"
"""Strategy and reason of asks whose answer is known: they tell of the inspector, and are no verdict on the image."""
NOT_DRAWN = frozenset({BY_HAND, SECOND_LOOK, GOLD})
"""Strategies of asks that no draw chose."""
IMPORTED = "imported"
"""Begins the source of verdicts that came from labels made elsewhere, of images that somebody had chosen."""
IMPORTED_SAMPLE = "random sample, imported"
"""The same where whoever imported them said that the images are a simple random sample."""


def is_no_sample(source: str) -> bool:
    """Whether a verdict that nobody asked for is about an image that somebody chose, by its source."""
    return source == MARKED or source.startswith(IMPORTED)
