"""YAML as text in a configuration file means it: no key is given twice, and whatever cannot be has a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

KeyPath = tuple[str, ...]


class YamlTreeError(ValueError):
    """The text is no YAML, or says what no value can be. `line` is where, from 1, if that is known."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem if line is None else f"line {line}: {problem}")
        self.problem = problem
        self.line = line


@dataclass(frozen=True)
class YamlTree:
    """A document.

    Attributes:
        root: sections as dictionaries, lists, and values of YAML's types; None for an empty document.
            Keys are text as it was written, whatever YAML would make of them.
        lines: of every key, from 1.
    """

    root: Any
    lines: Mapping[KeyPath, int]


def parse_yaml(text: str) -> YamlTree:
    """Read one document.

    Raises:
        YamlTreeError: it is no YAML, a key is given twice, an alias holds itself, or a value is not what it looks like.
    """
    try:
        loader = yaml.SafeLoader(text)
        try:
            reading = _Reading(loader)
            node = loader.get_single_node()
            return YamlTree(None if node is None else reading.value(node, (), ()), reading.lines)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise YamlTreeError(
            str(error.problem or error.context), None if mark is None else mark.line + 1
        ) from error
    except yaml.YAMLError as error:
        raise YamlTreeError(f"{error}: write the file as UTF-8 text") from error
    except RecursionError as error:
        raise YamlTreeError("sections lie too deep in one another") from error


class _Reading:
    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self.lines: dict[KeyPath, int] = {}

    def value(self, node: yaml.Node, path: KeyPath, around: tuple[yaml.Node, ...]) -> Any:
        """What `node` holds; it stands at `path`, in the nodes `around`."""
        if any(node is outer for outer in around):
            raise yaml.MarkedYAMLError(problem="an alias holds itself", problem_mark=node.start_mark)
        around = (*around, node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, str(index)), around) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self._scalar(node)
        seen: set[str] = set()
        for key, _ in node.value:
            if _name(key) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{'.'.join((*path, key.value))} is given twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        self._loader.flatten_mapping(node)
        tree = {}
        for key, value in node.value:
            name = _name(key)
            self.lines[(*path, name)] = key.start_mark.line + 1
            tree[name] = self.value(value, (*path, name), around)
        return tree

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            # PyYAML lets through what Python's own types raise.
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"{node.value!r} is no {kind}, write text in quotes", problem_mark=node.start_mark
            ) from error


def _name(key: yaml.Node) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise yaml.MarkedYAMLError(problem="a key is no text", problem_mark=key.start_mark)
    name: str = key.value
    return name
