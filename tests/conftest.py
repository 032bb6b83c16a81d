"""What every test finds: no telemetry, no colours, and servers only on this machine."""

import os

import pytest
from hypothesis import settings

# The same examples every time: a test that fails now and then tells nobody what to mend.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
os.environ["COLLECT_ANALYTICS"] = "false"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own ledger and servers out of the tests."""
    for name in ("FLAWSMITH_LEDGER", "FLAWSMITH_HOME", "FLAWSMITH_LABEL_STUDIO_URL", "FLAWSMITH_LABEL_STUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
