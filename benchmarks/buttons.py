"""``python -m benchmarks.buttons``: how long a person waits for why, similar, spread, inspect, mark and source.

The ledger of ``benchmarks.made_ledger``, in which as many images again have the verdict good, with embeddings of 320
numbers that are as much alike as those of parts of one kind. Each button is pressed in a process of its own, as the
commands do: the first time reads whatever it reads, the others follow, as often as ``--times`` says, but no longer than
``--seconds`` each. FiftyOne has no part in it; showing the answer
there is not counted.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.console import show
from benchmarks.machine import describe_machine
from benchmarks.made_ledger import FILES, JUDGED, MODEL, judge, make_ledger
from benchmarks.workers.memory import peak_memory
from curation.ledger import Ledger
from integrations.cli.console import bar
from learning.progress import Progress, silent

WIDTH = 320
"""Numbers in an embedding, as many as ``segment`` gives."""
AT_ONCE = 20
"""Images that are sent to inspection, marked or chosen as a source at once."""
_COMMON, _UNUSUAL = 3.0, 0.5

_ledger: Ledger | None = None


def _why(ledger: Ledger, keys: Sequence[str]) -> None:
    from curation.lookalikes import why_decided

    why_decided(ledger, keys[0])


def _similar(ledger: Ledger, keys: Sequence[str]) -> None:
    from curation.lookalikes import find_more

    find_more(ledger, keys[0])


def _spread(ledger: Ledger, keys: Sequence[str]) -> None:
    from curation.spreading import propose_twins

    propose_twins(ledger, keys[:1])


def _inspect(ledger: Ledger, keys: Sequence[str]) -> None:
    from curation.actions import send_to_inspection

    send_to_inspection(ledger, keys)


def _mark(ledger: Ledger, keys: Sequence[str]) -> None:
    from curation.actions import mark

    mark(ledger, keys, "defect", "benchmark")


def _source(ledger: Ledger, keys: Sequence[str]) -> None:
    from curation.actions import use_as_source

    use_as_source(ledger, keys, "benchmark")


BUTTONS: dict[str, Callable[[Ledger, Sequence[str]], None]] = {
    "why": _why,
    "similar": _similar,
    "spread": _spread,
    "inspect": _inspect,
    "mark": _mark,
    "source": _source,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark.

    Args:
        arguments: Of the command line; by default those of the process.
    """
    options = _parse(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    count = options.count or (10_000 if options.quick else 100_000)
    machine = {**describe_machine(), "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="flawsmith-benchmark-", dir=options.folder) as folder:
        times = options.times or (5 if options.quick else 20)
        with bar("nothing was kept") as progress:
            buttons = measure(Path(folder), count, times, options.seed, options.seconds, progress)
    result = {
        "benchmark": "buttons",
        "quick": options.quick,
        "images": count,
        "judged": 2 * len(range(0, count, JUDGED)),
        "width": WIDTH,
        "seed": options.seed,
        "buttons": buttons,
        "peak_mb": max((button["peak_mb"] for button in buttons if button["peak_mb"] is not None), default=None),
        "machine": machine,
    }
    show(result, _drawn(result), options.json)


def measure(
    folder: Path, count: int, times: int, seed: int, most_seconds: float = 120.0, progress: Progress = silent
) -> list[dict[str, Any]]:
    """Press each button.

    Args:
        folder: For the ledger.
        count: Of images.
        times: That each is pressed.
        seed: Of the ledger, and of the images that are asked about.
        most_seconds: After which a button is not pressed again, once it was pressed twice.
        progress: Told how often buttons were pressed.

    Returns:
        Of each button: ``button``, ``pressed`` (how often), ``first_seconds``, ``p50_seconds`` and ``p95_seconds`` (of
        the others), ``cpu_seconds`` (their median), ``peak_mb`` (of the process, with Python and all that it imports;
        None where the system does not say).
    """
    rng = np.random.default_rng(seed)
    place = make_ledger(folder, count, rng, progress)
    with Ledger.open(place) as ledger:
        keys = [image.image_id for image in ledger.images()]
        judge(ledger, keys[1::JUDGED], "good")
        np.save(folder / "embeddings.npy", _embeddings(count, rng))
        ledger.record_embeddings(MODEL, folder / "embeddings.npy", keys)
    # Defects, of which every button has something to say.
    asked = rng.choice(keys[::JUDGED], (times, min(AT_ONCE, count // JUDGED))).tolist()
    found = []
    for row, name in enumerate(BUTTONS):
        done = row * times

        def pressed(number: int, name: str = name, done: int = done) -> None:
            progress(done + number, len(BUTTONS) * times, f"pressing {name}")

        found.append({"button": name, **_measured(name, place, asked, most_seconds, pressed)})
    return found


def _measured(
    name: str, place: Path, asked: Sequence[Sequence[str]], most_seconds: float, pressed: Callable[[int], None]
) -> dict[str, float | None]:
    """Press a button again and again, in a process that has done nothing else."""
    seconds: list[float] = []
    processor: list[float] = []
    pressed(0)
    with ProcessPoolExecutor(1, get_context("spawn"), _open, (place,)) as process:
        for keys in asked:
            wall, cpu, peak = process.submit(_press, name, keys).result()
            seconds.append(wall)
            processor.append(cpu)
            pressed(len(seconds))
            if len(seconds) > 1 and sum(seconds) > most_seconds:
                break
    later = seconds[1:] or seconds
    return {
        "pressed": len(seconds),
        "first_seconds": seconds[0],
        "p50_seconds": float(np.quantile(later, 0.5)),
        "p95_seconds": float(np.quantile(later, 0.95)),
        "cpu_seconds": float(np.median(processor[1:] or processor)),
        "peak_mb": peak,
    }


def _embeddings(count: int, rng: np.random.Generator) -> np.ndarray:
    """``[N, D]`` float32: parts that all look alike, with an own direction for those that are called defects."""
    vectors = rng.normal(size=(count, WIDTH)).astype(np.float32) * np.geomspace(0.05, 1, WIDTH, dtype=np.float32)
    vectors += _COMMON
    vectors[::JUDGED] += _UNUSUAL * rng.normal(size=WIDTH).astype(np.float32)
    return vectors


def _open(place: Path) -> None:
    """Open the ledger in the process whose buttons are pressed; it ends with the process."""
    global _ledger
    _ledger = Ledger.open(place)


def _press(name: str, keys: Sequence[str]) -> tuple[float, float, float | None]:
    """Press a button once: seconds, of the processor, and the process's highest memory so far in MB."""
    assert _ledger is not None
    wall, cpu = time.perf_counter(), time.process_time()
    BUTTONS[name](_ledger, keys)
    return time.perf_counter() - wall, time.process_time() - cpu, peak_memory()


def _drawn(result: dict[str, Any]) -> Table:
    table = Table(title=f"{result['images']:,} images, {result['judged']:,} with a verdict")
    for heading in ("button", "pressed", "first, s", "p50, s", "p95, s", "CPU, s", "peak MB"):
        table.add_column(heading, justify="left" if heading == "button" else "right")
    for button in result["buttons"]:
        names = ("first_seconds", "p50_seconds", "p95_seconds", "cpu_seconds")
        table.add_row(
            button["button"],
            str(button["pressed"]),
            *(f"{button[name]:.3f}" for name in names),
            "–" if button["peak_mb"] is None else f"{button['peak_mb']:.0f}",
        )
    return table


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.buttons", description=__doc__)
    parser.add_argument("--count", type=int, help="of images; by default 100,000, quick 10,000")
    parser.add_argument("--times", type=int, help="that each button is pressed; by default 20, quick 5")
    parser.add_argument("--seconds", type=float, default=120.0, help="after which a button is not pressed again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for some 300 MB of files while it runs; by default the system's")
    parser.add_argument("--json", action="store_true", help="print one object as the last line of stdout")
    parser.add_argument("--quick", action="store_true", help="under two minutes: the same code, fewer images")
    options = parser.parse_args(arguments)
    if options.count is not None and options.count < FILES:
        parser.error(f"--count must be at least {FILES}")
    if options.times is not None and options.times < 1:
        parser.error("--times must be at least 1")
    if options.folder and not options.folder.is_dir():
        parser.error(f"{options.folder} is no folder")
    return options


if __name__ == "__main__":
    main()
