"""A site file: YAML, and values that the environment and files of secrets put in place of its own.

`SECONDSIGHT_EDGE__CAMERAS__FRONT__SOURCE` is `source` of the camera `front`; a camera `front-door` is FRONT_DOOR there.
A secret is a file of such a name in the folder of secrets. The environment goes before secrets, and these before the
file.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args, get_type_hints

from pydantic import BaseModel, ValidationError, create_model
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from edge.config import EdgeConfig, SiteConfig
from edge.errors import ConfigError
from edge.site_schema import section_of, site_model
from secondsight.yaml_tree import KeyPath, YamlTreeError, parse_yaml

PREFIX: Final = "SECONDSIGHT_EDGE__"
_DELIMITER: Final = "__"

_Tree = dict[str, Any]

_REMEDIES: Final = {
    "int_": "give a whole number",
    "float_": "give a number",
    "finite_number": "give a finite number",
    "bool_": "give true or false",
    "string_type": "give text, in quotes if it looks like a number or a date",
    "path_": "give a path",
    "tuple_": "give a list",
    "model_": "give a section of keys, indented below",
    "dict_": "give a section of keys, indented below",
}
"""By the beginning of pydantic's type of error."""


def read_site(path: Path, secrets: Path | None = None) -> SiteConfig:
    """The site of the file at `path`.

    Args:
        secrets: folder of the files of secrets.

    Raises:
        ConfigError: names every fault that was found, with its place and its remedy.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(
            f"{path}: cannot be read ({reason}): give the site's YAML file (--config)"
        ) from error
    origins = [_environment(), *([] if secrets is None else [_secrets(secrets)]), _document(text, path)]
    return _Reading(path, origins).site()


@dataclasses.dataclass(frozen=True)
class _Origin:
    """Values from one place.

    Attributes:
        place: says where the value of a key stands.
        secret: the values are not to be shown.
    """

    tree: _Tree
    place: Callable[[KeyPath], str]
    secret: bool = False

    def has(self, path: KeyPath) -> bool:
        """Whether there is a value at `path`."""
        tree: Any = self.tree
        for key in path:
            if not isinstance(tree, dict) or key not in tree:
                return False
            tree = tree[key]
        return True


def _document(text: str, path: Path) -> _Origin:
    """What the file at `path` says."""
    try:
        tree = parse_yaml(text)
    except YamlTreeError as error:
        line = "" if error.line is None else f":{error.line}"
        raise ConfigError(
            f"{path}{line}: {error.problem}: mend the YAML; sections are indented by spaces"
        ) from error
    root = {} if tree.root is None else tree.root
    if not isinstance(root, dict):
        raise ConfigError(f"{path}:1: holds no section of keys: begin with `cameras:`")

    def place(key: KeyPath) -> str:
        while key and key not in tree.lines:
            key = key[:-1]
        return f"{path}:{tree.lines[key]}" if key else str(path)

    return _Origin(root, place)


@cache
def _settings() -> type[BaseSettings]:
    fields: Any = {name: (field.annotation, field) for name, field in site_model().model_fields.items()}
    return create_model("SiteSettings", __base__=_Prefixed, **fields)


class _Prefixed(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=_DELIMITER, env_parse_none_str="null", extra="forbid"
    )


def _environment() -> _Origin:
    return _named_values(
        "environment variable", os.environ, lambda: EnvSettingsSource(_settings())(), secret=False
    )


def _secrets(folder: Path) -> _Origin:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder of secrets: give one that exists (--secrets)")

    def read() -> _Tree:
        return NestedSecretsSettingsSource(
            SecretsSettingsSource(_settings()),
            secrets_dir=folder,
            env_prefix=PREFIX,
            secrets_nested_delimiter=_DELIMITER,
        )()

    return _named_values("secret", [path.name for path in folder.iterdir()], read, secret=True)


def _named_values(
    kind: str, names: Mapping[str, str] | list[str], read: Callable[[], _Tree], secret: bool
) -> _Origin:
    """Raises ConfigError for a name that no key has, which pydantic-settings would pass over."""
    known = list(site_model().model_fields)
    for name in names:
        first = name.upper().removeprefix(PREFIX).partition(_DELIMITER)[0].lower()
        if name.upper().startswith(PREFIX) and first not in known:
            raise ConfigError(f"{kind} {name}: there is no key {first!r}: {_nearest(first, known)}")
    try:
        tree = read()
    except (SettingsError, OSError) as error:
        raise ConfigError(
            f"{kind} {PREFIX}... ({error}): give a section as JSON, or each of its keys by itself"
        ) from error

    def place(path: KeyPath) -> str:
        return f"{kind} {PREFIX}{_DELIMITER.join(path).upper().replace('-', '_')}"

    return _Origin(tree, place, secret)


class _Reading:
    """Values of several origins, the first one before the others, on their way to a site."""

    def __init__(self, path: Path, origins: list[_Origin]) -> None:
        self._path = path
        self._faults: list[str] = []
        self._left_out: set[KeyPath] = set()
        self._origins = [*(_renamed(origin, origins[-1]) for origin in origins[:-1]), origins[-1]]

    def site(self) -> SiteConfig:
        tree: _Tree = {}
        for origin in reversed(self._origins):
            tree = _merged(tree, origin.tree)
        given = self._validated(tree)
        defaults, cameras = given.pop("defaults", {}), given.pop("cameras", {})
        built = [
            self._built(
                EdgeConfig, {"camera_id": name, **_merged(defaults, camera)}, ("cameras", name), "defaults"
            )
            for name, camera in cameras.items()
        ]
        # Where cameras were left out there is no lack of them.
        named = built or [path for path in self._left_out if path[0] == "cameras"]
        site = self._built(SiteConfig, {"cameras": tuple(named), **given}, ())
        if self._faults:
            raise self._refusal()
        assert isinstance(site, SiteConfig)
        return site

    def _validated(self, tree: _Tree) -> _Tree:
        """What is given in `tree`, without the keys that cannot be, which are told.

        Raises:
            ConfigError: nothing is left.
        """
        try:
            return site_model().model_validate(tree).model_dump(exclude_unset=True)
        except ValidationError as error:
            for fault in error.errors(include_url=False):
                self._tell(fault)
            if () in self._left_out:
                raise self._refusal() from error
            for path in self._left_out:
                tree = _without(tree, path)
        try:
            return site_model().model_validate(tree).model_dump(exclude_unset=True)
        except ValidationError as error:
            raise self._refusal() from error

    def _built(self, cls: type, values: _Tree, path: KeyPath, fallback: str | None = None) -> object:
        """`values` as `cls`; None after a fault.

        What keys mean to one another is not judged where one of them was left out: the remedy would be wrong.

        Args:
            fallback: where those stand that are not at `path`.
        """
        hints, given = get_type_hints(cls), {}
        sections = (path,) if fallback is None else (path, (fallback, *path[2:]))
        left_out = {gone[-1] for gone in self._left_out if gone[:-1] in sections} - values.keys()
        whole = not left_out
        for field in dataclasses.fields(cls):
            if field.name in values:
                value, section = values[field.name], _dataclass_of(hints[field.name])
                if section is not None and isinstance(value, dict):
                    value = self._built(section, value, (*path, field.name), fallback)
                    whole &= value is not None
                given[field.name] = value
            elif field.default is dataclasses.MISSING:
                whole = False
                # It may be the one that was left out, or what one of an unknown name was to be.
                if field.name not in left_out and not get_close_matches(field.name, left_out - hints.keys()):
                    self._fault(path, f"has no {field.name}: give it here or under `{fallback}`")
        # A site's keys mean nothing to one another.
        if not whole and cls is not SiteConfig:
            return None
        try:
            built: object = cls(**given)
        except ConfigError as error:
            if fallback is not None and not any(origin.has(path) for origin in self._origins):
                path = (fallback, *path[2:])
            self._fault(path, str(error))
            return None
        return built

    def _tell(self, fault: ErrorDetails) -> None:
        """Tell a fault, and note its key as one to be left out."""
        path = tuple(str(key) for key in fault["loc"] if key != "[key]")
        # A value that may be of several types is told once, and not with the names of the types.
        while path and not any(origin.has(path) for origin in self._origins):
            path = path[:-1]
        if path in self._left_out:
            return
        self._left_out.add(path)
        kind = fault["type"]
        if kind == "extra_forbidden":
            self._fault(path, f"there is no such key: {_nearest_key(path)}")
            return
        if kind == "string_pattern_mismatch":
            self._fault(
                path, "is no camera name: use 1 to 64 of a-z, 0-9, '_' and '-', first a letter or digit"
            )
            return
        remedy = next((told for begin, told in _REMEDIES.items() if kind.startswith(begin)), None)
        if kind == "literal_error":
            remedy = f"give {fault['ctx']['expected']}"
        shown = "the value" if self._origin(path).secret else _shown(fault["input"])
        self._fault(path, f"{shown} cannot be: {remedy or fault['msg']}{_meaning(path)}")

    def _origin(self, path: KeyPath) -> _Origin:
        """Where the value at `path` comes from; what concerns the whole site, or is nowhere, belongs into the file."""
        if not path:
            return self._origins[-1]
        return next((origin for origin in self._origins if origin.has(path)), self._origins[-1])

    def _fault(self, path: KeyPath, problem: str) -> None:
        place = self._origin(path).place(path)
        fault = ": ".join(filter(None, (place, ".".join(path), problem)))
        # One of the defaults is one of every camera.
        if fault not in self._faults:
            self._faults.append(fault)

    def _refusal(self) -> ConfigError:
        return ConfigError("\n".join(self._faults))


def _merged(below: _Tree, above: _Tree) -> _Tree:
    """Sections key by key, everything else as `above` has it."""
    merged = dict(below)
    for key, value in above.items():
        held = merged.get(key)
        merged[key] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


def _without(tree: _Tree, path: KeyPath) -> _Tree:
    """`tree` without the key at `path`, if it is there."""
    kept = dict(tree)
    held = kept.pop(path[0], None)
    if len(path) > 1 and isinstance(held, dict):
        kept[path[0]] = _without(held, path[1:])
    return kept


def _renamed(origin: _Origin, document: _Origin) -> _Origin:
    """`origin`, whose names have no hyphens, with the cameras' names as the file has them."""
    cameras, known = origin.tree.get("cameras"), document.tree.get("cameras")
    if not isinstance(cameras, dict) or not isinstance(known, dict):
        return origin
    names = {name.replace("-", "_"): name for name in reversed(known)}
    renamed = {name if name in known else names.get(name, name): value for name, value in cameras.items()}
    return dataclasses.replace(origin, tree={**origin.tree, "cameras": renamed})


