"""What several verdicts on one image come to; pure functions."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from curation.ledger.rows import Resolution, State, VerdictRow


def counted(verdicts: Sequence[VerdictRow]) -> list[VerdictRow]:
    """Choose the verdicts that count: the latest answer of each inspector, in time order.

    Of one annotation only the latest revision counts. A skip is no answer. A withdrawal cancels the annotation that it
    names, whatever the clocks say; one that names no annotation with an answer cancels all that its inspector had said.

    Args:
        verdicts: All of one image.
    """
    latest: dict[str, VerdictRow] = {}
    for verdict in sorted(readings(verdicts), key=_order):
        latest[verdict.inspector] = verdict
    return sorted(latest.values(), key=_order)


def resolve(
    image_id: str,
    verdicts: Sequence[VerdictRow],
    probabilities: Mapping[str, float] | None = None,
    second_looks: Collection[str] = (),
) -> Resolution | None:
    """Say what the verdicts on an image come to; None when none of them counts.

    Where the inspectors agree the image is settled. Where they do not, or one is unsure, it is unresolved until
    somebody has had a second look: then those who are unsure abstain and the majority decides. A tie stays unresolved,
    and so does an image whose latest answer is unsure.

    Args:
        image_id: The image.
        verdicts: All of the image, in any order.
        probabilities: Inclusion probabilities by ask id.
        second_looks: Ids of asks that were second looks.
    """
    counts = counted(verdicts)
    if not counts:
        return None
    state = _state(counts, second_looks)
    masks = [verdict.regions_mask for verdict in counts if verdict.regions_mask] if state == "defect" else []
    asked = [verdict.ask_id for verdict in counts if verdict.ask_id is not None]
    # A second ask follows from the first one's answers: what chose the image is the first.
    probability = (probabilities or {}).get(asked[0]) if asked else None
    return Resolution(image_id, state, tuple(counts), probability, masks[-1] if masks else None)


def _state(counts: Sequence[VerdictRow], second_looks: Collection[str]) -> State:
    said = Counter(verdict.verdict for verdict in counts)
    looked = any(verdict.ask_id in second_looks for verdict in counts)
    if looked and counts[-1].verdict != "unsure":
        del said["unsure"]
    agreed = said["good"] == 0 or said["defect"] == 0
    if said["unsure"] or said["good"] == said["defect"] or not (agreed or looked):
        return "unresolved"
    return "good" if said["good"] > said["defect"] else "defect"


def _order(verdict: VerdictRow) -> tuple[object, int]:
    return verdict.at, verdict.number


def readings(verdicts: Sequence[VerdictRow]) -> list[VerdictRow]:
    """The latest revision of each annotation, without skips and what was withdrawn; in no order."""
    answers: dict[tuple[str, str], list[VerdictRow]] = {}
    withdrawals = []
    for verdict in verdicts:
        if verdict.verdict == "withdrawn":
            withdrawals.append(verdict)
        else:
            answers.setdefault((verdict.source, verdict.external_id), []).append(verdict)
    sweeping = []
    for withdrawal in withdrawals:
        named = (withdrawal.source, withdrawal.external_id)
        if named not in answers:
            sweeping.append(withdrawal)
            continue
        # What was read before the withdrawal is gone with it, also where the server's clock ran ahead.
        answers[named] = [
            answer
            for answer in answers[named]
            if answer.number > withdrawal.number and _order(answer) > _order(withdrawal)
        ]
    heads = [max(revisions, key=_order) for revisions in answers.values() if revisions]
    return [
        head
        for head in heads
        if head.verdict != "skipped"
        and not any(w.inspector == head.inspector and _order(w) > _order(head) for w in sweeping)
    ]
