"""How tests are shared among the workers of pytest-xdist."""

import os

from xdist.scheduler import LoadFileScheduling

TOGETHER = (
    # They share a server, which takes up to a minute to start.
    ("tests/integrations/label_studio/",),
    # They trace networks for ONNX: what does that takes half a minute to load.
    (
        "tests/learning/test_export.py",
        "tests/learning/test_detector_contract.py",
        "tests/integrations/cli/test_commands.py",
        "tests/integrations/cli/test_threshold_by.py",
    ),
)
"""Files and folders that go to the same worker."""

MOST = 4
"""Workers: each takes a gigabyte or two and starts servers of its own, and the files above hold up more than that."""


class Together(LoadFileScheduling):
    """A worker gets whole files, as what is made once in a file would be made twice, and files that share more."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return next((places[0] for places in TOGETHER if file.startswith(places)), file)


def workers() -> int:
    """One for each processor that this process may use, hyperthreads included: tests wait for servers and files."""
    return min(len(os.sched_getaffinity(0)), MOST)
