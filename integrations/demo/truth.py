"""What is truly so about a stream: for the scripted inspector, and for measuring."""

from dataclasses import dataclass
from pathlib import Path

from integrations.label_studio.inspector import Answer
from learning.images.pixels import read_image, read_mask
from learning.images.readers import read_data
from learning.images.records import ImageRecord


@dataclass(frozen=True)
class Truth:
    """A stream as its maker knows it.

    Attributes:
        records: With labels and masks.
    """

    records: list[ImageRecord]

    @classmethod
    def read(cls, stream: Path) -> "Truth":
        """Read ``truth.csv`` of a stream that ``synth.parts.make_line`` made."""
        return cls(read_data(stream / "truth.csv"))

    def of(self, part: str) -> ImageRecord:
        """The record of a part; of its defective image, if any."""
        found = [record for record in self.records if record.part == part]
        return next((record for record in found if record.defective), found[0])

    def answers(self) -> dict[str, Answer]:
        """What an inspector who sees everything says of each part."""
        answers = {}
        for record in self.records:
            if record.part not in answers or record.defective:
                answers[record.part] = _answer(record)
        return answers


def camera_of(kind: str) -> str:
    """Camera that parts of a kind pass."""
    return f"{kind}-camera"


def kind_of(record: ImageRecord) -> str:
    """Kind of a part: each kind passes a camera of its own."""
    return (record.camera or "part").removesuffix("-camera")


def _answer(record: ImageRecord) -> Answer:
    if not record.defective:
        return Answer("good")
    mask = None
    if record.mask is not None:
        height, width = read_image(record.path).shape[-2:]
        mask = read_mask(record.mask, (height, width)).numpy()
    return Answer("defect", mask, record.label)
