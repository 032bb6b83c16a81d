"""The inspection plugin of the FiftyOne App; ``fiftyone.yml`` beside this file names what it brings."""

from __future__ import annotations

from typing import Any


def register(plugin: Any) -> None:
    """What FiftyOne calls to learn of operators and panels."""
    # Absolute: FiftyOne loads this file by its path, as a module that has no package.
    from curation.plugin.binding import uncover_packages
    from curation.plugin.operators import OPERATORS
    from curation.plugin.panels import PANELS
    from curation.plugin.selecting import SelectShown

    uncover_packages()
    for one in (*OPERATORS, *PANELS, SelectShown):
        plugin.register(one)