def _dataclass_of(hint: Any) -> type | None:
    """The dataclass that `hint` is or may be."""
    named = (cls for cls in (hint, *get_args(hint)) if isinstance(cls, type))
    return next((cls for cls in named if dataclasses.is_dataclass(cls)), None)


def _section_at(path: KeyPath) -> type[BaseModel] | None:
    """The section that holds the key at the end of `path`."""
    section: type[BaseModel] | None = site_model()
    keys = iter(path[:-1])
    for key in keys:
        section = None if section is None else section_of(section, key)
        if key == "cameras":
            next(keys, None)
    return section


def _meaning(path: KeyPath) -> str:
    section = _section_at(path)
    field = section.model_fields.get(path[-1]) if section is not None and path else None
    return f" ({path[-1]}: {field.description})" if field is not None and field.description else ""


def _nearest_key(path: KeyPath) -> str:
    """What may have been meant by the last key of `path`: one that has this name elsewhere, or a similar one here."""
    section, key = _section_at(path), path[-1]
    here = list(section.model_fields) if section is not None else []
    below = list(_keys_below(section)) if section is not None else []
    for keys in (below, list(_keys_below(site_model()))):
        for other in keys:
            if other[-1] == key:
                return f"did you mean {'.'.join(other)}?"
    if not get_close_matches(key, here) and (
        similar := get_close_matches(key, [other[-1] for other in below])
    ):
        return f"did you mean {'.'.join(next(other for other in below if other[-1] == similar[0]))}?"
    return _nearest(key, here)


def _nearest(key: str, known: list[str]) -> str:
    similar = get_close_matches(key, known, n=1)
    return f"did you mean {similar[0]}?" if similar else f"there are {', '.join(known)}"


def _keys_below(section: type[BaseModel], path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every key of `section` and of the sections in it, except those of single cameras."""
    for key in section.model_fields:
        yield (*path, key)
        inner = section_of(section, key)
        if inner is not None and key != "cameras":
            yield from _keys_below(inner, (*path, key))


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
