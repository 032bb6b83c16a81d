"""The ledger: the only truth about images, scores, asks and verdicts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection, Engine, bindparam, func, select

from curation.errors import LedgerError
from curation.ledger import asking, embedding_files, history
from curation.ledger.bulk import chunks, insert_new, select_in, upsert
from curation.ledger.database import ledger_errors, make_engine, stamp_of, url_of
from curation.ledger.entries import (
    AskEntry,
    AskState,
    ImageEntry,
    ModelEntry,
    ScoreEntry,
    VerdictEntry,
)
from curation.ledger.files import describe, text_of
from curation.ledger.looks import Looks
from curation.ledger.migrate import migrate
from curation.ledger.reading import ask_row, image_row, model_row, score_row, threshold_row, verdict_row
from curation.ledger.registry import Registry, know_models
from curation.ledger.rows import (
    AskRow,
    History,
    ImageRow,
    ModelRow,
    Resolution,
    ScoreRow,
    ThresholdRow,
    VerdictRow,
)
from curation.ledger.some import OfSome
from curation.ledger.tables import (
    OPEN,
    asks,
    cursors,
    image_paths,
    images,
    models,
    scores,
    thresholds,
    verdicts,
)
from curation.ledger.tagging import Tagging
from curation.ledger.times import now, utc
from curation.ledger.vouching import Vouching
from learning.thresholds import Origins


class Ledger(OfSome, Registry, Tagging, Vouching, Looks):
    """A connection to a ledger; a context manager. Every method is one transaction and can be repeated.

    Several processes can use one ledger at once. Made by ``Ledger.open``.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, place: str | Path) -> Self:
        """Open a ledger; a new one is made, an old one brought up to date.

        Args:
            place: ``sqlite:///FILE``, the path of a file, or ``postgresql+psycopg://USER:PASSWORD@HOST/NAME``.

        Raises:
            LedgerError: If it cannot be opened, or a newer version of the program made it.
        """
        url = url_of(place)
        engine = make_engine(url)
        try:
            with ledger_errors(url):
                migrate(engine)
        except LedgerError:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def place(self) -> str:
        """Its URL, the path of a file absolute, and without a password: what ``curation.plugin`` finds it by."""
        url = self._engine.url
        if url.drivername == "sqlite" and url.database:
            url = url.set(database=str(Path(url.database).resolve()))
        return url.set(password=None).render_as_string()

    def stamp(self) -> tuple[object, ...]:
        """What changes whenever something is written; what takes long to read off may be kept until then."""
        with self._read() as connection:
            return stamp_of(connection)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _read(self) -> Iterator[Connection]:
        with ledger_errors(self._engine.url), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def _write(self) -> Iterator[Connection]:
        with (
            ledger_errors(self._engine.url),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    # Images

    def add_images(self, entries: Sequence[ImageEntry]) -> list[str]:
        """Add images; one that is there already, by content, stays as it is, but for a camera or lot not known before.

        Returns:
            Image ids, in the order given: the first 32 hexadecimal digits of the SHA-256 of each file.

        Raises:
            DataError: If files cannot be read or times not understood; nothing is added then.
        """
        return self.add_images_and_tell(entries)[0]

    def add_images_and_tell(self, entries: Sequence[ImageEntry]) -> tuple[list[str], set[str]]:
        """Add images as ``add_images`` does.

        Returns:
            Image ids, in the order given, and those of them that were new.

        Raises:
            DataError: As there.
        """
        rows = [{**row, "added_at": now()} for row in describe(entries)]
        with self._write() as connection:
            added = set(insert_new(connection, images, rows, "image_id"))
            self._follow(connection, [row for row in rows if row["image_id"] not in added])
            seen = {row["path"]: {"path": row["path"], "image_id": row["image_id"], "seen_at": now()} for row in rows}
            upsert(connection, image_paths, list(seen.values()), ["image_id", "seen_at"])
        return [row["image_id"] for row in rows], added

    def _follow(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Write down the new place of images whose file is gone from the old one, and cameras and lots once known."""
        told = {row["image_id"]: row for row in rows}
        facts = select(images.c.image_id, images.c.path, images.c.camera, images.c.lot)
        changed: dict[str, list[dict[str, str]]] = {"path": [], "camera": [], "lot": []}
        for row in select_in(connection, facts, images.c.image_id, list(told)):
            new = told[row.image_id]
            if row.path != new["path"] and not Path(row.path).exists():
                changed["path"].append({"key": row.image_id, "new": new["path"]})
            for name, known in (("camera", row.camera), ("lot", row.lot)):
                if known is None and new[name] is not None:
                    changed[name].append({"key": row.image_id, "new": new[name]})
        for name, values in changed.items():
            if values:
                where = images.update().where(images.c.image_id == bindparam("key"))
                connection.execute(where.values({name: bindparam("new")}), values)

    def image(self, image_id: str) -> ImageRow:
        """Look up an image.

        Raises:
            LedgerError: If there is none.
        """
        with self._read() as connection:
            row = connection.execute(select(images).where(images.c.image_id == image_id)).first()
        if row is None:
            msg = f"the ledger has no image {image_id}; score it into the ledger first"
            raise LedgerError(msg)
        return image_row(row)

    def images(self) -> list[ImageRow]:
        """All images, in the order they were added."""
        with self._read() as connection:
            return [image_row(row) for row in connection.execute(select(images).order_by(images.c.number))]

    def find(self, path: Path | str) -> ImageRow | None:
        """The image that was last seen at a path; None where there was none."""
        statement = select(images).join(image_paths, image_paths.c.image_id == images.c.image_id)
        with self._read() as connection:
            row = connection.execute(statement.where(image_paths.c.path == str(Path(path).resolve()))).first()
        return image_row(row) if row else None

    # Models

    def record_model(self, entry: ModelEntry) -> None:
        """Record a model; recorded again, its facts are brought up to date."""
        row = asdict(entry) | {"path": text_of(entry.path), "trained_at": _time(entry.trained_at), "recorded_at": now()}
        with self._write() as connection:
            upsert(connection, models, [row], ["path", "detector", "weights", "trained_at"])

    def models(self) -> list[ModelRow]:
        """All models, in the order they were recorded."""
        with self._read() as connection:
            return [model_row(row) for row in connection.execute(select(models).order_by(models.c.recorded_at))]

    def record_threshold(
        self,
        model_id: str,
        version: int,
        value: float,
        promise_text: str,
        parent: int | None = None,
        reason: str = "",
        origins: Origins | None = None,
    ) -> None:
        """Record a version of a threshold, see ``ThresholdRow``; one that is there already stays.

        Raises:
            LedgerError: If the version is there with another value, or others for cameras or lots.
        """
        row = {"model_id": model_id, "version": version, "value": value, "promise_text": promise_text}
        row["origins"] = None if origins is None else json.dumps(asdict(origins))
        with self._write() as connection:
            know_models(connection, {model_id})
            full = row | {"parent": parent, "reason": reason, "recorded_at": now()}
            if insert_new(connection, thresholds, [full], "version"):
                return
            key = (thresholds.c.model_id == model_id) & (thresholds.c.version == version)
            present = connection.execute(select(thresholds.c.value, thresholds.c.origins).where(key)).one()
        if (present.value, present.origins) != (value, row["origins"]):
            other = f"{present.value} in the ledger, not {value}"
            if present.value == value:
                other = "in the ledger with other values for cameras or lots"
            msg = f"threshold {version} of model {model_id} is {other}; make a new version"
            raise LedgerError(msg)

    def thresholds(self, model_id: str) -> list[ThresholdRow]:
        """All versions of a model's threshold."""
        statement = select(thresholds).where(thresholds.c.model_id == model_id).order_by(thresholds.c.version)
        with self._read() as connection:
            return [threshold_row(row) for row in connection.execute(statement)]

    # Scores

    def record_scores(self, entries: Sequence[ScoreEntry]) -> int:
        """Record scores; one that is there already for (image, model, threshold version) stays.

        Returns:
            How many were new.
        """
        rows = [asdict(entry) | {"map_path": text_of(entry.map_path), "recorded_at": now()} for entry in entries]
        with self._write() as connection:
            know_models(connection, {entry.model_id for entry in entries})
            return len(insert_new(connection, scores, rows, "number"))

    def reject_with_part(self, model_id: str, threshold_version: int, image_ids: Sequence[str]) -> None:
        """Have images rejected that were accepted before another image of their part was scored, and is not."""
        here = scores.update().where(
            scores.c.model_id == model_id,
            scores.c.threshold_version == threshold_version,
            scores.c.image_id == bindparam("key"),
        )
        with self._write() as connection:
            if image_ids:
                connection.execute(here.values(decision="reject"), [{"key": image_id} for image_id in image_ids])

    def scores(self, model_id: str | None = None, batch: str | None = None, latest: bool = True) -> list[ScoreRow]:
        """Scores in the order they were recorded.

        Args:
            model_id: Of this model only.
            batch: Of this run only.
            latest: Only the last one of each image, among those chosen.
        """
        chosen = [] if model_id is None else [scores.c.model_id == model_id]
        chosen += [] if batch is None else [scores.c.batch == batch]
        statement = select(scores).where(*chosen).order_by(scores.c.number)
        if latest:
            newest = select(func.max(scores.c.number)).where(*chosen).group_by(scores.c.image_id)
            statement = select(scores).where(scores.c.number.in_(newest)).order_by(scores.c.number)
        with self._read() as connection:
            return [score_row(row) for row in connection.execute(statement)]

    # Embeddings

    def record_embeddings(self, model_id: str, file: Path | str, image_ids: Sequence[str]) -> None:
        """Record a file of embeddings, ``[N, D]``, with its checksum; a file written anew replaces what it held.

        Args:
            model_id: Whose.
            file: ``.npy``, or ``.safetensors`` with one tensor.
            image_ids: Of the rows, ``[N]``.

        Raises:
            LedgerError: If the file cannot be read or has another number of rows.
        """
        path = Path(file).resolve()
        checksum = embedding_files.check(path, len(image_ids))
        with self._write() as connection:
            know_models(connection, {model_id})
            embedding_files.record(connection, model_id, path, checksum, image_ids)

    def embeddings(self, model_id: str) -> tuple[list[str], np.ndarray]:
        """Embeddings of a model: image ids and float32 ``[N, D]``; of each image the latest.

        Raises:
            LedgerError: If there are none, or a file is missing or was changed.
        """
        with self._read() as connection:
            found = embedding_files.opened(connection, model_id)
        return found.ids, found.take(found.ids)

    def keep_whole_embeddings(self, model_id: str) -> set[str]:
        """Forget files of embeddings that are gone or were changed, so that their images can be scored again.

        Returns:
            Images whose embedding by this model is whole.
        """
        with self._write() as connection:
            return embedding_files.keep_whole(connection, model_id)

    # Asks

    def create_asks(self, entries: Sequence[AskEntry]) -> list[str]:
        """Open asks; an image that has an open one keeps it.

        Returns:
            Ask ids in the order given.
        """
        with self._write() as connection:
            know_models(connection, {entry.model_id for entry in entries})
            return asking.create(connection, entries)

    def asks(self, state: AskState | None = None) -> list[AskRow]:
        """Asks in the order they were made; all, or those in one state."""
        statement = select(asks).order_by(asks.c.number)
        with self._read() as connection:
            rows = connection.execute(statement.where(asks.c.state == state) if state else statement)
            return [ask_row(row) for row in rows]

    def ask(self, ask_id: str) -> AskRow | None:
        """One ask, or None where there is none."""
        with self._read() as connection:
            row = connection.execute(select(asks).where(asks.c.ask_id == ask_id)).first()
        return ask_row(row) if row else None

    def mark_pushed(self, pushed: Sequence[tuple[str, int, int]]) -> None:
        """Write down the Label Studio project and task of asks: (ask id, project id, task id)."""
        rows = [{"key": key, "project": project, "task": task, "time": now()} for key, project, task in pushed]
        if not rows:
            return
        here = asks.update().where(asks.c.ask_id == bindparam("key"))
        with self._write() as connection:
            connection.execute(
                here.values(project_id=bindparam("project"), task_id=bindparam("task"), pushed_at=bindparam("time")),
                rows,
            )
            keys = [{"key": row["key"]} for row in rows]
            connection.execute(here.where(asks.c.state == "created").values(state="pushed"), keys)

    def withdraw_asks(self, ask_ids: Sequence[str]) -> None:
        """Close open asks that nobody has to answer any more; an answer that comes all the same is taken."""
        with self._write() as connection:
            for part in chunks(ask_ids):
                connection.execute(asks.update().where(asks.c.ask_id.in_(list(part)), OPEN).values(state="withdrawn"))

    # Verdicts

    def record_verdicts(self, entries: Sequence[VerdictEntry]) -> list[VerdictEntry]:
        """Append verdicts; one that is there already for (source, external id, revision) stays.

        Returns:
            Those that were new.

        Raises:
            LedgerError: If an ask or image is unknown, or the ask is about another image; nothing is appended then.
        """
        with self._write() as connection:
            return asking.answer(connection, entries)

    def verdicts(self, ask_id: str | None = None, image_id: str | None = None) -> list[VerdictRow]:
        """Verdicts in the order they were recorded; all, or those on an ask or an image."""
        statement = select(verdicts).order_by(verdicts.c.number)
        if ask_id is not None:
            statement = statement.where(verdicts.c.ask_id == ask_id)
        if image_id is not None:
            statement = statement.where(verdicts.c.image_id == image_id)
        with self._read() as connection:
            return [verdict_row(row) for row in connection.execute(statement)]

    def resolved(self, image_ids: Sequence[str] | None = None) -> list[Resolution]:
        """What the inspectors say of every image with a verdict that counts, or of some; see ``resolution.counted``."""
        with self._read() as connection:
            return history.resolutions(connection, image_ids)

    def history(self, image_id: str) -> History:
        """Everything about an image.

        Raises:
            LedgerError: If there is no such image.
        """
        image = self.image(image_id)
        with self._read() as connection:
            return history.of(connection, image)

    # Cursors

    def cursor(self, name: str) -> str | None:
        """How far somebody has read, in their own words; None before the first time."""
        with self._read() as connection:
            return connection.execute(select(cursors.c.value).where(cursors.c.name == name)).scalar()

    def set_cursor(self, name: str, value: str) -> None:
        """Remember how far somebody has read."""
        with self._write() as connection:
            upsert(connection, cursors, [{"name": name, "value": value, "set_at": now()}], ["value", "set_at"])


def _time(value: datetime | str | None) -> datetime | None:
    return None if value is None else utc(value)
