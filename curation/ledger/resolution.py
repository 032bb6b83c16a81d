"""What several verdicts on one image come to; pure functions."""

from collections.abc import Mapping, Sequence

from curation.ledger.rows import Resolution, State, VerdictRow


def counted(verdicts: Sequence[VerdictRow]) -> list[VerdictRow]:
    """Choose the verdicts that count: the latest answer of each inspector, in time order.

    Of one annotation only the latest revision counts. A skip is no answer. A withdrawal cancels the annotation that it
    names, whatever the clocks say; one that names no annotation with an answer cancels all that its inspector had said.

    Args:
        verdicts: All of one image.
    """
    latest: dict[str, VerdictRow] = {}
    for verdict in sorted(_heads(verdicts), key=_order):
        latest[verdict.inspector] = verdict
    return sorted(latest.values(), key=_order)


def resolve(
    image_id: str, verdicts: Sequence[VerdictRow], probabilities: Mapping[str, float] | None = None
) -> Resolution | None:
    """Say what the verdicts on an image come to; None when none of them counts.

    Args:
        image_id: The image.
        verdicts: All of the image, in any order.
        probabilities: Inclusion probabilities by ask id.
    """
    counts = counted(verdicts)
    if not counts:
        return None
    said = {verdict.verdict for verdict in counts}
    state: State = "good" if said == {"good"} else "defect" if said == {"defect"} else "unresolved"
    masks = [verdict.regions_mask for verdict in counts if verdict.regions_mask] if state == "defect" else []
    asked = [verdict.ask_id for verdict in counts if verdict.ask_id is not None]
    # A second ask follows from the first one's answers: what chose the image is the first.
    probability = (probabilities or {}).get(asked[0]) if asked else None
    return Resolution(image_id, state, tuple(counts), probability, masks[-1] if masks else None)


def _order(verdict: VerdictRow) -> tuple[object, int]:
    return verdict.at, verdict.number


def _heads(verdicts: Sequence[VerdictRow]) -> list[VerdictRow]:
    """The latest revision of each annotation, without skips and what was withdrawn."""
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
