"""A worker process, seen from the benchmark."""

import json
import select
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.workers.jobs import Answer, Job

_ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """A process that does jobs one after another; it ends with the ``with`` block.

    Args:
        python: Of the environment that it runs in.
        module: One of ``benchmarks.workers``.
        arguments: Of the module.
    """

    def __init__(self, python: Path, module: str, arguments: Sequence[str | Path]) -> None:
        self._command = [str(python), "-m", module, *map(str, arguments)]

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            self._command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()
        self._said.close()

    def do(self, job: Job) -> Answer:
        """Wait for a job.

        Raises:
            RuntimeError: If the process ended, with what it said.
        """
        return Answer(**self.ask(asdict(job)))

    def ask(self, message: dict[str, Any], limit: float | None = None) -> dict[str, Any]:
        """Wait for the answer to a message, one JSON object for another.

        Args:
            message: What is asked.
            limit: Seconds of processor time that the answer may take, so that other work beside it counts for nothing;
                by default as many as it takes.

        Raises:
            RuntimeError: If the process ended, with what it said.
            TimeoutError: If it takes more; the process is ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
            if limit is not None:
                self._watch(limit)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.wait()
            self._said.seek(0)
            msg = f"{' '.join(self._command)} ended at {message}: {self._said.read()[-2000:]}"
            raise RuntimeError(msg)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _watch(self, limit: float) -> None:
        assert self._process.stdout is not None
        spent = self._processor_seconds()
        # Nothing waits in the buffer: each message has one line for its answer.
        while not select.select([self._process.stdout], [], [], 1.0)[0]:
            if self._processor_seconds() > spent + limit:
                self._process.kill()
                msg = f"{' '.join(self._command)} has not answered within {limit:.0f} s of processor time"
                raise TimeoutError(msg)

    def _processor_seconds(self) -> float:
        try:
            times = psutil.Process(self._process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return 0.0
        return float(times.user + times.system)
