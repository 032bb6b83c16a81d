import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from curation.ledger import ImageEntry, Ledger


def _tool(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a PostgreSQL server: the one given, or one of our own that is ended afterwards."""
    if given := os.environ.get("FLAWSMITH_TEST_POSTGRES_URL"):
        yield given
        return
    initdb, control = _tool("initdb"), _tool("pg_ctl")
    if initdb is None or control is None:
        pytest.skip("no PostgreSQL: install its server (initdb, pg_ctl) or set FLAWSMITH_TEST_POSTGRES_URL")
    # The server refuses to run as root, and nobody cannot enter root's temporary folders.
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path("/tmp") / f"flawsmith-postgres-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    if as_user:
        shutil.chown(folder, "nobody")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
    try:
        subprocess.run([*as_user, initdb, "-D", folder / "db", "-U", "flawsmith", "-A", "trust", "-N"], **run)
        options = f"-p {port} -h 127.0.0.1 -k ''"
        log = folder / "log"
        subprocess.run([*as_user, control, "-D", folder / "db", "-w", "-o", options, "-l", log, "start"], **run)
        yield f"postgresql+psycopg://flawsmith@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*as_user, control, "-D", folder / "db", "-m", "immediate", "stop"], **(run | {"check": False}))
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server = make_url(request.getfixturevalue("postgres"))
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        yield opened


@pytest.fixture
def image_ids(ledger: Ledger, tmp_path: Path) -> list[str]:
    files = [tmp_path / f"{number}.png" for number in range(4)]
    for file in files:
        file.write_bytes(file.name.encode())
    return ledger.add_images([ImageEntry(file) for file in files])
