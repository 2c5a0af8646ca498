"""`--out` of the commands that measure, and of those that make weights files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secondsight.command_line import app
from shared_models.command.printing import put_figures
from shared_models.errors import WeightsError
from shared_models.weights import Weights, shipped_weights

COMMANDS = [
    "eval rd missing",
    "eval paper missing",
    "eval recognition missing",
    "eval losses missing",
    "eval stream missing",
    "bench codec",
    "bench recognition",
    "models export",
    "models import missing",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_cannot_be_is_refused_before_the_work(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    for out, why in (("folder.json", "is a folder"), ("file/a.json", "is a file")):
        result = CliRunner().invoke(app, [*command.split(), "--out", str(tmp_path / out)])
        assert result.exit_code == 2, result.output
        assert "Invalid value for '--out'" in result.output
        assert why in " ".join(result.output.replace("│", " ").split())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_told_first(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = CliRunner().invoke(app, ["eval", "rd", "missing", "--out", str(tmp_path / "a" / "b.json")])
    assert (result.exit_code, "read-only" in result.output) == (2, True)


@pytest.mark.parametrize("name", ["figures", "figures.md"])
def test_a_streams_figures_do_not_stand_where_their_text_goes(name: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["eval", "stream", "missing", "--out", str(tmp_path / name)])
    assert result.exit_code == 2, result.output
    assert "end it in .json" in " ".join(result.output.replace("│", " ").split())


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    out = tmp_path / "new" / "newer" / "a.json"
    put_figures({"a": 1}, out, as_json=False)
    assert json.loads(out.read_text()) == {"a": 1}
    Weights.load(shipped_weights("lite")).save(tmp_path / "models" / "a.safetensors")
    assert Weights.load(tmp_path / "models" / "a.safetensors").predicted is not None


def test_weights_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    weights = Weights.load(shipped_weights("lite"))
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "a.safetensors"):
        with pytest.raises(WeightsError, match="cannot be written"):
            weights.save(path)
