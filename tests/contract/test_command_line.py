"""The one command: whole without heavy imports, in one line when something is wrong."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from secondsight import command_line
from tests.conftest import ROOT

SCRIPT = """
class CodecError(Exception): ...
CodecError.__module__ = "shared_models.errors"

def defect():
    \"\"\"Fail as a bug does.\"\"\"
    raise RuntimeError("a bug")

def codec():
    raise CodecError("the stream is cut off after 12 of 90 bytes; send it again")

def missing_file():
    open("/nonexistent/clip.mp4")

def fine(times: int = 1):
    print("done " * times)
"""


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sub-commands that fail in every way, in place of the installed ones."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "script.py").write_text(f'"""Do what a test wants.\n\nMore."""\n{SCRIPT}')
    (tmp_path / "parts" / "broken.py").write_text("def broken(:\n")
    (tmp_path / "parts" / "lacking.py").write_text(
        '"""Need what is not there."""\nimport not_a_package_at_all\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "parts.script", raising=False)
    entries = [
        EntryPoint(name, value, command_line.COMMAND_GROUP)
        for name, value in {
            "defect": "parts.script:defect",
            "codec": "parts.script:codec",
            "missing-file": "parts.script:missing_file",
            "fine": "parts.script:fine",
            "broken": "parts.broken:app",
            "lacking": "parts.lacking:app",
            "absent": "edge.no_such_module:app",
        }.items()
    ]
    monkeypatch.setattr(command_line, "entry_points", lambda group: entries)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command_line.app, list(arguments))


@pytest.mark.usefixtures("commands")
def test_help_lists_even_what_cannot_be_imported() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for words in ("Do what a test wants.", "Need what is not there.", "(cannot be read)", "(not installed)"):
        assert words in result.stdout


@pytest.mark.usefixtures("commands")
def test_a_function_is_a_command_with_options() -> None:
    assert run("fine", "--times", "3").stdout == "done done done \n"
    assert run("fine", "--times", "many").exit_code == 2


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("codec", "error: the stream is cut off after 12 of 90 bytes; send it again\n"),
        ("missing-file", "error: [Errno 2] No such file or directory: '/nonexistent/clip.mp4'\n"),
        (
            "lacking",
            "error: 'lacking' cannot run: the package 'not_a_package_at_all' is missing; `make install` ",
        ),
        ("absent", "error: 'absent' cannot run: this installation has no module edge.no_such_module\n"),
    ],
)
def test_what_a_user_can_mend_is_one_line(command: str, words: str) -> None:
    result = run(command)
    assert result.exit_code == 1
    assert result.stderr.startswith(words)
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("commands")
def test_a_defect_and_debug_show_the_error_itself() -> None:
    assert isinstance(run("defect").exception, RuntimeError)
    assert type(run("--debug", "codec").exception).__name__ == "CodecError"


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from secondsight.command_line import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'grpc', 'av', 'cv2', 'fastapi', 'numpy', 'redis'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Run an embedded store" in result.stdout


def test_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == f"secondsight {version('secondsight')}\n"


def test_every_declared_command_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, value in project["entry-points"][command_line.COMMAND_GROUP].items():
        summary = command_line.summary_of(EntryPoint(name, value, command_line.COMMAND_GROUP))
        assert summary.endswith("."), f"{value}: {summary or 'its module needs a docstring'}"
