"""Champions and challengers in an MLflow registry, which is a view of the ledger: it can be lost, and made again."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from learning.errors import DataError
from learning.whole import whole

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from curation.ledger import ChallengeRow, Ledger

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases, as in ``models:/flawsmith@champion``."""

NAME = "flawsmith"
_TAG = "flawsmith."
_SQLITE = "sqlite:///"
_SECONDS = 60
"""How long another process is waited for."""


@dataclass(frozen=True)
class Published:
    """What a registry has after it was brought up to date.

    Attributes:
        models: Names of the registered models, one for each camera.
        versions: Number of versions over all of them.
        added: Those that were new.
        judgements: Runs that were new, one for each judgement.
    """

    models: tuple[str, ...]
    versions: int
    added: int
    judgements: int


def publish(ledger: "Ledger", uri: str) -> Published:
    """Bring a registry up to what the ledger says. Repeatable: versions and runs are known by their tags.

    Each model that decided or challenged is a version, with the folder of its bundle as source, and with its lineage as
    tags: data version and its fingerprint, parent, verdicts. Each judgement is a run with its rules and figures. The
    aliases ``champion`` and ``challenger`` name what decides, and what was judged last and does not.

    Args:
        ledger: The truth.
        uri: Of the registry and its tracking store: ``sqlite:///FILE``, which takes no server, or ``http://…``.

    Raises:
        DataError: If MLflow is not installed, the ledger knows no champion, or the registry cannot be used.
    """
    champions = {row.camera: row.model_id for row in ledger.champions()}
    if not champions:
        msg = "there is nothing to publish: no champion was appointed; flawsmith retrain challenger DATA does"
        raise DataError(msg)
    with _alone(uri):
        return _publish(ledger, uri, champions)


