"""YAML of configuration files: what it says, where, and what is refused."""

from __future__ import annotations

import pytest

from secondsight.yaml_tree import YamlTreeError, parse_yaml


def test_a_document_is_read_with_the_lines_of_its_keys() -> None:
    tree = parse_yaml("a: 1\nb:\n  c: [x, {d: 2.5}]\n")
    assert tree.root == {"a": 1, "b": {"c": ["x", {"d": 2.5}]}}
    assert tree.lines == {("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", "1", "d"): 3}


def test_an_empty_document_is_nothing() -> None:
    assert parse_yaml("").root is None


def test_keys_are_text_whatever_yaml_would_make_of_them() -> None:
    assert parse_yaml("{1: a, on: b, 2024-01-01: c}").root == {"1": "a", "on": "b", "2024-01-01": "c"}


def test_a_section_may_begin_as_another_one() -> None:
    tree = parse_yaml("base: &base {x: 1, y: 2}\nown:\n  <<: *base\n  y: 3\n")
    assert tree.root["own"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: 2\na: 3", 3, "a is given twice"),
        ("a:\n  b: 1\n  b: 2", 3, "a.b is given twice"),
        ("1: a\n'1': b", 2, "1 is given twice"),
        ("? [a]\n: b", 1, "a key is no text"),
        ("a: &a [*a]", 1, "an alias holds itself"),
        ("a: 2024-13-45", 1, "'2024-13-45' is no timestamp, write text in quotes"),
        ("a: !!int x", 1, "'x' is no int, write text in quotes"),
        ("a: !thing x", 1, "could not determine a constructor for the tag '!thing'"),
        ("a: [", 1, "expected the node content, but found '<stream end>'"),
        ("a: 1\n---\nb: 2", 2, "but found another document"),
        ("a: " + 2000 * "[", None, "sections lie too deep in one another"),
        ("a: \x01", None, "write the file as UTF-8 text"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(YamlTreeError) as refusal:
        parse_yaml(text)
    assert refusal.value.line == line
    assert problem in refusal.value.problem
    assert str(refusal.value).endswith(refusal.value.problem)
