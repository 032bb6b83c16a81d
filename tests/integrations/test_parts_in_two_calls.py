"""Images of a part that are scored one after the other: ledger and table say the same of it."""

from collections.abc import Callable

from curation.ledger import Ledger
from integrations.recording import score_images
from learning.images.records import ImageRecord
from tests.integrations.plant import SHARP, Plant, picture


def test_an_image_goes_with_its_part_that_is_rejected_later(make: Callable[..., Plant]) -> None:
    plant = make(SHARP)
    shown = {name: picture(plant.root / "two" / f"{name}.png", 700 + n, 120 * (n == 1)) for n, name in enumerate("ab")}
    alone = picture(plant.root / "two" / "alone.png", 702)
    first, second = (ImageRecord(path=path, part="P") for path in shown.values())
    other = ImageRecord(path=alone, part="Q")
    with Ledger.open(plant.place) as ledger:

        def scored(*records: ImageRecord) -> dict[str, str]:
            result = score_images(plant.bundle, records, ledger=ledger, home=plant.home)
            return {image.image.stem: image.decision for image in result.scored}

        def recorded() -> dict[str, str]:
            names = {image.image_id: image.path.stem for image in ledger.images()}
            rows = {names[row.image_id]: row.decision for row in ledger.scores()}
            return {name: rows[name] for name in ("a", "b", "alone") if name in rows}

        assert scored(first, other) == recorded() == {"a": "accept", "alone": "accept"}
        assert scored(first, second, other) == recorded() == {"a": "reject", "b": "reject", "alone": "accept"}
        # A part of the same name in another call is another part, for all that is known.
        third = ImageRecord(path=picture(plant.root / "two" / "later.png", 703, 120), part="Q")
        assert scored(third) == {"later": "reject"}
        assert recorded()["alone"] == "accept"
