"""The MLflow registry says what the ledger says, however often it is brought up to date."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import eta.constants  # noqa: F401 (before MLflow, as integrations/registry.py explains: here are other tests, too)
import pytest
from typer.testing import CliRunner

from curation.ledger import ChallengeEntry, Ledger, ModelEntry, SetMember
from integrations.cli import app
from integrations.registry import publish
from learning.errors import DataError

mlflow_client = pytest.importorskip("mlflow.tracking").MlflowClient


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A champion a, a challenger b that lost, and a challenger c that won."""
    member = SetMember("0" * 32, tmp_path / "x.png", "x", "x", "good", verdicts=(3, 5))
    gate = {"name": "auroc", "champion": 0.8, "challenger": 0.9, "gain": 0.1, "lower": 0.05, "needed": 0.02}
    report = json.dumps({"rules": {"primary": "auroc", "margins": {"escape_rate": 0.1}}, "gates": [gate]})
    with Ledger.open(tmp_path / "l.db") as ledger:
        ledger.create_set("frozen", [member], name="f")
        fingerprint = ledger.create_set("training", [member], name="t").fingerprint
        assert fingerprint
        for name in "abc":
            ledger.record_model(ModelEntry(name, tmp_path / name, "segment", "scratch"))
        ledger.crown("a", None, "appointed", "first")
        ledger.record_challenge(ChallengeEntry("", "a", 1, "b", 1, "t", "f", "0" * 64, False, "refused", report))
        row = ledger.record_challenge(ChallengeEntry("", "a", 1, "c", 1, "t", "f", "0" * 64, True, "wins", report))
        ledger.crown("c", "a", "promoted", "wins", challenge=row.number)
    return str(tmp_path / "l.db")


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def at(client: mlflow_client, alias: str) -> dict[str, str]:
    version = client.get_model_version_by_alias("flawsmith", alias)
    tags: dict[str, str] = version.tags
    return tags


def test_aliases_lineage_and_judgements_follow_the_ledger(place: str, uri: str, tmp_path: Path) -> None:
    with Ledger.open(place) as ledger:
        found = publish(ledger, uri)
        assert (found.models, found.versions, found.added, found.judgements) == (("flawsmith",), 3, 3, 2)
        again = publish(ledger, uri)
        assert (again.versions, again.added, again.judgements) == (3, 0, 0)
        client = mlflow_client(tracking_uri=uri, registry_uri=uri)
        tags = at(client, "champion")
        assert (tags["flawsmith.model"], tags["flawsmith.parent"]) == ("c", "a")
        assert (tags["flawsmith.training_set"], tags["flawsmith.verdicts"]) == ("t", "2")
        assert tags["flawsmith.training_set_fingerprint"] == ledger.set_version("t").row.fingerprint
        assert at(client, "challenger")["flawsmith.model"] == "b"
        version = client.get_model_version_by_alias("flawsmith", "champion")
        assert version.source == (tmp_path / "c").as_uri()
        run = client.get_run(version.run_id)
        assert run.data.metrics["auroc.lower"] == 0.05
        assert run.data.params["primary"] == '"auroc"'
        assert run.data.tags["flawsmith.wins"] == "true"

        ledger.crown("a", "c", "rolled back", "by hand")
        publish(ledger, uri)
        assert at(client, "champion")["flawsmith.model"] == "a"
        assert at(client, "challenger")["flawsmith.model"] == "c"
        # It can be lost, and made again.
        client._tracking_client.store.engine.dispose()
        (tmp_path / "mlflow.db").unlink()
        rebuilt = f"sqlite:///{tmp_path / 'again.db'}"
        assert publish(ledger, rebuilt).added == 3
        assert at(mlflow_client(tracking_uri=rebuilt, registry_uri=rebuilt), "champion")["flawsmith.model"] == "a"


def test_a_judgement_that_was_cut_off_is_published_again(place: str, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminated: Callable[..., None] = mlflow_client.set_terminated

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with Ledger.open(place) as ledger:
        monkeypatch.setattr(mlflow_client, "set_terminated", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(ledger, uri)
        monkeypatch.setattr(mlflow_client, "set_terminated", terminated)
        assert publish(ledger, uri).judgements == 2
        assert publish(ledger, uri).judgements == 0


def test_a_kill_while_tables_are_made_leaves_no_half_registry(place: str, uri: str, tmp_path: Path) -> None:
    killed = f"""
import os, signal, sqlalchemy
from curation.ledger import Ledger
from integrations.registry import publish
seen = []
@sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
def half(connection, cursor, statement, *rest):
    seen.append(statement.lstrip().startswith("CREATE TABLE") and "mlflow" in str(connection.engine.url))
    if sum(seen) == 12:
        os.kill(os.getpid(), signal.SIGKILL)
with Ledger.open({place!r}) as ledger:
    publish(ledger, {uri!r})
"""
    done = subprocess.run([sys.executable, "-c", killed], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with Ledger.open(place) as ledger:
        assert publish(ledger, uri).added == 3


def test_two_that_publish_at_once_publish_once(place: str, uri: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from integrations.cli import main; main()", "retrain", "publish", "--json"]
    command += ["--ledger", place, "--to", uri]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(json.loads(out)["added"] for out, _ in said) == [0, 3]
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM model_versions").fetchone() == (3,)


def test_what_is_no_registry_is_one_line(place: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE runs (x)")
    (tmp_path / "damaged.db").write_bytes(b"no database at all, but long enough to be looked at" * 30)
    for name in ("other.db", "damaged.db"):
        result = CliRunner().invoke(
            app, ["retrain", "publish", "--ledger", place, "--to", f"sqlite:///{tmp_path / name}"]
        )
        assert result.exit_code == 2, (name, result.output, result.exception)
        assert len([line for line in result.stderr.splitlines() if line.startswith("error:")]) == 1
    with Ledger.open(tmp_path / "empty.db") as ledger, pytest.raises(DataError, match="nothing to publish"):
        publish(ledger, f"sqlite:///{tmp_path / 'x.db'}")


def test_fiftyone_can_be_imported_after_a_registry_was_opened(tmp_path: Path) -> None:
    code = "import sys; from integrations.registry import _client; _client(sys.argv[1]); import eta.constants"
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'registry.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_tables_are_made_in_another_database(place: str, tmp_path: Path) -> None:
    before = Path(place).read_bytes()
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE foo (bar TEXT)")
    (tmp_path / "text.db").write_text("no database at all, and long enough to be looked at as one" * 20)
    with Ledger.open(place) as ledger:
        for file in (Path(place), foreign, tmp_path / "text.db"):
            with pytest.raises(DataError, match="is no MLflow registry"):
                publish(ledger, f"sqlite:///{file}")
    assert Path(place).read_bytes() == before
    with sqlite3.connect(foreign) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("foo",)]
