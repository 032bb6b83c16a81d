"""What readers of labels have found."""

from curation.labels import Found, Label


def by_name(found: Found) -> dict[str, Label]:
    """Labels by the names of their pictures."""
    return {label.image.stem: label for label in found.labels}


def mask_of(found: Found, name: str) -> int:
    """Pixels of a label's mask."""
    read = by_name(found)[name].mask
    assert read is not None
    return int(read().sum())
