"""Label Studio told of the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from integrations.label_studio.backend.app import ANSWERS
from integrations.label_studio.client import ONCE, is_loopback, server_errors, url_of

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

TITLE = "flawsmith"
"""Of the backend in Label Studio; a project of this model version shows what the backend predicts."""


def connect_backend(client: LabelStudio, project: int, url: str) -> None:
    """Let Label Studio ask for predictions at an address, and tell it of answers. Repeatable.

    Predictions of a project that knows the backend are shown by the backend's version, which changes with the model.

    Args:
        client: The connection.
        project: From ``ensure_project``.
        url: Where the server answers, as Label Studio reaches it.

    Raises:
        ServerError: If Label Studio does not reach it, or refuses its address.
    """
    hook = f"{url}/webhook"
    with server_errors(url_of(client)):
        hooks = {one.url: one.id for one in client.webhooks.list(project=str(project)) if one.project == project}
        backends = client.ml.list(project=project)
        for old in (one for one in backends if one.title == TITLE and one.url != url):
            client.ml.delete(old.id)
            if f"{old.url}/webhook" in hooks:
                client.webhooks.delete(hooks[f"{old.url}/webhook"])
        # Before the backend: Label Studio would make one that tells everything of every event.
        if hook not in hooks:
            client.webhooks.create(
                url=hook,
                project=project,
                actions=ANSWERS,
                send_for_all_actions=False,
                send_payload=False,
                request_options=ONCE,
            )
        if url not in {one.url for one in backends}:
            client.ml.create(project=project, url=url, title=TITLE, request_options=ONCE)
        if client.projects.get(project).model_version != TITLE:
            client.projects.update(project, model_version=TITLE)


def origins_of(url: str) -> list[str]:
    """Origins under which a browser may have opened Label Studio: on this computer by either of its names."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    names = ["127.0.0.1", "localhost"] if is_loopback(url) else [str(parts.hostname)]
    return [f"{parts.scheme}://{name}{port}" for name in names]
