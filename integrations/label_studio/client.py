"""A connection to a Label Studio server, and what goes wrong with it in plain words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from integrations.errors import ServerError

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio
    from label_studio_sdk.core.request_options import RequestOptions

URL_VARIABLE = "FLAWSMITH_LABEL_STUDIO_URL"
TOKEN_VARIABLE = "FLAWSMITH_LABEL_STUDIO_TOKEN"

ONCE: RequestOptions = {"max_retries": 0, "timeout_in_seconds": 120}
"""Request options of everything that creates: Label Studio removes no doubles, so a blind retry would make some."""

_IDS_PER_QUERY = 200
"""The filter travels in the address, which the server cuts off at 64 KiB."""


def external_server() -> tuple[str, str] | None:
    """Address and token of a server that is run by somebody else, from the environment.

    Returns:
        Both, or None where no address is set.

    Raises:
        ServerError: If there is an address without a token.
    """
    url = os.environ.get(URL_VARIABLE, "").strip()
    if not url:
        return None
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        msg = (
            f"{URL_VARIABLE} is set but {TOKEN_VARIABLE} is not; set it to a personal access token "
            "(in Label Studio: Account & Settings, Personal Access Token)"
        )
        raise ServerError(msg)
    return url, token


def connect(url: str, token: str) -> LabelStudio:
    """Connect to a server and check that it knows the token.

    Args:
        url: ``http://host:port``.
        token: A personal access token or a legacy token.

    Raises:
        ServerError: If nothing answers there, or the token is wrong.
    """
    from label_studio_sdk import LabelStudio  # takes seconds to import

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{url!r} is not the address of a Label Studio server; give it as http://host:port"
        raise ServerError(msg)
    transport = httpx.Client(timeout=60, follow_redirects=True, trust_env=not is_loopback(url))
    with server_errors(url):
        client = LabelStudio(base_url=url.rstrip("/"), api_key=token, httpx_client=transport)
        client.users.whoami()
    return client


def is_loopback(url: str) -> bool:
    """Whether an address is on this computer, where no proxy may come in between."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(client: LabelStudio) -> str:
    """Address of the server that a client talks to."""
    return str(client._client_wrapper.get_base_url())


@contextmanager
def server_errors(url: str) -> Iterator[None]:
    """Turn what the SDK raises into one line that says what to do.

    Raises:
        ServerError: For a server that does not answer, a wrong token, a project that is gone, a configuration that is
            refused, or an error inside of the server.
    """
    from jwt import InvalidTokenError
    from label_studio_sdk.core.api_error import ApiError

    try:
        yield
    except httpx.LocalProtocolError as error:
        msg = f"the token for Label Studio at {url} is empty or no token at all; check {TOKEN_VARIABLE}"
        raise ServerError(msg) from error
    except httpx.ConnectError as error:
        msg = (
            f"Label Studio does not answer at {url}; start it (or check {URL_VARIABLE}) and run the same command "
            "again: nothing is lost and nothing is doubled"
        )
        raise ServerError(msg) from error
    except httpx.TransportError as error:
        msg = (
            f"the connection to Label Studio at {url} broke ({type(error).__name__}); run the same command again: "
            "nothing is lost and nothing is doubled"
        )
        raise ServerError(msg) from error
    except InvalidTokenError as error:
        msg = f"the token for Label Studio at {url} has expired; make a new one there and set {TOKEN_VARIABLE}"
        raise ServerError(msg) from error
    except ApiError as error:
        raise ServerError(_explain(url, error.status_code, error.body)) from error


def _explain(url: str, status: int | None, body: Any) -> str:
    detail = _detail(body)
    if status == 401:
        return f"Label Studio at {url} refuses the token ({detail}); check {TOKEN_VARIABLE}, or make a new token there"
    if status == 403:
        return f"Label Studio at {url} does not allow this to the owner of the token ({detail}); use an owner's token"
    if status == 404:
        return (
            f"the Label Studio project or task at {url} is gone ({detail}); `flawsmith review push` makes the project "
            "again and sends what is still unanswered; verdicts that were pulled are safe in the ledger"
        )
    if status == 400:
        return f"Label Studio at {url} refuses what was sent: {detail}"
    return f"Label Studio at {url} failed with status {status} ({detail}); its log says why; run the command again"


def _detail(body: Any) -> str:
    if isinstance(body, dict):
        problems = body.get("validation_errors") or body.get("detail") or body
        return json.dumps(problems)[:300] if not isinstance(problems, str) else problems[:300]
    text = str(body or "").strip()
    return "no reason given" if not text or text.startswith("<") else text[:300]


def list_tasks(
    client: LabelStudio, project: int, include: str, filters: Sequence[dict[str, Any]] = (), page_size: int = 200
) -> Iterator[Any]:
    """Tasks of a project, page by page.

    Args:
        client: The connection.
        project: Whose.
        include: Fields, comma separated. Label Studio 1.23 applies the list to the annotations inside of the tasks
            too: name their fields as well.
        filters: All of them have to hold; as the data manager writes them.
        page_size: Tasks in one request.
    """
    query = json.dumps({"filters": {"conjunction": "and", "items": list(filters)}}) if filters else None
    extra = {"query": query} if query else {}
    yield from client.tasks.list(project=project, fields="all", include=include, page_size=page_size, **extra)


def find_tasks(client: LabelStudio, project: int, ask_ids: Sequence[str]) -> dict[str, list[Any]]:
    """Tasks that show the given asks.

    Args:
        client: The connection.
        project: Where to look.
        ask_ids: What ``data.external_id`` may be.

    Returns:
        Tasks with id and number of annotations by ask id, the oldest first; asks without a task are left out.
    """
    found: dict[str, list[Any]] = {}
    for start in range(0, len(ask_ids), _IDS_PER_QUERY):
        wanted = {
            "filter": "filter:tasks:data.external_id",
            "operator": "in_list",
            "type": "List",
            "value": list(ask_ids[start : start + _IDS_PER_QUERY]),
        }
        include = "id,data,total_annotations,cancelled_annotations"
        for task in list_tasks(client, project, include, [wanted]):
            found.setdefault(task.data["external_id"], []).append(task)
    return {ask_id: sorted(tasks, key=lambda task: task.id) for ask_id, tasks in found.items()}
