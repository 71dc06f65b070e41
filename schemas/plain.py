"""Valid events as plain dictionaries, for a reader that goes through very many of them.

Building an object of a pydantic model costs more than validating its members, and so does every look at one of them.
The validator here checks the same members by the same annotations, derived from the event classes themselves, and makes
a dictionary: a member that was not sent is absent, `time` is a datetime, as in the classes.

It takes less than they do: what they take and it does not (events of content items, whose subject is compared with
their data; versions that have a successor) is for them, as is naming the fault of what nobody takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, NotRequired, Union, get_args, get_origin

from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from .envelope import ContentEvent, Envelope, UserEvent
from .events import EVENT_TYPES
from .limits import Limits
from .upcasters import UPCASTERS

PlainEvent = dict[str, Any]
LimitCheck = Callable[[Mapping[str, Any], Limits], None]

_ON_THE_WIRE: Final = frozenset({"specversion", "type"})
"""Members with a default for events that are built in Python; a record has to have them."""

PLAIN_TYPES: Final[Mapping[str, type[Envelope]]] = {
    name: event_class
    for name, event_class in EVENT_TYPES.items()
    if issubclass(event_class, UserEvent) and event_class not in UPCASTERS
}
"""What the validator takes: these check their members one by one, and nothing between them."""

CONTENT_TYPES: Final = frozenset(name for name, of in EVENT_TYPES.items() if issubclass(of, ContentEvent))
"""The types of events that are about a content item and no user."""

LIMIT_CHECKS: Final[Mapping[str, LimitCheck]] = {
    name: event_class.limit_check for name, event_class in PLAIN_TYPES.items() if event_class.limit_check is not None
}
"""What measures the numbers of an event's data, by type."""


@cache
def validator() -> Callable[[bytes], PlainEvent]:
    """Return what makes a dictionary of an event's JSON, or raises ValidationError (see the module). Made when it is
    first asked for: it takes some tens of milliseconds."""
    any_of_them = _union(map(_dictionary, PLAIN_TYPES.values()))
    adapter: TypeAdapter[PlainEvent] = TypeAdapter(Annotated[any_of_them, Field(discriminator="type")])
    return adapter.validator.validate_json


def plain(event: Envelope) -> PlainEvent:
    """Return an event's members as the validator would."""
    return {**event.model_dump(exclude_unset=True), "type": event.type}


@cache
def _dictionary(model: type[BaseModel]) -> Any:
    """Return the TypedDict with the members of `model`."""
    members: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        annotation = _without_models(field.annotation)
        for constraint in field.metadata:
            annotation = Annotated[annotation, constraint]
        needed = field.is_required() or (issubclass(model, Envelope) and name in _ON_THE_WIRE)
        members[name] = annotation if needed else NotRequired[annotation]
    make: Any = TypedDict  # a type checker wants the members written out
    return make(model.__name__, members)


def _without_models(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _dictionary(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return _union(map(_without_models, get_args(annotation)))
    return annotation


def _union(types: Iterable[Any]) -> Any:
    return Union[tuple(types)]  # noqa: UP007  # the types are not known before
