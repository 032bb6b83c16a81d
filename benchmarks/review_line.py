"""A ledger with asks for ``benchmarks.review``, and inspectors who answer them through the server's interface."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage

from curation.ledger import AskEntry, ImageEntry, Ledger, ModelEntry, ScoreEntry, VerdictEntry
from integrations.label_studio import Answer
from integrations.label_studio.accounts import sign_up
from integrations.label_studio.client import ONCE, list_tasks
from integrations.label_studio.inspector import annotation_result

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

MODEL = "b" * 32
_KNOWN = 40
_DIMENSIONS = 512
_ATTEMPTS = 50
_PAUSE = 0.2
_PASSWORD = "long-password-1"


def fill_ledger(ledger: Ledger, folder: Path, count: int, side: int, seed: int) -> dict[str, Answer]:
    """Make pictures, maps, embeddings and asks, and good parts and defects to compare with.

    Args:
        ledger: An empty one.
        folder: For the files.
        count: Asks.
        side: Of the square pictures, in pixels.
        seed: Of all that is drawn.

    Returns:
        What the inspectors are to say, by ask id: three of ten are defects with a mask.
    """
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(count + _KNOWN):
        paths.append(folder / f"part{number}.png")
        surface = ndimage.zoom(rng.normal(0, 12, (side // 4, side // 4)), 4, order=1) + 128
        surface[:2, :16] = [int(bit) * 255 for bit in f"{number:016b}"]  # no two alike
        Image.fromarray(surface.clip(0, 255).astype(np.uint8)).save(paths[-1], compress_level=1)
    maps = [folder / f"map{number}.png" for number in range(16)]
    for path in maps:
        spots = np.zeros((side, side))
        spots[tuple(rng.integers(side // 4, 3 * side // 4, (2, 3)))] = 1
        blurred = ndimage.gaussian_filter(spots, side / 24)
        Image.fromarray((blurred / blurred.max() * 255).astype(np.uint8)).save(path)
    keys = ledger.add_images([ImageEntry(path, path.stem) for path in paths])
    ledger.record_model(ModelEntry(MODEL))
    ledger.record_scores(
        [ScoreEntry(key, MODEL, 1, 0.5, 0.5, map_path=maps[n % len(maps)]) for n, key in enumerate(keys)]
    )
    np.save(folder / "vectors.npy", rng.normal(size=(len(keys), _DIMENSIONS)).astype(np.float32))
    ledger.record_embeddings(MODEL, folder / "vectors.npy", keys)
    said = ("good", "defect")
    ledger.record_verdicts(
        [
            VerdictEntry(None, key, "data team", said[n % 2], "2026-01-01", "csv", key, "1")  # type: ignore[arg-type]
            for n, key in enumerate(keys[count:])
        ]
    )
    asks = ledger.create_asks([AskEntry(key, "borderline", 0.5, "benchmark", MODEL, 1) for key in keys[:count]])
    mask = np.zeros((side, side), bool)
    mask[side // 3 : side // 2, side // 3 : side // 2] = True
    return {
        ask: Answer("defect", mask, severity="critical") if n % 10 < 3 else Answer("good") for n, ask in enumerate(asks)
    }


def make_annotators(owner: LabelStudio, count: int) -> list[LabelStudio]:
    """Accounts, each with a connection of its own."""
    run = uuid.uuid4().hex[:8]
    return [sign_up(owner, f"inspector{number}.{run}@example.com", _PASSWORD) for number in range(count)]


def answer_at_once(
    owner: LabelStudio, annotators: Sequence[LabelStudio], project: int, truth: Mapping[str, Answer], most: int
) -> tuple[int, int]:
    """Let all annotators answer at the same time, each its own share of the tasks.

    As with a person at a browser, an answer that the server refuses is given again, after a look at whether it arrived.

    Returns:
        Answers given, and how often one had to be given again.
    """
    tasks = [task for task in list_tasks(owner, project, "id,data") if task.data["external_id"] in truth][:most]

    def answer(number: int) -> int:
        annotator, again = annotators[number], 0
        own = annotator.users.whoami().id
        for task in tasks[number :: len(annotators)]:
            result = annotation_result(truth[task.data["external_id"]])
            for attempt in range(_ATTEMPTS):
                if attempt and own in [a.completed_by for a in annotator.annotations.list(task.id)]:
                    break
                if _given(annotator, task.id, result):
                    break
                again += 1
                time.sleep(_PAUSE)
        return again

    with ThreadPoolExecutor(len(annotators)) as workers:
        return len(tasks), sum(workers.map(answer, range(len(annotators))))


def _given(annotator: LabelStudio, task: int, result: list[dict[str, Any]]) -> bool:
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    try:
        annotator.annotations.create(task, result=result, request_options=ONCE)
    except ApiError as error:
        if (error.status_code or 500) < 500:
            raise
        return False
    except httpx.TransportError:
        return False
    return True


def count_tasks(owner: LabelStudio, project: int) -> Counter[str]:
    """Tasks by ask."""
    return Counter(task.data["external_id"] for task in list_tasks(owner, project, "id,data", page_size=1000))


def annotations_of(owner: LabelStudio, project: int) -> list[str]:
    """Id and revision of every annotation that the server has, as the ledger names them."""
    fields = "id,data,annotations,updated_at"
    tasks = list_tasks(owner, project, fields, page_size=1000)
    return [f"{a['id']} {a['updated_at']}" for task in tasks for a in task.annotations or []]


def lost_and_doubled(found: Mapping[str, int], expected: Sequence[str]) -> dict[str, int]:
    """How many of the expected are missing, and how many are there more than once."""
    return {
        "lost": sum(found.get(key, 0) == 0 for key in expected),
        "doubled": sum(found.get(key, 0) > 1 for key in expected),
    }
