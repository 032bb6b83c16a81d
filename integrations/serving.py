"""A server in this process, which ends with it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from integrations.errors import ServerError

if TYPE_CHECKING:
    from fastapi import FastAPI

_LONGEST_START = 30.0


@contextmanager
def serving(
    app: FastAPI, host: str = "127.0.0.1", port: int = 0, longest_start: float = _LONGEST_START
) -> Iterator[str]:
    """Serve until the end of the block, from a thread.

    Args:
        app: What is served.
        host: Address to listen on.
        port: 0 takes any that is free.
        longest_start: Seconds it may take until it answers.

    Yields:
        Its address.

    Raises:
        ServerError: If the port is taken, or is not this machine's.
    """
    import uvicorn

    listening = _listen(host, port)
    # No log of requests: their addresses are what lets people see pictures.
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True)
    thread.start()
    try:
        until = time.monotonic() + longest_start
        while not server.started:
            if not thread.is_alive() or time.monotonic() > until:
                msg = f"the server does not start on {host}:{port}"
                raise ServerError(msg)
            time.sleep(0.02)
        yield f"http://{host}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        msg = f"cannot listen on {host}:{port} ({error}); give another --port"
        raise ServerError(msg) from error
    return listening
