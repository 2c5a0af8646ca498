"""JSON documents to values and back. What the client does not know of a document it passes over."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_KEY: Final = "key"


class UnreadableError(ValueError):
    """A document that is not what the contract says."""


def read(kind: type[T], document: Any, **known: Any) -> T:
    """The value of a dataclass that `document` tells, with `known` for what it does not tell.

    Raises:
        UnreadableError
    """
    if not isinstance(document, Mapping):
        raise UnreadableError(f"{kind.__name__} is {type(document).__name__}, no object")
    values = {**known, **document}
    fields = {}
    hashable: Any = kind
    for name, (key, hint, needed) in _fields(hashable).items():
        if key in values:
            fields[name] = _read(hint, values[key], f"{kind.__name__}.{key}", known)
        elif needed:
            raise UnreadableError(f"{kind.__name__} has no {key!r}")
    return kind(**fields)


def named(key: str) -> dict[str, str]:
    """Metadata of a field whose name in documents is no name in Python."""
    return {_KEY: key}


def document_of(value: Any) -> Any:
    """For JSON: values, and what holds them. Bytes are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        told = ((_key(field), getattr(value, field.name)) for field in dataclasses.fields(value))
        return {key: document_of(each) for key, each in told if not isinstance(each, bytes)}
    if isinstance(value, Mapping):
        return {key: document_of(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [document_of(each) for each in value]
    return moment(value) if isinstance(value, datetime) else value


def moment(value: datetime) -> str:
    """RFC 3339, in UTC; a time without a zone is taken for local time, as Python does."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _key(field: dataclasses.Field[Any]) -> str:
    return str(field.metadata.get(_KEY, field.name))


@cache
def _fields(kind: Hashable) -> dict[str, tuple[str, Any, bool]]:
    """Of each field its key in documents, its type, and whether it has to be there."""
    assert isinstance(kind, type)
    hints = get_type_hints(kind)
    return {
        field.name: (
            _key(field),
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
    }


def _read(hint: Any, value: Any, where: str, known: Mapping[str, Any]) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        (hint,) = (each for each in inner if each is not type(None))
        return _read(hint, value, where, known)
    if origin is tuple:
        if not isinstance(value, list):
            raise UnreadableError(f"{where} is no list")
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(value):
            raise UnreadableError(f"{where} has {len(value)} items, not {len(kinds)}")
        return tuple(_read(kind, each, where, known) for kind, each in zip(kinds, value, strict=True))
    if origin is dict:
        if not isinstance(value, Mapping):
            raise UnreadableError(f"{where} is no object")
        return {key: _read(inner[1], each, where, known) for key, each in value.items()}
    if hint is Any or origin is Literal:
        # A later server may know more of them.
        return value
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return read(hint, value, **known)
    if hint is datetime:
        return value if isinstance(value, datetime) else _moment(value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise UnreadableError(f"{where} is {value!r}, no {hint.__name__}")
    return value


def _moment(value: Any, where: str) -> datetime:
    try:
        read = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise UnreadableError(f"{where} is {value!r}, no time") from error
    if read.tzinfo is None:
        raise UnreadableError(f"{where} is {value!r}, a time without a zone")
    return read.astimezone(UTC)
