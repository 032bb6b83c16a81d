"""MVTec AD's layout: ``test/<class>/<name>.png`` and ``ground_truth/<class>/<name>_mask.png``.

The class is the family of the flaws, or ``combined``, as in MVTec AD, where they are of several. There is no
``train/good``: it is for other parts than those that carry the flaws, or a detector would be tested on what it learnt.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from synth.export.base import Layout, Sample
from synth.files import link_file

COMBINED = "combined"


class Mvtec(Layout):
    """Links, so that pictures and masks take their space once."""

    name: ClassVar[str] = "mvtec"

    def add(self, folder: Path, sample: Sample, families: Sequence[str]) -> tuple[dict[str, str], Any]:
        """Link the picture and the mask under the class."""
        kinds = {family for family, instance in zip(sample.families, sample.instances, strict=True) if instance.any()}
        kind = kinds.pop() if len(kinds) == 1 else COMBINED
        digests = {}
        for there, here in (
            (f"test/{kind}/{sample.name}.png", f"images/{sample.name}.png"),
            (f"ground_truth/{kind}/{sample.name}_mask.png", f"masks/{sample.name}.png"),
        ):
            link_file(folder / here, folder / there)
            digests[there] = sample.digests[here]
        return digests, None

    def finish(self, folder: Path, added: Iterable[tuple[str, Any]], families: Sequence[str]) -> dict[str, str]:
        """There is nothing for the whole set."""
        return {}
