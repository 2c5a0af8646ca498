"""Which changes of an OpenAPI document break programs that were written for the earlier one.

Programs are taken to pass over what they do not know in answers: new fields, new values of an enumeration, new kinds of
problems. Nothing that they send may be refused that was taken before, and nothing that they read may be missing or of
another type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any, Final

Json = Mapping[str, Any]

_Seen = tuple[tuple[int, int], ...]
"""Pairs of schemas that are being compared already: they may hold themselves."""

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def breaking_changes(earlier: Json, later: Json, today: date) -> list[str]:
    """What breaks, in words. An operation that was marked as deprecated may be gone after its sunset."""
    return list(_Comparison(earlier, later, today).paths())


@dataclass(frozen=True)
class _Comparison:
    earlier: Json
    later: Json
    today: date

    def paths(self) -> Iterator[str]:
        for path, operations in self.earlier["paths"].items():
            for method in (method for method in _METHODS if method in operations):
                before, after = operations[method], self.later["paths"].get(path, {}).get(method)
                name = f"{method.upper()} {path}"
                if after is not None:
                    yield from self._operation(name, before, after)
                elif not self._is_over(before):
                    yield f"{name} is gone"

    def _is_over(self, operation: Json) -> bool:
        sunset = operation.get("x-sunset")
        return bool(operation.get("deprecated") and sunset and date.fromisoformat(sunset) <= self.today)

    def _operation(self, name: str, before: Json, after: Json) -> Iterator[str]:
        if before.get("operationId") != after.get("operationId"):
            yield f"{name} has another operationId: programs that were made from the document call it by that"
        if after.get("security") and not before.get("security"):
            yield f"{name} asks who is there, which it did not"
        yield from self._parameters(name, before, after)
        yield from self._body(name, before, after)
        yield from self._answers(name, before, after)

    def _parameters(self, name: str, before: Json, after: Json) -> Iterator[str]:
        known, now = (
            {(each["in"], each["name"]): each for each in operation.get("parameters", [])}
            for operation in (before, after)
        )
        for key, parameter in now.items():
            place = f"{name}: parameter {key[1]!r}"
            if parameter.get("required") and not known.get(key, {}).get("required"):
                yield f"{place} is required, which it was not"
            if key in known:
                yield from self._taken(place, known[key].get("schema", {}), parameter.get("schema", {}), ())
        for key in known.keys() - now.keys():
            yield f"{name}: parameter {key[1]!r} is gone"

    def _body(self, name: str, before: Json, after: Json) -> Iterator[str]:
        known, now = before.get("requestBody"), after.get("requestBody")
        if now is not None and now.get("required") and not (known or {}).get("required"):
            yield f"{name} takes a body, which it did not"
        if known is None:
            return
        for media_type, content in known["content"].items():
            offered = (now or {}).get("content", {}).get(media_type)
            if offered is None:
                yield f"{name} no longer takes {media_type}"
            else:
                yield from self._taken(
                    f"{name}: body", content.get("schema", {}), offered.get("schema", {}), ()
                )

    def _answers(self, name: str, before: Json, after: Json) -> Iterator[str]:
        for status, response in before["responses"].items():
            if not status.startswith("2"):
                continue
            now = after["responses"].get(status)
            if now is None:
                yield f"{name} no longer answers {status}"
                continue
            for media_type, content in response.get("content", {}).items():
                offered = now.get("content", {}).get(media_type)
                if offered is None:
                    yield f"{name}: {status} no longer comes as {media_type}"
                else:
                    yield from self._given(
                        f"{name}: {status}", content.get("schema", {}), offered.get("schema", {}), ()
                    )

    def _taken(self, place: str, before: Json, after: Json, seen: _Seen) -> Iterator[str]:
        """Whether everything that was taken still is."""
        offered = _kinds(self.later, after)
        for kind in _kinds(self.earlier, before):
            yield from _least(self._kind_taken(place, kind, each, seen) for each in offered)

    def _given(self, place: str, before: Json, after: Json, seen: _Seen) -> Iterator[str]:
        """Whether everything that is given was expected."""
        expected = _kinds(self.earlier, before)
        for kind in _kinds(self.later, after):
            yield from _least(self._kind_given(place, each, kind, seen) for each in expected)

    def _kind_taken(self, place: str, before: Json, after: Json, seen: _Seen) -> Iterator[str]:
        pair = (id(before), id(after))
        if not after or pair in seen:
            return
        seen = (*seen, pair)
        if before.get("type") != after.get("type") and (before.get("type"), after.get("type")) != (
            "integer",
            "number",
        ):
            yield f"{place} was {before.get('type', 'anything')} and has to be {after.get('type', 'another')}"
            return
        if refused := _values(before) - _values(after) if _values(after) else set():
            yield f"{place} no longer takes {', '.join(sorted(map(str, refused)))}"
        if _values(after) and not _values(before):
            yield f"{place} takes only {', '.join(sorted(map(str, _values(after))))}"
        for bound in _LOWER_BOUNDS:
            if bound in after and after[bound] > before.get(bound, float("-inf")):
                yield f"{place}: {bound} is {after[bound]}, and was {before.get(bound, 'none')}"
        for bound in _UPPER_BOUNDS:
            if bound in after and after[bound] < before.get(bound, float("inf")):
                yield f"{place}: {bound} is {after[bound]}, and was {before.get(bound, 'none')}"
        for rule in ("pattern", "format"):
            if rule in after and after[rule] != before.get(rule):
                yield f"{place}: {rule} is {after[rule]}, and was {before.get(rule, 'none')}"
        for field in set(after.get("required", [])) - set(before.get("required", [])):
            yield f"{place}: field {field!r} is required, which it was not"
        fields = after.get("properties", {})
        for field, schema in before.get("properties", {}).items():
            if field not in fields:
                yield f"{place}: field {field!r} is gone"
            else:
                yield from self._taken(f"{place}.{field}", schema, fields[field], seen)
        yield from self._taken_within(place, before, after, seen)

    def _taken_within(self, place: str, before: Json, after: Json, seen: _Seen) -> Iterator[str]:
        for inner in ("items", "additionalProperties"):
            if isinstance(before.get(inner), Mapping) and isinstance(after.get(inner), Mapping):
                yield from self._taken(f"{place}[]", before[inner], after[inner], seen)

    def _kind_given(self, place: str, before: Json, after: Json, seen: _Seen) -> Iterator[str]:
        pair = (id(before), id(after))
        if not before or pair in seen:
            return
        seen = (*seen, pair)
        if before.get("type") != after.get("type") and (before.get("type"), after.get("type")) != (
            "number",
            "integer",
        ):
            yield f"{place} may be {after.get('type', 'anything')}, and was {before.get('type', 'anything')}"
            return
        if "format" in before and after.get("format") != before["format"]:
            yield f"{place}: format is {after.get('format', 'none')}, and was {before['format']}"
        fields, always = after.get("properties", {}), after.get("required", [])
        for field, schema in before.get("properties", {}).items():
            if field not in fields:
                yield f"{place}: field {field!r} is gone"
                continue
            if field in before.get("required", []) and field not in always:
                yield f"{place}: field {field!r} may be missing, which it could not"
            yield from self._given(f"{place}.{field}", schema, fields[field], seen)
        for inner in ("items", "additionalProperties"):
            if isinstance(before.get(inner), Mapping) and isinstance(after.get(inner), Mapping):
                yield from self._given(f"{place}[]", before[inner], after[inner], seen)


def _kinds(document: Json, schema: Json) -> list[Json]:
    """The alternatives that a schema allows, without references."""
    if "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _kinds(document, found)
    several = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf", [])
    if several:
        return list(chain.from_iterable(_kinds(document, each) for each in several))
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def _values(schema: Json) -> set[Any]:
    return set(schema.get("enum", ())) | ({schema["const"]} if "const" in schema else set())


def _least(candidates: Iterator[Iterator[str]]) -> list[str]:
    """The faults beside the alternative that fits best."""
    return min((list(faults) for faults in candidates), key=len, default=[])
