"""Notices of FiftyOne that a person can do nothing about, and the others, which stay."""

import logging
import os
import sys
from pathlib import Path

import pytest

from curation.app import RETRY, _print_no_retries
from curation.connection import OLDEST_MONGODB, fiftyone_environment, point_fiftyone_at

LOGGER = "fiftyone.core.odm.database"


def test_only_the_notice_of_an_old_database_is_kept_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for key in fiftyone_environment("", tmp_path):
        monkeypatch.setenv(key, os.environ.get(key, ""))  # put back afterwards
    monkeypatch.delitem(sys.modules, "fiftyone", raising=False)
    point_fiftyone_at("mongodb://127.0.0.1:9", tmp_path)
    monkeypatch.undo()
    with caplog.at_level(logging.WARNING, logger=LOGGER):
        logging.getLogger(LOGGER).warning("%s. Please refer to", OLDEST_MONGODB)
        logging.getLogger(LOGGER).warning("the database is read-only")
    assert caplog.messages == ["the database is read-only"]


def test_only_the_retries_of_the_app_are_kept_back(capsys: pytest.CaptureFixture[str]) -> None:
    _print_no_retries(f"\r\n{RETRY} in 10 seconds\r\n")
    _print_no_retries("something else")
    assert capsys.readouterr().out == "something else\n"
