"""Rules from files, and what is told of faulty ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.errors import RulesError
from server.watch import rules as documentation
from server.watch.rules import CameraRules, Rules


def loaded(tmp_path: Path, text: str) -> Rules:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return Rules.load(path)


def test_the_documented_file_is_read(tmp_path: Path) -> None:
    text = (documentation.__doc__ or "").split("::\n", 1)[1]
    rules = loaded(tmp_path, text)
    assert rules.of("anywhere").minimum_score == 0.4
    gate = rules.of("gate")
    assert gate.labels == {"person", "car"}
    assert gate.track
    assert gate.zones["drive"].dwell_s == 10
    assert gate.zones["drive"].alert


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, "").of("gate") == CameraRules()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cameras: {gate: {label: [person]}}", r"cameras\.gate\.label: Extra inputs"),
        ("cameras: {Gate: {}}", "'Gate' is no camera name"),
        ("default: {zones: {a: {polygon: [[0, 0], [1, 1]]}}}", r"default\.zones\.a\.polygon: .*at least 3"),
        ("default: {zones: {a: {polygon: [[0, 0], [1, 1], [2, 0]]}}}", r"less than or equal to 1"),
        ("default: {zones: {a: {polygon: [[0, 0], [1, 1], [1, 0]], dwell_s: 5}}}", "set track"),
        ("default: {minimum_score: high}", r"default\.minimum_score: .*number"),
        ("default: [", "cannot be read"),
        ("default: {}\ndefault: {}", "cannot be read: line 2: default is given twice"),
        ("default: {minimum_score: 2024-13-45}", "cannot be read: line 1: '2024-13-45' is no timestamp"),
        ("default: " + 2000 * "[", "cannot be read: sections lie too deep"),
        ("default: &a {zones: *a}", "cannot be read: line 1: an alias holds itself"),
        ("- default", "the file: "),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=told):
        loaded(tmp_path, text)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"rules in .*gone\.yaml cannot be read"):
        Rules.load(tmp_path / "gone.yaml")
