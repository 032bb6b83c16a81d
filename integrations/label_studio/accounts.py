"""Accounts of inspectors on a Label Studio server, made through its invitation link as people make them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx

from integrations.errors import ServerError
from integrations.label_studio.client import connect, is_loopback, url_of

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

_CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def sign_up(owner: LabelStudio, email: str, password: str) -> LabelStudio:
    """Make an account and connect as that inspector.

    Args:
        owner: A connection of somebody who may invite.
        email: Log-in name; what verdicts are recorded under.
        password: At least 8 characters.

    Raises:
        ServerError: If the server refuses, such as an address that is taken.
    """
    url = url_of(owner).rstrip("/")
    raw = owner._client_wrapper.httpx_client
    invitation = raw.request("api/invite", method="GET").json()["invite_url"]
    token = parse_qs(urlsplit(invitation).query)["token"][0]
    with httpx.Client(base_url=url, follow_redirects=False, trust_env=not is_loopback(url), timeout=60) as browser:
        page = browser.get("/user/signup/", params={"token": token})
        found = _CSRF.search(page.text)
        form = {"email": email, "password": password, "csrfmiddlewaretoken": found[1] if found else ""}
        answer = browser.post(
            "/user/signup/",
            params={"token": token},
            data=form | {"allow_newsletters": "false", "how_find_us": ""},
            headers={"Referer": f"{url}/user/signup/"},
        )
        if answer.status_code != httpx.codes.FOUND:
            msg = f"Label Studio at {url} does not let {email} sign up (status {answer.status_code})"
            raise ServerError(msg)
        own = browser.get("/api/current-user/token").json()["token"]
    return connect(url, own)
