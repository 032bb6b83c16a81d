"""What cannot be written is said before the work, and nothing is left behind."""

from pathlib import Path

import pytest

from learning.errors import DataError
from learning.writable import check_writable


def test_what_can_be_made_passes_and_leaves_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deeper" / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_below_a_file_or_where_nothing_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("image")
    with pytest.raises(DataError, match=r"table\.csv cannot be written to \(it is a file\); choose another place"):
        check_writable(tmp_path / "table.csv" / "bundle")
    # Not even root may.
    with pytest.raises(DataError, match="/proc cannot be written to"):
        check_writable(Path("/proc/bundle"))
