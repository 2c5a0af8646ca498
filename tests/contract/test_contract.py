"""The contract is well formed, its generated code is current, and no change of it breaks who already speaks it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROTO = ROOT / "proto"
BUF = str(Path(sys.executable).with_name("buf"))


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def git(*arguments: str) -> str | None:
    """What git says, or None when it fails or there is none."""
    if shutil.which("git") is None:
        return None
    result = run("git", *arguments)
    return result.stdout.strip() if result.returncode == 0 else None


def generated(folder: Path) -> dict[str, str]:
    return {
        path.name: path.read_text() for path in sorted((folder / "secondsight" / "v1").glob("*_pb2*.py*"))
    }


def test_the_generated_code_is_what_the_protos_give(tmp_path: Path) -> None:
    result = run(sys.executable, "proto/generate.py", "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    fresh, committed = generated(tmp_path), generated(PROTO)
    assert fresh.keys() == committed.keys(), "run `make proto`"
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert not stale, f"run `make proto`: {stale} differ"


def test_a_proto_with_an_error_ends_the_generation(tmp_path: Path) -> None:
    shutil.copytree(PROTO, tmp_path / "proto", ignore=shutil.ignore_patterns("*.py[co]", "__pycache__"))
    (tmp_path / "proto/secondsight/v1/frame.proto").write_text('syntax = "proto3";\nmessage {}\n')
    result = run(sys.executable, "generate.py", cwd=tmp_path / "proto")
    assert result.returncode != 0
    assert "frame.proto:2" in result.stderr


def test_generated_code_imports_the_package_by_its_own_name() -> None:
    imports = [
        line
        for text in generated(PROTO).values()
        for line in text.splitlines()
        if line.startswith(("import ", "from ")) and "_pb2" in line and "google" not in line
    ]
    assert imports
    assert all(line.startswith(("from secondsight.v1 import ", "import secondsight.v1.")) for line in imports)


def test_buf_finds_no_fault() -> None:
    result = run(BUF, "lint", cwd=PROTO)
    assert result.returncode == 0, result.stdout + result.stderr


def first_with_a_contract() -> str | None:
    added = git("log", "--diff-filter=A", "--format=%H", "--", "proto/buf.yaml")
    return added.splitlines()[-1] if added else None


def where_this_work_left_the_default_branch() -> str | None:
    """On that branch itself, the commit before."""
    default = git("rev-parse", "--verify", "origin/HEAD") or git("rev-parse", "--verify", "main")
    if default is not None and default == git("rev-parse", "HEAD"):
        default = git("rev-parse", "--verify", "HEAD~1")
    return default and git("merge-base", "HEAD", default)


@pytest.mark.parametrize("earlier", [first_with_a_contract, where_this_work_left_the_default_branch])
def test_no_change_breaks_the_contract_of_an_earlier_commit(
    tmp_path: Path, earlier: Callable[[], str | None]
) -> None:
    base = earlier()
    if not base:
        pytest.skip("no earlier commit to compare the contract with")
    if not git("ls-tree", base, "proto/buf.yaml"):
        pytest.skip(f"commit {base[:10]} has no contract to compare with")
    before = tmp_path / "before.tar"
    assert git("archive", "--output", str(before), base, "proto") is not None
    result = run(BUF, "breaking", "--against", f"{before}#subdir=proto", cwd=PROTO)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_check_for_breaking_changes_sees_one(tmp_path: Path) -> None:
    changed = tmp_path / "proto"
    shutil.copytree(PROTO, changed, ignore=shutil.ignore_patterns("*.py*", "__pycache__"))
    frame = changed / "secondsight/v1/frame.proto"
    frame.write_text(frame.read_text().replace("uint64 sequence = 3;", "uint32 sequence = 3;"))
    result = run(BUF, "breaking", "--against", os.fspath(PROTO), cwd=changed)
    assert result.returncode != 0
    assert '"sequence"' in result.stdout
