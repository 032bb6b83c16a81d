"""FiftyOne's environment and its connection: set before it is imported, moved where it is imported already."""

from __future__ import annotations

import atexit
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from curation.errors import DatabaseError
from curation.plugin.binding import PLUGINS, install

COLORSCALE = "inferno"
LOCK_SECONDS = 600
FAISS_CONFIG = "curation.faiss_backend.FaissSimilarityConfig"
OLDEST_MONGODB = "You are running the oldest supported major version of MongoDB"
"""How a notice of FiftyOne begins. The version comes with our installation, so a person can do nothing about it."""
REMOVED_OPTION = "App config option has been removed"
"""In a warning of FiftyOne 1.22 about options that it hands to itself, at each page that is opened."""


def fiftyone_environment(uri: str, folder: Path) -> dict[str, str]:
    """What FiftyOne and the App's server have to find in their environment.

    Args:
        uri: Address of the database.
        folder: Folder of the installation; what FiftyOne writes goes below it and not into the home folder.
    """
    return {
        "FIFTYONE_DATABASE_URI": uri,
        "FIFTYONE_DATABASE_DIR": str(folder / "mongo"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(folder / "datasets"),
        "FIFTYONE_MODEL_ZOO_DIR": str(folder / "models"),
        "FIFTYONE_DEFAULT_APP_ADDRESS": "127.0.0.1",
        # The grid of FiftyOne 1.22 draws maps in this one, whatever a data set's own color scheme says.
        "FIFTYONE_APP_COLORSCALE": COLORSCALE,
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_PLUGINS_DIR": str(folder / PLUGINS),
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        # Else the App reads all plugins anew at every click, which takes longer than a search.
        "FIFTYONE_PLUGINS_CACHE_ENABLED": "true",
        "FIFTYONE_BRAIN_SIMILARITY_BACKENDS": "*,faiss",
        "FIFTYONE_BRAIN_SIMILARITY_FAISS_CONFIG_CLS": FAISS_CONFIG,
        "FIFTYONE_BRAIN_SIMILARITY_FAISS_FOLDER": str(folder / "faiss"),
    }


def point_fiftyone_at(uri: str, folder: Path) -> None:
    """Set FiftyOne's environment; where it is imported already, connect it anew.

    Args:
        uri: Address of the database.
        folder: Folder of the installation.
    """
    install(folder)
    for key, value in fiftyone_environment(uri, folder).items():
        os.environ[key] = value
    logging.getLogger("fiftyone.core.odm.database").addFilter(_not_about_oldest_mongodb)
    logging.getLogger("fiftyone.core.config").addFilter(_not_about_removed_options)
    if "fiftyone" not in sys.modules:
        return
    import fiftyone as fo
    import fiftyone.brain as fob
    from fiftyone.core.odm import database

    fob.brain_config.similarity_backends["faiss"] = {"config_cls": FAISS_CONFIG, "folder": str(folder / "faiss")}
    fo.config.default_dataset_dir = str(folder / "datasets")
    fo.config.plugins_dir = str(folder / PLUGINS)
    if fo.config.database_uri != uri or database._client is None:
        # A name of FiftyOne's own module: it has no public way to change the database of a running process.
        database._disconnect()
        fo.config.database_uri = uri
        forget_datasets()
        _forget_repositories()
        database.establish_db_conn(fo.config)


def _forget_repositories() -> None:
    """Let go of collections that FiftyOne keeps once it has used them: deleting a data set goes through them."""
    from fiftyone.factory import repo_factory

    repo_factory._db = None
    repo_factory.RepositoryFactory.repos.clear()


def _not_about_oldest_mongodb(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(OLDEST_MONGODB)


def _not_about_removed_options(record: logging.LogRecord) -> bool:
    return REMOVED_OPTION not in record.getMessage()


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn the driver's connection errors, and that a data set is gone, into one clear sentence.

    Raises:
        DatabaseError: The database does not answer any more, or the data set was deleted or renamed.
    """
    import pymongo.errors
    from fiftyone.core.dataset import DatasetNotFoundError

    try:
        yield
    except DatasetNotFoundError as error:
        msg = (
            f"{error}: it was deleted or renamed. Nothing is lost, the ledger has everything: flawsmith curate sync "
            "makes it anew; then open the App again"
        )
        raise DatabaseError(msg) from error
    except (pymongo.errors.ConnectionFailure, ConnectionError) as error:
        msg = (
            "The FiftyOne database stopped answering. Nothing is lost, the ledger has everything: "
            "run the command again, it goes on from there"
        )
        raise DatabaseError(msg) from error


@contextmanager
def dataset_lock(name: str) -> Iterator[None]:
    """Two processes that write the same data set wait for each other."""
    folder = Path(os.environ["FIFTYONE_DEFAULT_DATASET_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() else "-" for letter in name)
    with FileLock(folder / f"{safe}.lock", timeout=LOCK_SECONDS):
        yield


def forget_datasets() -> None:
    """Drop FiftyOne's data sets by name: a new database may hold other ones of the same name."""
    import fiftyone.core.dataset as fod

    fod.Dataset._instances.clear()


def disconnect_fiftyone(uri: str) -> None:
    """Close FiftyOne's connection, so that its exit does not wait for a database that is gone."""
    database: Any = sys.modules.get("fiftyone.core.odm.database")
    if database is None:
        return
    import fiftyone as fo

    if fo.config.database_uri == uri:
        atexit.unregister(database._delete_non_persistent_datasets_if_allowed)
        database._disconnect()


def require_database() -> None:
    """Check that FiftyOne was told which database to use, before it is imported and starts one of its own.

    Raises:
        DatabaseError: It was not.
    """
    if not os.environ.get("FIFTYONE_DATABASE_URI"):
        msg = "FiftyOne has no database yet: start one with MongoServer(folder).start()"
        raise DatabaseError(msg)
