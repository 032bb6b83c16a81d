"""Set versions, champions and challengers: what models are made of, and which of them decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, select

from curation.ledger import sets, succession
from curation.ledger.bulk import insert_new
from curation.ledger.entries import ChallengeEntry, ChampionEvent, SetKind, SetMember, ShadowEntry
from curation.ledger.rows import ChallengeRow, ChampionRow, RegressionRow, SetRow, SetVersion, ShadowRow
from curation.ledger.tables import challenges, models, regression_cases, shadow_scores
from curation.ledger.times import now
from curation.ledger.transactions import Transactions


class Registry(Transactions):
    """Methods of ``Ledger``, each of which is one transaction and can be repeated."""

    # Set versions

    def create_set(
        self,
        kind: SetKind,
        members: Sequence[SetMember],
        name: str | None = None,
        rule: str = "{}",
        note: str = "",
    ) -> SetRow:
        """Store a list of images and verdicts for good; the version before is its parent.

        Args:
            kind: To train on, or to judge on.
            members: At least one; each image once.
            name: By default made of kind and fingerprint, so that the same members are the same version.
            rule: How they were chosen, as JSON.
            note: Free text.

        Raises:
            LedgerError: If it is empty, an image comes twice, or the name is taken by other members.
        """
        with self._write() as connection:
            return sets.create(connection, kind, members, name, rule, note)

    def sets(self, kind: SetKind | None = None) -> list[SetRow]:
        """Set versions in the order they were made; all, or those of one kind."""
        with self._read() as connection:
            return sets.listed(connection, kind)

    def set_version(self, name: str) -> SetVersion:
        """A set version with its members.

        Raises:
            LedgerError: If there is none, or it is not what it was when it was made.
        """
        with self._read() as connection:
            return sets.read(connection, name)

    # Champions

    def record_challenge(self, entry: ChallengeEntry) -> ChallengeRow:
        """Record a judgement; the same models, thresholds, frozen set and rules again give the one that is there."""
        with self._write() as connection:
            know_models(connection, {entry.champion_id, entry.challenger_id})
            return succession.record_challenge(connection, entry)

    def challenges(self, camera: str | None = None) -> list[ChallengeRow]:
        """Judgements in the order they were made; all, or those of a camera."""
        statement = select(challenges).order_by(challenges.c.number)
        with self._read() as connection:
            rows = connection.execute(statement if camera is None else statement.where(challenges.c.camera == camera))
            return [ChallengeRow(**row._asdict()) for row in rows]

    def champion(self, camera: str = "") -> ChampionRow | None:
        """Which model decides for a camera; None before one was appointed."""
        rows = self.champions(camera)
        return rows[-1] if rows else None

    def champions(self, camera: str | None = None) -> list[ChampionRow]:
        """All changes of champions in their order; of all cameras, or one."""
        with self._read() as connection:
            return succession.history(connection, camera)

    def crown(
        self,
        model_id: str,
        instead_of: str | None,
        event: ChampionEvent,
        reason: str,
        camera: str = "",
        challenge: int | None = None,
    ) -> ChampionRow:
        """Let a model decide from now on; one row in one transaction, so that some model always decides.

        Args:
            model_id: The model; if it is the champion already, nothing changes.
            instead_of: The model that is believed to decide now; None where none was appointed.
            event: How it came about.
            reason: In words.
            camera: Whose model; empty for all cameras.
            challenge: The judgement that promoted it.

        Raises:
            LedgerError: If another model decides by now.
        """
        with self._write() as connection:
            know_models(connection, {model_id})
            return succession.crown(connection, camera, model_id, instead_of, event, reason, challenge)

    def add_regression_case(self, image_id: str, who: str, note: str = "") -> bool:
        """Have every challenger reject an image; false where it was a case already."""
        with self._write() as connection:
            row = {"image_id": image_id, "who": who, "note": note, "at": now()}
            return bool(insert_new(connection, regression_cases, [row], "image_id"))

    def regression_cases(self) -> list[RegressionRow]:
        """Images that every challenger has to reject, in time order."""
        statement = select(regression_cases).order_by(regression_cases.c.at, regression_cases.c.image_id)
        with self._read() as connection:
            return [RegressionRow(*row) for row in connection.execute(statement)]

    # Live traffic

    def record_shadow(self, entries: Sequence[ShadowEntry]) -> int:
        """Record what two models say of images; a comparison that is there already stays.

        Returns:
            How many were new.
        """
        rows = [asdict(entry) | {"at": now()} for entry in entries]
        with self._write() as connection:
            know_models(connection, {key for entry in entries for key in (entry.champion_id, entry.challenger_id)})
            return len(insert_new(connection, shadow_scores, rows, "number"))

    def shadow(self, challenger_id: str | None = None) -> list[ShadowRow]:
        """Comparisons in the order they were recorded; all, or those with one challenger."""
        wanted = [column for column in shadow_scores.c if column is not shadow_scores.c.number]
        statement = select(*wanted).order_by(shadow_scores.c.number)
        if challenger_id is not None:
            statement = statement.where(shadow_scores.c.challenger_id == challenger_id)
        with self._read() as connection:
            return [ShadowRow(**row._asdict()) for row in connection.execute(statement)]


def know_models(connection: Connection, model_ids: set[str]) -> None:
    """Make room for the facts about models that were not recorded yet."""
    insert_new(connection, models, [{"model_id": key, "recorded_at": now()} for key in sorted(model_ids)], "model_id")
