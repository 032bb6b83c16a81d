"""What Label Studio asks us: predictions for tasks, pictures at signed addresses, and to look for new answers."""

from integrations.label_studio.backend.app import make_app
from integrations.label_studio.backend.connecting import connect_backend, origins_of
from integrations.label_studio.backend.errands import Errands
from integrations.label_studio.backend.predictions import Predictor
from integrations.label_studio.backend.retraining import EnoughNew, Retraining

__all__ = [
    "EnoughNew",
    "Errands",
    "Predictor",
    "Retraining",
    "connect_backend",
    "make_app",
    "origins_of",
]
