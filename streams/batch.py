"""One fetched batch of one partition: records in, everything to be written out. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from schemas import dead_letters
from schemas import events as ev
from schemas.codec import CONTENT_TYPE_HEADER, Decoder, encode
from schemas.errors import InvalidEvent
from schemas.plain import CONTENT_TYPES
from schemas.records import BareRecord, Place, placed
from schemas.redrive import only_projections_refused
from schemas.tiers import RULES_BY_VERSION, tier_change_id

from .fold import TierDecision, UserFold
from .state import PartitionState
from .transport import OutgoingRecord

STAGE: Final = "streams"
SOURCE = "botpulse:/streams"


class Cause(NamedTuple):
    """What moved a tier: an event, or a new version of the rules; and the broker time of its record."""

    source: str
    id: str
    broker_ms: int


@dataclass(slots=True)
class Outcome:
    """What a batch leads to. Aggregates and entries come from the state once the rest is acknowledged."""

    letters: list[OutgoingRecord] = field(default_factory=list)
    tier_changes: list[OutgoingRecord] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    folded: Counter[str] = field(default_factory=Counter)
    """Events by type."""
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Events by type and by why they changed nothing: duplicate (of a recent one), repeated (applied before a restart),
    redriven (for the tables alone), other (about content, not a user)."""
    first_time: datetime | None = None
    """The time of the batch's first event."""
    applied: int = -1
    """The greatest offset that an aggregate has applied."""


def fold_batch(records: Sequence[BareRecord], place: Place, decoder: Decoder, state: PartitionState) -> Outcome:
    """Decode and fold the records of this partition in log order.

    Records up to a user's applied position are skipped: they were folded before a crash. Refused ones become letters.
    """
    outcome = Outcome()
    folds: dict[bytes, UserFold] = {}
    folded: list[str] = []
    decode, partition = decoder.decode_plain, place.partition
    # The state has keys of this partition alone, and those that it doesn't have are worked out together: one by one
    # that would cost as much as folding a new user's first event.
    last = {record.key: record.offset for record in records}
    known = decoder.lying_on(partition, last.keys(), state.users())
    finishes = not state.keeps_decoded(len(last))
    for record in records:
        try:
            event = decode(record, partition, known)
            if outcome.first_time is None:
                outcome.first_time = event["time"]
            key, offset, event_type = record.key, record.offset, event["type"]
            assert key is not None  # the decoder compared it with the subject
            fold = folds.get(key)
            if fold is None:
                if event_type in CONTENT_TYPES:
                    outcome.skipped[event_type, "other"] += 1
                    continue
                fold = folds[key] = UserFold(event["subject"], state.user(key), state)
            if offset <= fold.user.applied:
                outcome.skipped[event_type, "repeated"] += 1
                continue
            outcome.applied = offset
            if only_projections_refused(record.headers):
                # A copy of what was folded here, perhaps longer ago than the user's memory of events reaches.
                fold.pass_over(offset, record.timestamp)
                outcome.skipped[event_type, "redriven"] += 1
                continue
            decision = fold.apply(event, offset, record.timestamp)
        except InvalidEvent as refusal:
            outcome.letters.append(
                OutgoingRecord(*dead_letters.letter(placed(record, place), refusal.reason, refusal.detail, STAGE))
            )
            outcome.refused[refusal.reason.value] += 1
            continue
        if fold.is_duplicate:
            outcome.skipped[event_type, "duplicate"] += 1
            continue
        folded.append(event_type)
        if decision is not None:
            cause = Cause(event["source"], event["id"], record.timestamp)
            outcome.tier_changes.append(tier_change(event["subject"], cause, decision, fold.user.rules))
            outcome.moves[decision.previous, decision.current] += 1
        if finishes and offset == last[key]:
            state.finish(key)
            del folds[key]
    outcome.folded.update(folded)
    return outcome


def tier_change(subject: str, cause: Cause, decision: TierDecision, rules_version: int) -> OutgoingRecord:
    """The tier change as a record: a function of the cause and the rules, so that a repeated decision is alike."""
    change = ev.TierChanged.model_validate(
        {
            "id": tier_change_id(int(subject), cause.source, cause.id, rules_version),
            "source": SOURCE,
            "subject": subject,
            "time": datetime.fromtimestamp(cause.broker_ms // 1000, UTC)
            + timedelta(milliseconds=cause.broker_ms % 1000),
            "data": {
                "previous": decision.previous,
                "current": decision.current,
                "purchases": decision.purchases,
                "spent_cents": decision.spent_cents,
                "benefits": RULES_BY_VERSION[rules_version].benefits_of(decision.current),
                "rules_version": rules_version,
                "caused_by": {"source": cause.source, "id": cause.id},
            },
        }
    )
    return OutgoingRecord(subject.encode(), encode(change), [CONTENT_TYPE_HEADER])
