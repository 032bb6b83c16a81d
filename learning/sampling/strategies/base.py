"""What a strategy is."""

from typing import ClassVar, Protocol

from learning.sampling.candidates import Candidates, Shares


class Strategy(Protocol):
    """Prefers some parts to others; it never draws.

    Attributes:
        name: In commands and in the ledger.
    """

    name: ClassVar[str]

    def missing(self, candidates: Candidates) -> str:
        """What it takes and there is not, in words; empty where it can be used."""
        ...

    def shares(self, candidates: Candidates) -> Shares:
        """How much of the sample each part gets, for which reason; all together add up to one.

        It follows from the candidates alone, with no chance in it, or inclusion probabilities would not be known.
        """
        ...
