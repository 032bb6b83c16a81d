"""Notices of FiftyOne that a person can do nothing about, and the others, which stay."""

import logging
import os
import sys
from pathlib import Path

import pytest

from curation.app import RETRY, _print_no_retries
from curation.connection import OLDEST_MONGODB, REMOVED_OPTION, fiftyone_environment, point_fiftyone_at

LOGGER, CONFIG_LOGGER = "fiftyone.core.odm.database", "fiftyone.core.config"


def test_only_notices_that_nobody_can_do_anything_about_are_kept_back(
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
    with caplog.at_level(logging.WARNING, logger=CONFIG_LOGGER):
        logging.getLogger(CONFIG_LOGGER).warning("The `show_label` %s and no longer has any effect", REMOVED_OPTION)
        logging.getLogger(CONFIG_LOGGER).warning("a colour is unknown")
    assert caplog.messages == ["the database is read-only", "a colour is unknown"]


def test_only_the_retries_of_the_app_are_kept_back(capsys: pytest.CaptureFixture[str]) -> None:
    _print_no_retries(f"\r\n{RETRY} in 10 seconds\r\n")
    _print_no_retries("something else")
    assert capsys.readouterr().out == "something else\n"
