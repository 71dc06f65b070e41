"""A batch sorted out by class, and the differences of days."""

from __future__ import annotations

from projections.briefs import Received, Sent
from projections.folds.day_figures import DayFigure, DayFigures, Figure
from projections.folds.journal import Journal
from schemas.events import ContentPublished
from tests.support.folding import arrivals, at, event, message


def test_entries_of_several_classes_come_in_the_order_of_the_log() -> None:
    sent = event("message.sent", 3, kind_="text")
    journal = Journal(arrivals([message(1), sent, message(2)]))
    assert [entry.telegram_id for entry in journal.of(Sent, Received)] == [1, 3, 2]
    assert [entry.position for entry in journal.of(Received)] == [0, 2]
    assert list(journal.of(ContentPublished)) == []


def test_content_touches_no_user() -> None:
    item = {"content_id": "x", "content_type": "photo", "price_cents": 1}
    published = ContentPublished(id="1", source="/bots/test", subject="content:x", time=at(), data=item)
    assert Journal(arrivals([published, message(4)])).users == {4}


def test_days_come_in_order_and_only_where_something_differs() -> None:
    days = DayFigures()
    late, early = at(days=1).date(), at().date()
    days.move([], [DayFigure(late, Figure.NEW_DISPUTES, 1), DayFigure(early, Figure.REVENUE_CENTS, 5)])
    assert [day for day, _ in days] == [early, late]
    days.move([DayFigure(late, Figure.NEW_DISPUTES, 1)], [])
    assert [day for day, _ in days] == [early]
