"""How much memory a process has taken. Needs nothing but Python, as it runs in the environments of others too."""

from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory() -> float | None:
    """Highest resident memory of this process, in MB; None where the system does not say.

    ``getrusage`` says more than that: what its parent held when it started this process counts there too.
    """
    return in_status("VmHWM") if STATUS.is_file() else None


def in_status(name: str) -> float:
    """A line of the process's status, from kB to MB."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) * 1024 / 1e6
