"""What a challenger's weights may begin with; in a module of its own, as commands name it before anything is loaded."""

from enum import StrEnum


class Start(StrEnum):
    """What a challenger's weights begin with.

    ``auto``: the champion's, where its detector can go on from them and no other training is configured; else scratch.
    ``champion``: the champion's, or it is refused.
    ``scratch``: nothing.
    """

    AUTO = "auto"
    CHAMPION = "champion"
    SCRATCH = "scratch"
