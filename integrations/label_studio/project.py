"""The project in Label Studio that holds the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from integrations.label_studio.client import server_errors, url_of
from integrations.label_studio.page import classes_of, labelling_config
from integrations.label_studio.tasks import PREDICTIONS, version_of
from integrations.recording import models_in_use

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

    from curation.ledger import Ledger

ASKS_FOLDER = "asks"
"""Below the served folder: Label Studio serves local files only from a subfolder of its root."""


def _marker(title: str) -> str:
    return f"[flawsmith project: {title}]"


def ensure_project(client: LabelStudio, title: str, inspectors: int | None = None, classes: Sequence[str] = ()) -> int:
    """Find the project of this title, or make it; bring its page up to date.

    It is found by a marker in its description, so that people may rename it. A page of an older version is replaced:
    its names stay, so that answers that were given on it still hold.

    Args:
        client: The connection.
        title: 3 to 50 characters.
        inspectors: How many answer each task before it leaves the stream, also those that are there already; by
            default as many as before, and one in a new project.
        classes: Kinds of defects to choose from, besides those that the page offers already.

    Returns:
        Its id; always the same one, also when two processes make it at the same moment.

    Raises:
        ServerError: If the server does not answer or refuses the configuration.
    """
    with server_errors(url_of(client)):
        found = _find(client, title)
        if not found:
            client.projects.create(
                title=title,
                description=f"Parts about which the detector would like to know. {_marker(title)}",
                label_config=labelling_config(classes),
                show_collab_predictions=True,
                enable_empty_annotation=True,
                sampling="Sequential sampling",
                request_options={"max_retries": 0},
            )
            found = _find(client, title)
        project = client.projects.get(found[0])
        # A kind that is gone from the ledger stays: Label Studio refuses to take away what an answer used.
        config = labelling_config(list(dict.fromkeys([*classes_of(project.label_config or ""), *classes])))
        if _canonical(project.label_config or "") != _canonical(config):
            client.projects.update(found[0], label_config=config)
        if inspectors is not None and inspectors != project.maximum_annotations:
            client.projects.update(found[0], maximum_annotations=inspectors)
        return found[0]


def inspectors_of(client: LabelStudio, project: int) -> int:
    """How many inspectors answer each task of a project."""
    with server_errors(url_of(client)):
        return client.projects.get(project).maximum_annotations or 1


def predictions_of(client: LabelStudio, project: int, ledger: Ledger) -> str:
    """The name that proposed regions have to have for a project to show them: it shows those of one name alone.

    The first import sets it: that of all models in use then, so that a back end has nothing to predict anew. It stays
    when others decide, or what is there would be hidden. Where a back end is chosen, Label Studio shows what that one
    answers, and the name says nothing.
    """
    with server_errors(url_of(client)):
        shown = client.projects.get(project).model_version or ""
    return shown if shown.startswith(PREDICTIONS) else version_of(models_in_use(ledger))


def _find(client: LabelStudio, title: str) -> list[int]:
    projects: Any = client.projects.list(page_size=100)
    return sorted(project.id for project in projects if _marker(title) in (project.description or ""))


def is_ours(client: LabelStudio, project: int) -> bool:
    """Whether a project exists on this server and was made by ``ensure_project``."""
    from label_studio_sdk.core.api_error import ApiError

    try:
        return _marker("")[:-1].strip() in (client.projects.get(project).description or "")
    except ApiError as error:
        if error.status_code == 404:
            return False
        raise


def _canonical(config: str) -> str:
    try:
        return ElementTree.canonicalize(config, strip_text=True)
    except ElementTree.ParseError:
        return config


def ensure_storage(client: LabelStudio, project: int, images_root: Path) -> Path:
    """Let the server show the pictures of a project.

    Args:
        client: The connection.
        project: Whose.
        images_root: The server's folder for local files, at the same path for the server.

    Returns:
        The folder for pictures below it.

    Raises:
        ServerError: If the server may not serve that folder.
    """
    folder = images_root.resolve() / ASKS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with server_errors(url_of(client)):
        connected = [storage.path for storage in client.import_storage.local.list(project=project)]
        if str(folder) not in connected:
            client.import_storage.local.create(
                project=project, path=str(folder), use_blob_urls=True, title="flawsmith pictures"
            )
    return folder


def project_key(client: LabelStudio, project: int) -> str:
    """A name for a project that no later project shares, as ids are given again on a new server.

    Returns:
        Such as ``label-studio:3:20260131T101500.123456``; the source of its verdicts in the ledger.
    """
    with server_errors(url_of(client)):
        created = client.projects.get(project).created_at
    stamp = f"{created:%Y%m%dT%H%M%S.%f}" if created else "unknown"
    return f"label-studio:{project}:{stamp}"
