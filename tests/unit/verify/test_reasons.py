"""Why an event that counts moved the spend by nothing, or by less than its amount."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from projections.verify.explain import Step, steps_of
from projections.verify.history import History, Verdict
from projections.verify.money import SPENDING
from projections.verify.rows import kind_of
from schemas.codec import Decoder
from tests.unit.streams.records import MINUTE, START, event, log
from tests.unit.verify.test_money import closed, failed, paid, refunded, some_event

EARLIER = START - MINUTE
LATER = START + MINUTE


def opened(dispute_id: str, charge_id: str, id_: str, at: Any = START, cents: int = 500) -> dict[str, Any]:
    data = {"dispute_id": dispute_id, "charge_id": charge_id, "provider": "stripe", "amount_cents": cents}
    return event("payment.dispute_opened", data, id_=id_, at=at)


def in_euros(made: dict[str, Any], minor: int) -> dict[str, Any]:
    return made | {"data": made["data"] | {"original": {"currency": "EUR", "amount_minor": minor}}}


def steps(events: list[dict[str, Any]], refused: frozenset[int] = frozenset()) -> list[Step]:
    return steps_of(log(events), History(Decoder(1).decode_plain, refused))


CHARGE = paid("c1", "a")
R1, R2, R3 = (refunded(f"r{n}", "c1", f"refund {n}") for n in (1, 2, 3))
LOST, WON = closed("d1", "c1", "lost", "lost"), closed("d1", "c1", "won", "won")

CASES: dict[str, tuple[list[dict[str, Any]], list[str]]] = {
    "a charge and its refunds": ([CHARGE, R1, R2], ["", "", ""]),
    "a charge told again": ([CHARGE, paid("c1", "b", LATER)], ["", "known already, from 0/0"]),
    "a charge told again, with an earlier time": (
        [CHARGE, paid("c1", "b", EARLIER), paid("c1", "c")],
        ["", "known already, from 0/0; this one is earlier and stands for it", "known already, from 0/1"],
    ),
    "a refund told again": ([CHARGE, R1, refunded("r1", "c1", "b", LATER)], ["", "", "known already, from 0/1"]),
    "refunds before their charge": ([R1, R2, CHARGE], ["before its charge"] * 2 + ["refunded before, by 0/0, 0/1"]),
    "more refunds than the charge was": (
        [CHARGE, R1, R2, R3, refunded("r4", "c1", "refund 4")],
        ["", "", "", "no more was left of its charge", "nothing was left of its charge"],
    ),
    "a refund in the currency that was paid": (
        [in_euros(CHARGE, 450), in_euros(R1, 450)],
        ["", "all of the charge is paid back in its own currency"],
    ),
    "a refund that fails": (
        [CHARGE, R1, failed("r1", "c1", "b"), failed("r1", "c1", "c")],
        ["", "", "", "known already, from 0/2"],
    ),
    "a refund that had failed": (
        [CHARGE, failed("r1", "c1", "b"), R1],
        ["", "before its refund", "this refund failed before, by 0/1"],
    ),
    "a failed refund before its charge": (
        [R1, failed("r1", "c1", "b"), CHARGE],
        ["before its charge", "before its charge", ""],
    ),
    "a failed refund of a charge with more refunds than it was": (
        [CHARGE, R1, R2, R3, failed("r1", "c1", "b")],
        ["", "", "", "no more was left of its charge", "the refunds are still more than the rest of its charge"],
    ),
    "a dispute that is lost": ([CHARGE, opened("d1", "c1", "b"), LOST], ["", "open: nothing is lost yet", ""]),
    "a dispute that is won": (
        [CHARGE, opened("d1", "c1", "b"), WON],
        ["", "open: nothing is lost yet", "won: nothing is lost"],
    ),
    "an opening after its closing": (
        [CHARGE, LOST, opened("d1", "c1", "b")],
        ["", "", "its dispute was lost before, by 0/1"],
    ),
    "an opening told again": (
        [CHARGE, opened("d1", "c1", "b"), opened("d1", "c1", "c", LATER)],
        ["", "open: nothing is lost yet", "known already, from 0/1"],
    ),
    "a dispute before its charge": (
        [opened("d1", "c1", "b"), LOST, CHARGE],
        ["before its charge", "before its charge", "its dispute was lost before, by 0/1"],
    ),
    "a lost dispute and a refund before their charge": (
        [LOST, R1, CHARGE],
        ["before its charge", "before its charge", "its dispute was lost before, by 0/0; refunded before, by 0/1"],
    ),
    "a refund after the dispute was lost": ([CHARGE, LOST, R1], ["", "", "its dispute was lost before, by 0/1"]),
    "a refund that fails after the dispute was lost": (
        [CHARGE, R1, LOST, failed("r1", "c1", "b")],
        ["", "", "", "its dispute was lost before, by 0/2"],
    ),
    "a second dispute is lost": (
        [CHARGE, LOST, closed("d2", "c1", "lost", "b")],
        ["", "", "its dispute was lost before, by 0/1"],
    ),
    "a dispute is lost of which nothing was left": (
        [CHARGE, R1, R2, R3, LOST],
        ["", "", "", "no more was left of its charge", "nothing was left of its charge"],
    ),
    "a closing told again": (
        [CHARGE, LOST, closed("d1", "c1", "won", "b", EARLIER), closed("d1", "c1", "won", "c", LATER)],
        ["", "", "known already, from 0/1", "known already, from 0/1; this one is later and stands for it"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_note_says_why(name: str) -> None:
    events, notes = CASES[name]
    assert [step.note for step in steps(events)] == notes


def test_what_its_verdict_explains_has_no_note() -> None:
    events = [CHARGE, CHARGE, opened("d1", "c1", "b"), opened("d1", "c1", "c", cents=7), R1, {**R2, "source": ""}]
    told = steps(events, frozenset({4}))
    assert [step.entry.verdict for step in told] == [
        Verdict.COUNTED, Verdict.DUPLICATE, Verdict.COUNTED, Verdict.CONFLICT, Verdict.REFUSED, Verdict.INVALID,
    ]  # fmt: skip
    assert [bool(step.note) for step in told] == [False, False, True, False, False, False]


def test_nothing_that_moved_less_than_its_amount_is_without_a_reason() -> None:
    """Any order of anything, with openings: the sum of what has no note is the sum of all amounts told."""
    for seed in range(200):
        dice, events = random.Random(seed), []
        for number in range(25):
            made = some_event(dice, number)
            if dice.random() < 0.1:
                at = START + timedelta(minutes=dice.randrange(60))
                made = opened(dice.choice(("d1", "d2")), dice.choice(("c1", "c2")), f"e{number}", at)
            events.append(made)
        for step in steps(events):
            told = step.entry.event
            assert told is not None
            assert kind_of(told) in SPENDING
            moved = step.after.spent_cents - step.before.spent_cents
            amount = told["data"].get("amount_cents")
            if moved == 0 or (amount is not None and abs(moved) < amount):
                assert step.note or step.entry.verdict is not Verdict.COUNTED, f"seed {seed}, {step}"
