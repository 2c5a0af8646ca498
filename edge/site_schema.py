"""What may stand in a site file: models of its sections, made from the dataclasses of `edge.config`.

A camera's section and `defaults` have the keys of `EdgeConfig`, none of them required: what counts is what the two give
together. A field that is added to a dataclass, with a line in its docstring, is at once a key of the file and of the
schema.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model
from pydantic.json_schema import GenerateJsonSchema

from edge.config import EdgeConfig, SiteConfig
from secondsight.store_keys import CAMERA_ID_PATTERN

SCHEMA_NAME: Final = "edge.schema.json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class _Untitled(GenerateJsonSchema):
    """Without titles, which would only repeat the keys."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


_CONFIG: Final = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())

_CameraName = Annotated[str, StringConstraints(pattern=f"^{CAMERA_ID_PATTERN}$")]


@cache
def site_model() -> type[BaseModel]:
    """The whole file."""
    camera = _section(EdgeConfig, "Camera", leave_out=("camera_id",))
    own: dict[str, Any] = {
        "defaults": (camera, Field(default_factory=camera, description="What holds for every camera.")),
        "cameras": (
            dict[_CameraName, camera],  # type: ignore[valid-type]
            Field(default_factory=dict, description="By name; what is given here goes before `defaults`."),
        ),
    }
    return create_model(
        "Site",
        __config__=_CONFIG,
        __doc__="The cameras of one edge process.",
        **{**_fields(SiteConfig, leave_out=("cameras",)), **own},
    )


def site_schema() -> dict[str, Any]:
    """The file's JSON Schema (draft 2020-12)."""
    return {"$schema": _DIALECT, **site_model().model_json_schema(schema_generator=_Untitled)}


def section_of(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    """The model of the section that `key` of `model` opens, of each one where there may be many; None if it is none."""
    field = model.model_fields.get(key)
    return None if field is None else next(_models_in(field.annotation), None)


def _section(cls: type, name: str, leave_out: tuple[str, ...] = ()) -> type[BaseModel]:
    summary = (cls.__doc__ or "").partition("\n")[0]
    return create_model(name, __config__=_CONFIG, __doc__=summary, **_fields(cls, leave_out))


@cache
def _shared_section(cls: type) -> type[BaseModel]:
    return _section(cls, cls.__name__.removesuffix("Config"))


def _fields(cls: type, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    hints, said = get_type_hints(cls), descriptions(cls)
    return {
        field.name: (_annotation(hints[field.name]), _default(field, said.get(field.name)))
        for field in dataclasses.fields(cls)
        if field.name not in leave_out
    }


def _default(field: dataclasses.Field[Any], description: str | None) -> Any:
    if field.default is dataclasses.MISSING or dataclasses.is_dataclass(field.default):
        # Neither "null" nor a section's defaults, which its own keys tell.
        return Field(
            default=None, description=description, json_schema_extra=lambda schema: schema.pop("default")
        )
    return Field(default=field.default, description=description)


def _annotation(hint: Any) -> Any:
    """`hint` with sections in place of dataclasses."""
    if dataclasses.is_dataclass(hint):
        return _shared_section(hint)  # type: ignore[arg-type]
    if get_origin(hint) in (Union, UnionType):
        return reduce(or_, (_annotation(argument) for argument in get_args(hint)))
    return hint


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def descriptions(cls: type) -> dict[str, str]:
    """By field: what the class's docstring says of it under "Attributes:"."""
    _, _, attributes = (cls.__doc__ or "").partition("Attributes:\n")
    said = {}
    for names, text in re.findall(r"^ {8}(\w[\w, ]*): (.*(?:\n {12}.*)*)", attributes, re.MULTILINE):
        sentence = re.sub(r"\bNone\b", "null", " ".join(text.split()))
        said.update(dict.fromkeys(names.split(", "), sentence))
    return said
