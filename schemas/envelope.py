"""The CloudEvents 1.0 envelope that every event shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from .fields import CONTENT_PREFIX, ContentSubject, EventTime, Id, JsonMediaType, UserSubject
from .limits import CURRENT_LIMITS, Limits


class Value(BaseModel):
    """An immutable part of an event: unknown members are ignored, errors never quote what was sent."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Envelope(Value):
    """What every event carries besides its data.

    `source` and `id` name the event, together with `time`; `subject` is the record's key.
    """

    specversion: Literal["1.0"] = "1.0"
    id: Id
    source: Id
    type: str
    subject: str
    time: EventTime
    datacontenttype: JsonMediaType | None = None
    data: Any

    limit_check: ClassVar[Callable[[Mapping[str, Any], Limits], None] | None] = None
    """What measures the numbers of the data, one of limit_checks, None where it has none. Asked of the class."""

    if not TYPE_CHECKING:  # the constructor's types are those of the members

        def __init__(self, **members: Any) -> None:
            """Build an event. Raises ValidationError, or InvalidEvent for a number beyond the newest limits."""
            super().__init__(**members)
            check_limits(self, CURRENT_LIMITS)

        # Decoding builds events without this constructor, as it does where a class has none of its own: a record of
        # the log is measured by the limits of its own broker time, in native code up to there.
        __init__.__pydantic_base_init__ = True


class UserEvent(Envelope):
    """An event about a user (or, for an admin's action, by the admin): its subject is the telegram_id."""

    subject: UserSubject

    @property
    def telegram_id(self) -> int:
        """The user that the event is about."""
        return int(self.subject)


class ContentData(Value):
    """Data that names the content item which its event is about."""

    content_id: Id


class ContentEvent(Envelope):
    """An event about a content item: its subject is `content:<content_id>`."""

    subject: ContentSubject
    data: ContentData

    @model_validator(mode="after")
    def _subject_names_the_item(self) -> Self:
        if self.subject != CONTENT_PREFIX + self.data.content_id:
            raise PydanticCustomError("subject", "subject must be content:<content_id>")
        return self


def check_limits(event: Envelope, limits: Limits) -> None:
    """Refuse numbers beyond `limits`. Raises InvalidEvent, reason `limit`, naming member and bound."""
    check = type(event).limit_check
    if check is not None:
        check(vars(event.data), limits)
