"""``detector: auto``: candidates are tried on some of the good parts, and the best has the rest of the budget."""

from learning.auto.choosing import Look, choose_detector, rest_of
from learning.auto.record import Choice, Judged

__all__ = ["Choice", "Judged", "Look", "choose_detector", "rest_of"]
