"""Comparing figures: whatever differs is named, whoever is missing counts as nothing."""

from __future__ import annotations

from deploy.demo.agreement import Difference, compare

NOTHING = {"messages": 0, "tier": "new"}


def test_nothing_differs() -> None:
    figures = {"42": {"messages": 3, "tier": "vip", "more": 1}}
    assert compare("users", figures, {"42": {"messages": 3, "tier": "vip"}}, NOTHING) == []


def test_each_figure_that_differs_is_named() -> None:
    expected = {"42": {"messages": 3, "tier": "vip"}, "43": {"messages": 1, "tier": "new"}}
    found = {"42": {"messages": 3, "tier": "new"}, "44": {"messages": 5, "tier": "new"}}
    assert compare("users", expected, found, NOTHING) == [
        Difference("users", "42", "tier", "vip", "new"),
        Difference("users", "43", "messages", 1, 0),
        Difference("users", "44", "messages", 0, 5),
    ]


def test_who_is_missing_with_nothing_is_no_difference() -> None:
    assert compare("users", {"42": NOTHING}, {"43": NOTHING}, NOTHING) == []


def test_a_figure_that_is_missing_differs() -> None:
    assert compare("users", {"42": NOTHING}, {"42": {"messages": 0}}, NOTHING) == [
        Difference("users", "42", "tier", "new", None)
    ]
