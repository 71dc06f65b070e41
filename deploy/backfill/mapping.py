"""The mapping file: which rows are which events, and which column is which member."""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.errors import ConfigurationError
from schemas.events import EVENT_TYPES
from schemas.findings import problems


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Part):
    """Where a member's value comes from: a column, or one value for all rows."""

    column: str | None = None
    value: str | int | bool | None = None
    values: dict[str, str] | None = None
    """From what stands in the column to what the contract calls it."""
    otherwise: str | None = None
    """For what `values` does not have; without it such a row is refused."""
    dollars: bool = False
    """The column has dollars (numeric, or text such as 9.99): cents are made of them, exactly."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("say either column or value")
        return self


class Facts(_Part):
    """Rows of one table, query or file as events of one type."""

    event: str
    table: str | None = None
    query: str | None = None
    file: str | None = None
    """Beneath the folder of --from-csv or --from-ndjson; the default is the table's name with the ending."""
    key: str
    """A column that is different in every row; rows are read in its order."""
    subject: str
    time: str
    id: str | None = None
    """What makes the event's id, from columns: "unlock-{id}"; the default is the table and the key."""
    where: dict[str, list[str]] = Field(default_factory=dict)
    """Only rows whose column has one of these values."""
    data: dict[str, Member] = Field(default_factory=dict)

    @field_validator("data", mode="before")
    @classmethod
    def _column_alone(cls, members: Any) -> Any:
        if isinstance(members, dict):
            return {name: {"column": told} if isinstance(told, str) else told for name, told in members.items()}
        return members

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.event_type not in EVENT_TYPES:
            raise ValueError(f"{self.event} is no event type")
        if self.table is None and self.query is None and self.file is None:
            raise ValueError("say table, query or file")
        if self.id is None and self.table is None and self.file is None:
            raise ValueError("a query needs an id")
        return self

    @property
    def event_type(self) -> str:
        """The whole name of the type, version 1 where the mapping names none."""
        name = self.event if self.event.startswith("botpulse.") else f"botpulse.{self.event}"
        return name if name.rpartition(".")[2].removeprefix("v").isdecimal() else f"{name}.v1"

    @property
    def name(self) -> str:
        """How these rows are called in reports: unique in a mapping."""
        return f"{self.table or self.file or 'query'} as {self.event}"

    @cached_property
    def id_template(self) -> str:
        """The id of every event."""
        return self.id or f"{self.table or self.file}-{{{self.key}}}"


class Mapping(_Part):
    """The whole file."""

    source: str
    """Of all these events; not one that the bot itself uses."""
    time_zone: str = "UTC"
    """Of times without a zone."""
    facts: list[Facts]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [facts.name for facts in self.facts]
        if len(set(names)) < len(names):
            raise ValueError("the same rows are mapped to the same event twice: give one of them a query of its own")
        return self


def read_mapping(path: Path) -> Mapping:
    """Read the file. Raises ConfigurationError that names the entry."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is no TOML: {error}") from None
    try:
        return Mapping.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {problems(error)}") from None
