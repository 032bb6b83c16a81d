"""Which ledger a data set shows, and bringing what changed there back into the data set."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.errors import DatabaseError

if TYPE_CHECKING:
    from curation.ledger import Ledger

INFO = "flawsmith_ledger"
MODEL = "flawsmith_model"
LEDGER_VARIABLE = "FLAWSMITH_LEDGER"
PLUGINS = "plugins"


def bind(dataset: Any, ledger: Ledger, model_id: str | None) -> None:
    """Write down in a data set which ledger it shows; without a password, which has no business in FiftyOne.

    Args:
        dataset: A ``fiftyone.Dataset``.
        ledger: What it shows.
        model_id: Whose scores; None for each image's latest.
    """
    shown = {INFO: ledger.place, MODEL: model_id}
    if any(dataset.info.get(key) != value for key, value in shown.items()):
        dataset.info.update(shown)
        dataset.save()


def showing(ledger: Ledger) -> list[str]:
    """Names of the data sets that show a ledger, in the order of the alphabet."""
    from fiftyone.core.odm import get_db_conn

    found = get_db_conn().datasets.find({f"info.{INFO}": ledger.place}, {"name": 1})
    return sorted(one["name"] for one in found)


def bound_id(name: str) -> Any:
    """Id of the data set of a name, once it shows a ledger; None where there is no such data set yet.

    A sync writes it down last of all: what has an id here has its samples.
    """
    from fiftyone.core.odm import get_db_conn

    found = get_db_conn().datasets.find_one({"name": name, f"info.{INFO}": {"$exists": True}}, {"_id": 1})
    return None if found is None else found["_id"]


def ledger_of(dataset: Any) -> Ledger:
    """Open the ledger that a data set shows.

    Where it takes a password, ``FLAWSMITH_LEDGER`` has to name the same ledger with it.

    Raises:
        DatabaseError: The data set shows none, or its file is gone.
        LedgerError: It cannot be opened.
    """
    from curation.ledger import Ledger
    from curation.ledger.database import url_of

    place = dataset.info.get(INFO)
    if place is None:
        msg = f"{dataset.name!r} shows no ledger yet: run flawsmith curate sync --name {dataset.name} first"
        raise DatabaseError(msg)
    url = url_of(place)
    if url.drivername == "sqlite" and not Path(str(url.database)).is_file():
        msg = f"the ledger {url.database} is gone: sync {dataset.name!r} with the one that took its place"
        raise DatabaseError(msg)
    own = os.environ.get(LEDGER_VARIABLE)
    if own and url_of(own).set(password=None) == url:
        place = own
    return Ledger.open(place)


def open_view(ctx: Any) -> Any:
    """What the grid shows; ``ctx.view`` of FiftyOne 1.22 forgets the sidebar's filters where a saved view is open."""
    asked = ctx.request_params
    if not asked.get("view_name"):
        return ctx.view
    from fiftyone.server.view import get_view

    return get_view(
        ctx.dataset, stages=asked.get("view"), filters=asked.get("filters"), extended_stages=asked.get("extended")
    )


def image_ids(dataset: Any, sample_ids: Sequence[str]) -> list[str]:
    """Ledger ids of samples, in the order given."""
    return list(dataset.select(list(sample_ids), ordered=True).values("image_id"))


def refresh(dataset: Any, ledger: Ledger, keys: Sequence[str]) -> None:
    """Show what the ledger now says of some images, without reading all of it."""
    from curation.dataset import show_rows
    from curation.rows import row_of

    show_rows(dataset, ledger, [row_of(ledger, key, dataset.info.get(MODEL)) for key in keys])


def uncover_packages() -> None:
    """Take FiftyOne's server folder out of Python's path, where its ``lightning.py`` hides the package of that name.

    The App's server is started as a script in that folder, so that the folder comes first; models could not be loaded.
    """
    spec = importlib.util.find_spec("fiftyone.server")
    folders = [Path(folder).resolve() for folder in (spec.submodule_search_locations or ())] if spec else []
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() not in folders]


def install(folder: Path) -> Path:
    """Make the plugin known in a folder of plugins, by a link to this package. Repeatable.

    Args:
        folder: Of the installation; the user's own plugins may lie in ``folder/plugins`` too.

    Returns:
        The folder of plugins, for ``FIFTYONE_PLUGINS_DIR``.
    """
    plugins = folder / PLUGINS
    plugins.mkdir(parents=True, exist_ok=True)
    link, here = plugins / "flawsmith-inspection", Path(__file__).resolve().parent
    if link.is_symlink() and link.resolve() == here:
        return plugins
    temporary = plugins / f".flawsmith-inspection.{os.getpid()}"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(here, target_is_directory=True)
    temporary.replace(link)
    return plugins
