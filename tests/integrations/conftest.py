"""What tests of champion and challenger have in common."""

from collections.abc import Callable
from pathlib import Path

import pytest

from learning.detectors import DETECTORS
from tests.integrations.plant import Plant


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plant]:
    monkeypatch.setitem(DETECTORS, "stub", "tests.integrations.stub:StubDetector")
    monkeypatch.setitem(DETECTORS, "tunable", "tests.integrations.stub:TunableStub")
    return lambda champion, **more: Plant(tmp_path, champion, **more)
