"""Every command: it explains itself, shows how it is called, prints JSON, and stands in docs/commands.md."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sysconfig
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.errors import ConfigError, UplinkError
from secondsight.client import ForbiddenError, Problem, UnknownFrameError, UnreachableError
from secondsight.command_examples import EXAMPLES
from secondsight.command_line import app, exit_code_of
from secondsight.command_tree import Command, commands
from secondsight.commands_document import document
from secondsight.exit_codes import MEANINGS, ExitCode
from server.errors import ServerConfigError, StoreUnavailableError
from tests.conftest import ROOT

SECONDSIGHT = Path(sysconfig.get_path("scripts"), "secondsight")
# They serve until they are told to end, and log; or print something that has a form of its own.
WITHOUT_JSON = {"server", "worker", "store", "relay", "edge", "edge schema", "completion", "openapi"}


@cache
def tree() -> dict[str, Command]:
    """All commands by their words. Made once, and late: it imports all there is."""
    return {command.name: command for command in commands()}


def runnable() -> list[Command]:
    return [each for each in tree().values() if not each.is_group or each.name in ("edge", "models", "relay")]


def test_every_command_has_help_and_examples() -> None:
    for command in tree().values():
        assert command.help, f"{command.name} has no help"
    names = {command.name for command in runnable()}
    assert names <= EXAMPLES.keys(), f"no example in command_examples.py of {names - EXAMPLES.keys()}"
    assert names >= EXAMPLES.keys(), f"there is no command {EXAMPLES.keys() - names}"


def test_examples_use_options_that_there_are() -> None:
    for name, examples in EXAMPLES.items():
        known = {each for parameter in tree()[name].parameters for each in parameter.names} | {"--help"}
        for example in examples:
            words = shlex.split(example.partition(" >")[0])
            assert words[: 1 + len(name.split())] == ["secondsight", *name.split()], example
            used = {word for word in words if re.fullmatch(r"--[a-z-]+", word)}
            assert used <= known, f"{example}: {name} has no {used - known}"
            needed = [each for each in tree()[name].parameters if each.required and each.is_option]
            missing = {each.names[0] for each in needed} - used
            assert not missing or "--help" in used, f"{example} lacks {missing}"


def test_every_command_that_prints_facts_prints_json() -> None:
    without = {
        command.name
        for command in runnable()
        if not any("--json" in parameter.names for parameter in command.parameters)
    }
    assert without <= WITHOUT_JSON, f"no --json: {without - WITHOUT_JSON}"


def test_the_document_is_made_of_the_commands() -> None:
    written = (ROOT / "docs" / "commands.md").read_text()
    assert written == "\n".join(document(tree().values())) + "\n", (
        "run `secondsight commands > docs/commands.md`"
    )


def test_help_of_a_command_ends_with_its_examples() -> None:
    result = subprocess.run([SECONDSIGHT, "frames", "--help"], capture_output=True, text=True, check=True)
    for example in EXAMPLES["frames"]:
        assert " ".join(example.split()) in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServerConfigError("x"), ExitCode.USAGE),
        (ConfigError("x"), ExitCode.USAGE),
        (StoreUnavailableError(), ExitCode.UNREACHABLE),
        (UplinkError("x"), ExitCode.UNREACHABLE),
        (UnreachableError("x"), ExitCode.UNREACHABLE),
        (ConnectionRefusedError(), ExitCode.UNREACHABLE),
        (ForbiddenError(Problem(status=403, title="x", detail="x")), ExitCode.NOT_ALLOWED),
        (UnknownFrameError(Problem(status=404, title="x", detail="x")), ExitCode.NOT_THERE),
        (FileNotFoundError(), ExitCode.FAILURE),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, Exception) else None,
)
def test_an_error_has_its_exit_code(error: Exception, code: ExitCode) -> None:
    assert exit_code_of(error) == code


def test_every_exit_code_is_explained() -> None:
    assert set(MEANINGS) == set(ExitCode)
    help_of_all = subprocess.run([SECONDSIGHT, "--help"], capture_output=True, text=True, check=True).stdout
    for code, meaning in MEANINGS.items():
        assert f"{code.value} {meaning}"[:40] in " ".join(help_of_all.split())


def completed(*words: str) -> list[str]:
    """What a shell would offer for the last of the words."""
    result = subprocess.run(
        [SECONDSIGHT],
        env=os.environ
        | {
            "_SECONDSIGHT_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["secondsight", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout.split()


def test_a_shell_completes_commands_options_and_choices() -> None:
    assert completed("vi") == ["view"]
    assert completed("access", "us") == ["user"]
    assert completed("view", "gate", "--hu") == ["--human"]
    assert completed("view", "gate", "--format", "w") == ["webp"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_one_of_its_shell(shell: str) -> None:
    result = subprocess.run([SECONDSIGHT, "completion", shell], capture_output=True, text=True, check=True)
    assert "_SECONDSIGHT_COMPLETE" in result.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=result.stdout, text=True, check=True)


def test_a_missing_server_is_told_in_one_line_and_by_the_exit_code() -> None:
    result = subprocess.run(
        [SECONDSIGHT, "cameras", "--server", "http://127.0.0.1:1", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (ExitCode.UNREACHABLE, "")
    assert result.stderr.startswith("error: http://127.0.0.1:1 cannot be reached")
    assert result.stderr.count("\n") == 1


def test_json_of_the_commands_is_one_document() -> None:
    result = CliRunner().invoke(app, ["commands", "--json"])
    assert {tuple(each["path"]) for each in json.loads(result.stdout)} == {
        each.path for each in tree().values()
    }
