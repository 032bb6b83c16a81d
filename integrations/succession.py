"""Champion and challenger: which model decides, and how another takes its place. See docs/champion.md.

Every step can be repeated, and what it made is found again by its name: the same verdicts and options give the same
sets, the same challenger and the same judgement. The champion changes by one row in the ledger, the last step of all.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from integrations.challengers import Options, refuse_nothing_new, start_of, train_challenger
from integrations.recording import load_bundle, models_by_camera, record_model
from learning.bundle import Bundle
from learning.challenge import ChallengeConfig, Judgement, Metric, Pairs, RegressionCase, check_carries, judge
from learning.challenge.sitting import Confirmed as Judged
from learning.challenge.sitting import Decider, sit, sit_synthetic
from learning.errors import BundleError, DataError
from learning.images.readers import of_camera, read_data
from learning.images.records import ImageRecord
from learning.progress import Progress, silent
from learning.sealed import seal
from learning.training import good_records

if TYPE_CHECKING:
    from curation.ledger import ChallengeRow, ChampionRow, ImageRow, Ledger, SetMember, SetRow


@dataclass(frozen=True)
class Outcome:
    """What came of a challenge.

    Attributes:
        champion: The model that decided before.
        challenger: The model that was trained.
        row: The judgement in the ledger.
        training: What the challenger was trained on.
        frozen: What both were judged on.
        left_out: Images of the data set that did not train, as they are in a frozen set.
        promoted: Whether the challenger decides now.
    """

    champion: Bundle
    challenger: Bundle
    row: "ChallengeRow"
    training: "SetRow"
    frozen: "SetRow"
    left_out: int
    promoted: bool

    def report(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "wins": self.row.wins,
            "promoted": self.promoted,
            "text": self.row.text,
            "champion": self.champion.fingerprint,
            "challenger": self.challenger.fingerprint,
            "challenger_bundle": str(self.challenger.folder),
            "training_set": self.training.name,
            "frozen_set": self.frozen.name,
            "promise": self.challenger.thresholds.current().words,
        } | json.loads(self.row.report)


def champion_of(ledger: "Ledger", camera: str = "", folder: Path | None = None) -> Bundle:
    """Load the champion of a camera; where none was appointed, the bundle given or the one that scored last becomes it.

    Raises:
        DataError: If there is none, the ledger does not know where it is, or another bundle is given than the champion.
        BundleError: If it is damaged.
    """
    bundle, appointed = _deciding(ledger, camera, folder)
    if not appointed:
        _begin_with(ledger, bundle, camera)
    return bundle


def _begin_with(ledger: "Ledger", bundle: Bundle, camera: str) -> None:
    """Make a bundle the first champion of a camera.

    Raises:
        LedgerError: If there is another by now; it stays.
    """
    record_model(ledger, bundle)
    ledger.crown(bundle.fingerprint, None, "appointed", "the model that decided when challengers began", camera)


def appoint(ledger: "Ledger", bundle: Bundle, reason: str = "", camera: str = "") -> "ChampionRow":
    """Let a model decide from now on that a person has chosen, and no judgement.

    Raises:
        LedgerError: If another champion was made meanwhile; it stays.
    """
    before = ledger.champion(camera)
    record_model(ledger, bundle)
    instead_of = before.model_id if before else None
    return ledger.crown(bundle.fingerprint, instead_of, "appointed", reason or "appointed by hand", camera)


def _deciding(ledger: "Ledger", camera: str, folder: Path | None) -> tuple[Bundle, bool]:
    """The champion of a camera, or the bundle that would be it; and whether it was appointed. Nothing is written."""
    row = ledger.champion(camera)
    if row is None:
        return Bundle.load(folder) if folder else load_bundle(ledger, _folder_in_use(ledger, camera)), False
    bundle = load_model(ledger, row.model_id)
    if folder is not None and Bundle.load(folder).fingerprint != row.model_id:
        msg = (
            f"{folder} holds another model than the champion, {row.model_id}: leave --bundle out, or have it decide "
            f"from now on with flawsmith retrain appoint {folder}"
        )
        raise DataError(msg)
    return bundle, True


def _folder_in_use(ledger: "Ledger", camera: str) -> Path | None:
    """Bundle of the model that scored last at a camera; None where nothing was scored there."""
    models = models_by_camera(ledger)
    if camera:
        return folder_of(ledger, models[camera]) if camera in models else None
    if len(set(models.values())) > 1:
        named = ", ".join(sorted(name or "without a name" for name in models))
        msg = f"the ledger has a model for each of several cameras ({named}): say whose champion it is, with --camera"
        raise DataError(msg)
    return None


def folder_of(ledger: "Ledger", model_id: str) -> Path:
    """Where the bundle of a model lies.

    Raises:
        DataError: If the ledger does not know.
    """
    path = next((model.path for model in ledger.models() if model.model_id == model_id), None)
    if path is None:
        msg = f"the ledger does not know where the bundle of model {model_id} is"
        raise DataError(msg)
    return Path(path)


def load_model(ledger: "Ledger", model_id: str, device: str = "cpu") -> Bundle:
    """Load the bundle of a model, and make sure that it is that model still.

    Raises:
        DataError: If the ledger does not know where it is.
        BundleError: If it is damaged or gone, or its folder holds another model by now.
    """
    folder = folder_of(ledger, model_id)
    bundle = Bundle.load(folder, device=device)
    if bundle.fingerprint != model_id:
        msg = (
            f"{folder} holds another model by now than {model_id}: restore it from a copy, or have the one that is "
            f"there decide from now on with flawsmith retrain appoint {folder}"
        )
        raise BundleError(msg)
    return bundle


def say_nothing(text: str) -> None:
    """Tell nobody."""


def challenge(
    ledger: "Ledger",
    data: Path,
    home: Path,
    options: Options,
    rules: ChallengeConfig,
    *,
    camera: str = "",
    champion: Path | None = None,
    promote: bool = True,
    winner: "ChallengeRow | None" = None,
    progress: Progress = silent,
    tell: Callable[[str], None] = say_nothing,
) -> Outcome:
    """Train a challenger on all that is confirmed, judge it beside the champion, and promote it if it wins.

    Args:
        ledger: With verdicts.
        data: Good parts, as for training.
        home: Challengers are kept in its folder ``challengers``.
        options: Of the training.
        rules: What the challenger has to show.
        camera: Whose model; empty for all cameras.
        champion: The bundle that decides, where no champion was appointed yet.
        promote: False to judge only.
        winner: From ``waiting_winner``: its challenger is judged by what is confirmed by now, and none is trained.
        progress: Told how far it is.
        tell: Told what was done, a line for each step.

    Raises:
        PromiseError: If the frozen set cannot carry a decision; then nothing is set aside and nothing trained.
        DataError: If images are gone or were changed, there is nothing new to learn from, or another is being trained.
        LedgerError: If another champion was made meanwhile; it stays.
        BundleError: If a bundle is damaged.
    """
    from filelock import FileLock, Timeout

    folder = home / "challengers"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # Let go of by the system when the process ends, however it does.
        with FileLock(folder / ".lock", timeout=0):
            return _challenge(ledger, data, home, options, rules, camera, champion, promote, winner, progress, tell)
    except Timeout as error:
        msg = f"another challenger is being trained in {folder}: wait for it, or give another --home"
        raise DataError(msg) from error


def _challenge(
    ledger: "Ledger",
    data: Path,
    home: Path,
    options: Options,
    rules: ChallengeConfig,
    camera: str,
    champion: Path | None,
    promote: bool,
    winner: "ChallengeRow | None",
    progress: Progress,
    tell: Callable[[str], None],
) -> Outcome:
    from curation.frozen import freeze, frozen_members
    from curation.set_versions import make_training_set

    deciding, appointed = _deciding(ledger, camera, champion)
    start = start_of(deciding, options, rules) if winner is None else None
    good = good_records(of_camera(read_data(data, groups=options.groups, seed=options.seed), camera or None))
    if not good:
        msg = f"{data} holds no good images to train on{f' of camera {camera}' if camera else ''}"
        raise DataError(msg)
    members = frozen_members(ledger, rules.frozen_share, camera, _learnt_from(deciding, good))
    check_carries(_without_scores(members), rules)
    if not appointed:  # not before it is known that it can be challenged: what is refused changes nothing
        _begin_with(ledger, deciding, camera)
    frozen = freeze(ledger, members, rules.frozen_share, camera)
    share = f"{100 * rules.frozen_share:g} %"
    tell(f"judged on {frozen.name}: {_count(members)}, of {share} of the groups, held back for good")
    if winner is None:
        training, left_out = make_training_set(ledger, good, camera, rules.threshold_share)
        challenger = _trained(ledger, deciding, training, good, home, options, rules, start, progress, tell)
    else:
        challenger, training = _found(ledger, winner)
        left_out = 0
        tell(f"{challenger.fingerprint}, trained on {training.name}, had won and was not promoted: none is trained")
    if challenger.fingerprint == deciding.fingerprint:
        msg = (
            f"the challenger is the champion again, as it was trained on {training.name} with the same options: there "
            "is nothing new to learn from"
        )
        raise DataError(msg)
    record_model(ledger, challenger)
    deciders = Decider.now(deciding), Decider.now(challenger)
    judgement = judge_challenger(ledger, *deciders, members, rules, camera, progress)
    row = _record(ledger, *deciders, training.name, frozen.name, judgement, rules, camera, promote)
    dismissed = was_rolled_back(ledger, challenger.fingerprint, camera)
    if dismissed:
        tell(f"{challenger.fingerprint} was the champion and was rolled back: it is not promoted again by itself")
    if row.wins and promote and not dismissed:
        ledger.crown(challenger.fingerprint, deciding.fingerprint, "promoted", row.text, camera, row.number)
    now = ledger.champion(camera)
    promoted = now is not None and now.model_id == challenger.fingerprint
    return Outcome(deciding, challenger, row, training, frozen, left_out, promoted)


def _trained(
    ledger: "Ledger",
    champion: Bundle,
    training: "SetRow",
    good: Sequence[ImageRecord],
    home: Path,
    options: Options,
    rules: ChallengeConfig,
    start: Bundle | None,
    progress: Progress,
    tell: Callable[[str], None],
) -> Bundle:
    """Train a challenger on a version, from scratch or from the weights of ``start``."""
    from curation.set_versions import roles_of

    version = ledger.set_version(training.name)
    begun = f", from the weights of {start.fingerprint}" if start else ", from scratch"
    tell(f"trained on {training.name}: {_count(version.members)}{begun}")
    if start:
        refuse_nothing_new(ledger, start, good, training)
    return train_challenger(ledger, champion, training, roles_of(version), good, home, options, rules, start, progress)


def _found(ledger: "Ledger", winner: "ChallengeRow") -> tuple[Bundle, "SetRow"]:
    """The challenger of a judgement, and what it was trained on."""
    return load_model(ledger, winner.challenger_id), ledger.set_version(str(winner.training_set)).row


def waiting_winner(ledger: "Ledger", rules: ChallengeConfig, camera: str = "") -> "ChallengeRow | None":
    """The latest judgement that was to promote a challenger and did not, as its run was ended before it could.

    None where what won was only to be judged, by other rules, against another champion, or was rolled back since.
    """
    written = rules.model_dump(mode="json")
    found = standing_winners(ledger, camera, judged_only=False)
    return next((row for row in found if json.loads(row.report)["rules"] == written), None)


def standing_winners(ledger: "Ledger", camera: str = "", *, judged_only: bool) -> list["ChallengeRow"]:
    """Judgements by which a challenger won against the model that decides now, and that promoted nothing; newest first.

    Of each challenger its latest judgement counts. Left out is what was rolled back.

    Args:
        ledger: With judgements.
        camera: Whose; empty for all cameras.
        judged_only: Those that were only to be judged, instead of those that were to promote.
    """
    champion = ledger.champion(camera)
    latest = {row.challenger_id: row for row in ledger.challenges(camera)}
    return [
        row
        for row in sorted(latest.values(), key=lambda row: row.number, reverse=True)
        if row.wins
        and champion is not None
        and row.champion_id == champion.model_id
        # Judgements of older versions do not say what they were for: those wait for nothing.
        and json.loads(row.report).get("judge_only") is judged_only
        and not was_rolled_back(ledger, row.challenger_id, camera)
    ]


def judge_challenger(
    ledger: "Ledger",
    champion: Decider,
    challenger: Decider,
    members: Sequence["SetMember"],
    rules: ChallengeConfig,
    camera: str = "",
    progress: Progress = silent,
) -> Judgement:
    """Judge two models on frozen members, made-up defects on them, and the regression cases of a camera."""
    known = {image.image_id: image for image in ledger.images()}
    images = [_judged(member, known.get(member.image_id)) for member in members]
    synthetic = None
    if Metric.SYNTHETIC_ESCAPE in rules.margins:
        synthetic = sit_synthetic(champion, challenger, images, rules.synthetic_each, rules.seed, progress)
    cases = _cases(ledger, champion, challenger, camera, progress)
    return judge(sit(champion, challenger, images, progress), rules, synthetic, cases)


def rollback(ledger: "Ledger", camera: str = "", reason: str = "") -> "ChampionRow":
    """Let the model decide again that decided before the champion; once more goes one further back.

    Raises:
        DataError: If there is none before.
        BundleError: If its bundle is damaged or gone; the champion stays.
    """
    reign: list[str] = []
    for row in ledger.champions(camera):
        if row.event == "rolled back":
            reign.pop()
        else:
            reign.append(row.model_id)
    if len(reign) < 2:
        msg = "no model decided before the champion: there is nothing to roll back to" if reign else no_champion(camera)
        raise DataError(msg)
    load_model(ledger, reign[-2])
    return ledger.crown(reign[-2], reign[-1], "rolled back", reason or "rolled back by hand", camera)


def was_rolled_back(ledger: "Ledger", model_id: str, camera: str = "") -> bool:
    """Whether a model decided once and was taken back; what a person took back no schedule promotes again."""
    return any(row.event == "rolled back" and row.previous == model_id for row in ledger.champions(camera))


def latest_challenger(ledger: "Ledger", camera: str = "", device: str = "cpu") -> Bundle:
    """The challenger that was judged last and is not the champion.

    Raises:
        DataError: If there is none.
        BundleError: As ``load_model``.
    """
    champion = ledger.champion(camera)
    for row in reversed(ledger.challenges(camera)):
        if champion is None or row.challenger_id != champion.model_id:
            return load_model(ledger, row.challenger_id, device)
    msg = "there is no challenger: train one with flawsmith retrain challenger DATA"
    raise DataError(msg)


def no_champion(camera: str, others: Iterable[str] = ()) -> str:
    """What is said where a champion is asked for and none was appointed; others are cameras that have one."""
    if named := ", ".join(sorted(others)):
        return f"there are champions of cameras ({named}): say whose it is, with --camera"
    whose = f" for camera {camera}" if camera else ""
    return f"no champion was appointed{whose}: flawsmith retrain challenger DATA does, at its first run"


def _cases(
    ledger: "Ledger", champion: Decider, challenger: Decider, camera: str, progress: Progress
) -> list[RegressionCase]:
    from curation.frozen import refuse_changed
    from curation.regressions import standing_cases

    members = standing_cases(ledger, camera)
    refuse_changed(members)
    if not members:
        return []
    known = {image.image_id: image for image in ledger.images()}
    images = [replace(_judged(member, known.get(member.image_id)), part=member.image_id) for member in members]
    pairs = sit(champion, challenger, images, progress)
    # Parts come back sorted by name, which is the image id here.
    ordered = sorted(members, key=lambda member: member.image_id)
    return [
        RegressionCase(member.path.name, bool(before > 0), bool(after > 0))
        for member, before, after in zip(ordered, pairs.champion, pairs.challenger, strict=True)
    ]


def _judged(member: "SetMember", image: "ImageRow | None") -> Judged:
    camera, lot = (image.camera, image.lot) if image is not None else (None, None)
    return Judged(member.path, member.part, member.group, member.state == "defect", member.weight, camera, lot)


def _record(
    ledger: "Ledger",
    champion: Decider,
    challenger: Decider,
    training: str,
    frozen: str,
    judgement: Judgement,
    rules: ChallengeConfig,
    camera: str,
    promote: bool,
) -> "ChallengeRow":
    from curation.ledger import ChallengeEntry
    from curation.regressions import standing_cases

    written = rules.model_dump(mode="json")
    # Cases may come and go while frozen set and models stay.
    asked = written | {"regression_cases": sorted(case.image_id for case in standing_cases(ledger, camera))}
    return ledger.record_challenge(
        ChallengeEntry(
            camera=camera,
            champion_id=champion.bundle.fingerprint,
            champion_threshold=champion.threshold.version,
            challenger_id=challenger.bundle.fingerprint,
            challenger_threshold=challenger.threshold.version,
            training_set=training,
            frozen_set=frozen,
            rules_sha256=seal(asked),
            wins=judgement.wins,
            text=judgement.text,
            report=json.dumps(judgement.report() | {"rules": written, "judge_only": not promote}),
        )
    )


def _learnt_from(champion: Bundle, good: Sequence[ImageRecord]) -> set[str]:
    """Paths, parts and groups that train, or have trained."""
    from curation.ledger import image_id_of

    made_of = [*champion.embeddings("train")[0], *champion.selection["image"], *champion.calibration["image"]]
    names = {str(Path(name).resolve()) for name in made_of}
    for record in good:
        names |= {str(record.path.resolve()), record.part, record.group, image_id_of(record.path)}
    return names


def _without_scores(members: Sequence["SetMember"]) -> Pairs:
    parts = {member.part: member for member in members} | {m.part: m for m in members if m.state == "defect"}
    rows = list(parts.values())
    zeros = np.zeros(len(rows))
    return Pairs(
        zeros,
        zeros,
        np.array([member.state == "defect" for member in rows], dtype=bool),
        np.array([member.group for member in rows], dtype=str),
        np.array([member.weight for member in rows], dtype=np.float64),
    )


def _count(members: Sequence["SetMember"]) -> str:
    defective = sum(member.state == "defect" for member in members)
    return f"{len(members) - defective} good and {defective} defective images"
