"""What has become narrower between two JSON Schemas of one event version: pure, and named by member.

Within a version everything that was valid stays valid and means the same: members may come, values may become more;
nothing may go, nothing may be forbidden that was allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_EXACT: Final = ("pattern", "format")
_DESCRIBING: Final = frozenset({"description", "title", "$id", "$schema", "$defs", "examples"})
_KNOWN: Final = frozenset(
    {*_LOWER_BOUNDS, *_UPPER_BOUNDS, *_EXACT, *_DESCRIBING}
    | {"type", "enum", "const", "anyOf", "$ref", "properties", "required", "items", "additionalProperties"}
)


def narrowed(old: Schema, new: Schema) -> list[str]:
    """Return what `new` refuses or leaves out that `old` had, one line a finding, beginning with the member's path."""
    return [f"{path or 'the event'}: {what}" for path, what in _Comparison(old, new).compare(old, new, "")]


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new

    def compare(self, old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        for unknown in sorted((old.keys() | new.keys()) - _KNOWN):
            if old.get(unknown) != new.get(unknown):
                yield path, f"{unknown} changed, and nothing here knows whether that narrows"
        old_variants, new_variants = old.get("anyOf", [old]), new.get("anyOf", [new])
        if len(old_variants) > 1 or len(new_variants) > 1:
            for variant in old_variants:
                found = [list(self.compare(variant, candidate, path)) for candidate in new_variants]
                # The variant of the same kind says best what is wrong.
                if all(found):
                    yield from min(found, key=lambda findings: (_kind_differs(findings), len(findings)))
            return
        yield from self._values(old, new, path)
        yield from self._members(old, new, path)

    def _values(self, old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
        if "type" in new and old.get("type") != new["type"] and (old.get("type"), new["type"]) != ("integer", "number"):
            yield path, f"the type was {old.get('type', 'any')}, is {new['type']}"
            return
        allowed = _listed(new)
        if allowed is not None:
            before = _listed(old)
            if before is None:
                yield path, f"only {allowed} are left"
            elif gone := [value for value in before if value not in allowed]:
                yield path, f"no longer allowed: {', '.join(map(str, gone))}"
        for bound in _LOWER_BOUNDS:
            if bound in new and (bound not in old or new[bound] > old[bound]):
                yield path, f"{bound} was {old.get(bound, 'none')}, is {new[bound]}"
        for bound in _UPPER_BOUNDS:
            if bound in new and (bound not in old or new[bound] < old[bound]):
                yield path, f"{bound} was {old.get(bound, 'none')}, is {new[bound]}"
        for exact in _EXACT:
            if exact in new and new[exact] != old.get(exact):
                yield path, f"{exact} was {old.get(exact, 'none')}, is {new[exact]}"

    def _members(self, old: Schema, new: Schema, path: str) -> Iterator[tuple[str, str]]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            member = f"{path}.{name}" if path else name
            if name not in after:
                yield member, "is gone"
            else:
                yield from self.compare(schema, after[name], member)
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{path}.{name}" if path else name, "is required now"
        for inner in ("items", "additionalProperties"):
            schema = new.get(inner)
            if schema is False and old.get(inner, True) is not False:
                yield path, f"other {inner} are refused now"
            elif isinstance(schema, Mapping):
                sent = old.get(inner)
                yield from self.compare(sent if isinstance(sent, Mapping) else {}, schema, f"{path}[]")


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    return schema


def _listed(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _kind_differs(findings: list[tuple[str, str]]) -> bool:
    return any(what.startswith("the type was") for _, what in findings)
