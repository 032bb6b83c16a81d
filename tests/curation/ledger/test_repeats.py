"""Whatever is written twice, in whatever order, leaves what writing it once leaves."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.ledger import AskEntry, ImageEntry, Ledger, ScoreEntry, VerdictEntry

IMAGES = 3
SAID = ("good", "defect", "unsure", "skipped", "withdrawn")

scores = st.tuples(st.just("score"), st.integers(0, IMAGES - 1), st.integers(1, 2))
asks = st.tuples(st.just("ask"), st.integers(0, IMAGES - 1), st.sampled_from(("borderline", "audit")))
verdicts = st.tuples(
    st.just("verdict"),
    st.integers(0, IMAGES - 1),
    st.sampled_from(("ann", "bob")),
    st.sampled_from(SAID),
    st.integers(1, 3),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with images, to be copied: migrating anew for every example takes too long."""
    folder = tmp_path_factory.mktemp("template")
    files = [folder / f"{number}.png" for number in range(IMAGES)]
    for file in files:
        file.write_bytes(file.name.encode())
    with Ledger.open(folder / "ledger.db") as ledger:
        ledger.add_images([ImageEntry(file) for file in files])
    return folder / "ledger.db"


def write(ledger: Ledger, step: tuple[Any, ...], first_asks: dict[int, str]) -> None:
    images = [row.image_id for row in ledger.images()]
    kind, place, *rest = step
    if kind == "score":
        ledger.record_scores([ScoreEntry(images[place], "model", rest[0], 0.5, 0.5)])
    elif kind == "ask":
        (ask_id,) = ledger.create_asks([AskEntry(images[place], rest[0], 0.5, "systematic", "model", 1)])
        first_asks.setdefault(place, ask_id)
    else:
        who, said, revision = rest
        at = f"2026-01-01T00:00:0{revision}Z"
        key = f"{who}-{place}"
        entry = VerdictEntry(first_asks.get(place), images[place], who, said, at, "ls", key, str(revision))
        ledger.record_verdicts([entry])


def state(ledger: Ledger) -> dict[str, Any]:
    """Everything but random ids and the clock."""
    names = {row.ask_id: number for number, row in enumerate(ledger.asks())}
    return {
        "scores": [(row.image_id, row.threshold_version, row.score) for row in ledger.scores(latest=False)],
        "asks": [(row.image_id, row.reason, row.state, row.answered_at) for row in ledger.asks()],
        "verdicts": [
            (names.get(row.ask_id or ""), row.image_id, row.inspector, row.verdict, row.revision)
            for row in ledger.verdicts()
        ],
        "resolved": [(row.image_id, row.state, len(row.verdicts)) for row in ledger.resolved()],
    }


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(steps=st.lists(st.one_of(scores, asks, verdicts), max_size=8), seed=st.integers(0, 99))
def test_repeats_change_nothing(
    template: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[Any], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("repeats")
    states = []
    for name in ("once", "again"):
        shutil.copy(template, folder / name)
        chance = random.Random(seed)
        first_asks: dict[int, str] = {}
        with Ledger.open(folder / name) as ledger:
            for number, step in enumerate(steps):
                write(ledger, step, first_asks)
                if name == "again":
                    # Asked again after an answer is a new question, not a repeat.
                    asked = {row.image_id for row in ledger.asks("created")}
                    waiting = {place for place, row in enumerate(ledger.images()) if row.image_id in asked}
                    earlier = [old for old in steps[: number + 1] if old[0] != "ask" or old[1] in waiting]
                    for old in chance.choices(earlier, k=3) if earlier else []:
                        write(ledger, old, first_asks)
            states.append(state(ledger))
    shutil.rmtree(folder)
    assert states[0] == states[1]