def _publish(ledger: "Ledger", uri: str, champions: Mapping[str, str]) -> Published:
    client, trouble = _client(uri)
    added = runs = versions = 0
    names = []
    try:
        experiment = _experiment(client, uri)
        for camera, champion in champions.items():
            name = f"{NAME}-{camera}" if camera else NAME
            names.append(name)
            judged = ledger.challenges(camera)
            known_runs = _runs(client, experiment, camera)
            runs += sum(_log_judgement(client, experiment, row, known_runs) for row in judged)
            known = _versions(client, name)
            for model_id in dict.fromkeys(_models(ledger, camera, judged)):
                if model_id not in known:
                    known[model_id] = _add_version(ledger, client, name, model_id, judged, known_runs)
                    added += 1
            versions += len(known)
            client.set_registered_model_alias(name, CHAMPION, known[champion])
            waiting = [row.challenger_id for row in judged if row.challenger_id != champion]
            if waiting:
                client.set_registered_model_alias(name, CHALLENGER, known[waiting[-1]])
            elif CHALLENGER in client.get_registered_model(name).aliases:
                client.delete_registered_model_alias(name, CHALLENGER)
    except trouble as error:
        msg = f"the MLflow registry {uri} cannot be used: {' '.join(str(error).split())}"
        raise DataError(msg) from error
    return Published(tuple(names), versions, added, runs)


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Let others wait that would write to the same file: of two that make its tables at once one fails."""
    if not uri.startswith(_SQLITE):
        yield
        return
    file = Path(uri.removeprefix(_SQLITE)).absolute()
    lock = FileLock(file.with_name(f"{file.name}.lock"))
    try:
        # Let go of by the system when the process ends, however it does.
        lock.acquire(timeout=_SECONDS)
    except Timeout as error:
        msg = f"another process has been writing to {uri} for {_SECONDS} s: wait for it, then run this again"
        raise DataError(msg) from error
    except OSError as error:
        msg = f"the MLflow registry {uri} cannot be used: {file.parent}: {error.strerror}"
        raise DataError(msg) from error
    try:
        yield
    finally:
        lock.release()


def _client(uri: str) -> tuple["MlflowClient", tuple[type[Exception], ...]]:
    # Nothing is reported to anybody, and no repository is looked for.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # By default a server that is not there is waited for for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    try:
        # MLflow brings importlib_metadata, which from then on answers in the place of Python's own; FiftyOne cannot be
        # imported any more unless this part of it has read its own metadata before (KeyError: 'author').
        import eta.constants  # type: ignore[import-untyped]  # noqa: F401
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        msg = "MLflow is not installed: pip install 'flawsmith[mlflow]'"
        raise DataError(msg) from error
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    # That it makes its tables is nobody's news.
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    trouble = (MlflowException, SQLAlchemyError, CommandError)
    if uri.startswith(_SQLITE):
        _refuse_another_database(Path(uri.removeprefix(_SQLITE)))
    try:
        if uri.startswith(_SQLITE) and not (file := Path(uri.removeprefix(_SQLITE)).absolute()).exists():
            # Killed while it makes its tables, MLflow can neither use the file later nor make the rest of them.
            with whole(file) as fresh:
                made = MlflowClient(tracking_uri=f"{_SQLITE}{fresh}", registry_uri=f"{_SQLITE}{fresh}")
                made.search_registered_models(max_results=1)
        return MlflowClient(tracking_uri=uri, registry_uri=uri), trouble
    except trouble as error:
        msg = f"{uri} is no MLflow registry: {' '.join(str(error).split())}"
        raise DataError(msg) from error


def _refuse_another_database(file: Path) -> None:
    """MLflow would make its tables in any database: in a ledger, or in somebody else's.

    Raises:
        DataError: If the file has tables, and none of a registry.
    """
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.exc import DatabaseError

    if not file.is_file():
        return
    engine = create_engine(f"{_SQLITE}{file}")
    try:
        tables = inspect(engine).get_table_names()
    except DatabaseError as error:
        msg = f"{file} is no MLflow registry: {error.orig}"
        raise DataError(msg) from error
    finally:
        engine.dispose()
    if tables and "registered_models" not in tables:
        msg = f"{file} is no MLflow registry but another database, and was left as it is: give a file of its own"
        raise DataError(msg)


def _experiment(client: "MlflowClient", uri: str) -> str:
    found = client.get_experiment_by_name(NAME)
    if found is not None:
        return str(found.experiment_id)
    # Beside the database rather than in whatever folder the command was run from.
    local = uri.removeprefix(_SQLITE)
    folder = Path(local).resolve().with_suffix(".artifacts").as_uri() if local != uri else None
    return str(client.create_experiment(NAME, artifact_location=folder))


def _models(ledger: "Ledger", camera: str, judged: Iterable["ChallengeRow"]) -> Iterable[str]:
    """Models in the order in which they came."""
    yield from (row.model_id for row in ledger.champions(camera)[:1])
    for row in judged:
        yield from (row.champion_id, row.challenger_id)
    yield from (row.model_id for row in ledger.champions(camera))


def _versions(client: "MlflowClient", name: str) -> dict[str, str]:
    """Version of each model that is registered; the registered model is made if it is missing."""
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name, description="Models of flawsmith; a view of its ledger.")
    rows = _pages(lambda token: client.search_model_versions(f"name = '{name}'", page_token=token))
    return {row.tags[f"{_TAG}model"]: str(row.version) for row in rows if f"{_TAG}model" in row.tags}


def _runs(client: "MlflowClient", experiment: str, camera: str) -> dict[int, str]:
    """Run of each judgement of a camera that is there."""
    rows = _pages(lambda token: client.search_runs([experiment], page_token=token))
    tags = ((row.data.tags, row.info) for row in rows)
    # One that was cut off before its end is made again.
    return {
        int(found[f"{_TAG}judgement"]): str(info.run_id)
        for found, info in tags
        if found.get(f"{_TAG}camera") == (camera or "all") and info.status == "FINISHED"
    }


def _pages(search: Any) -> list[Any]:
    rows, token = [], None
    while True:
        page = search(token)
        rows += page
        token = page.token
        if not token:
            return rows


def _log_judgement(client: "MlflowClient", experiment: str, row: "ChallengeRow", known: dict[int, str]) -> bool:
    if row.number in known:
        return False
    report = json.loads(row.report)
    tags = {
        "judgement": str(row.number),
        "camera": row.camera or "all",
        "champion": row.champion_id,
        "challenger": row.challenger_id,
        "training_set": row.training_set or "",
        "frozen_set": row.frozen_set,
        "wins": str(row.wins).lower(),
        "text": row.text,
    }
    run = client.create_run(experiment, tags=_tags(tags), run_name=f"judgement {row.number}")
    for name, value in report["rules"].items():
        client.log_param(run.info.run_id, name, json.dumps(value))
    for gate in report["gates"]:
        for figure in (CHAMPION, CHALLENGER, "gain", "lower", "needed"):
            client.log_metric(run.info.run_id, f"{gate['name']}.{figure}", gate[figure])
    client.set_terminated(run.info.run_id, "FINISHED")
    known[row.number] = str(run.info.run_id)
    return True


def _add_version(
    ledger: "Ledger",
    client: "MlflowClient",
    name: str,
    model_id: str,
    judged: Iterable["ChallengeRow"],
    runs: Mapping[int, str],
) -> str:
    model = next((row for row in ledger.models() if row.model_id == model_id), None)
    if model is None or model.path is None:
        msg = f"the ledger does not know where the bundle of model {model_id} is"
        raise DataError(msg)
    first = next((row for row in judged if row.challenger_id == model_id), None)
    tags = {"model": model_id, "detector": model.detector or "", "trained_at": str(model.trained_at or "")}
    if first is not None and first.training_set is not None:
        version = ledger.set_version(first.training_set)
        verdicts = sorted(number for member in version.members for number in member.verdicts)
        tags |= {
            "training_set": version.row.name,
            "training_set_fingerprint": version.row.fingerprint,
            "parent": first.champion_id,
            "verdicts": str(len(verdicts)),
            "last_verdict": str(verdicts[-1]) if verdicts else "",
            "frozen_set": first.frozen_set,
        }
    row = client.create_model_version(
        name,
        source=Path(model.path).resolve().as_uri(),
        run_id=runs.get(first.number) if first is not None else None,
        tags=_tags(tags),
        description=first.text if first is not None else "The model that decided when challengers began.",
    )
    return str(row.version)


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    # Tags hold 5,000 characters, and never nothing.
    return {f"{_TAG}{key}": value[:5000] for key, value in values.items() if value}
