"""One reader's session: a shell that the blocks of a document are typed into, one after another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.conftest import ROOT
from tests.documents.code_block import CodeBlock, Manner

PATIENCE: Final = 180.0
"""Seconds for which a patient block is tried again."""
_PAUSE: Final = 2.0
_STATE: Final = "session.sh"


class BlockFailedError(Exception):
    """A block that ended with another exit code than 0."""

    def __init__(self, block: CodeBlock, output: str) -> None:
        self.line = block.line
        super().__init__(f"{block.path.name}:{block.line}\n{block.code}\n--- it printed\n{output[-4000:]}")


class Session:
    """Variables and the working folder last from block to block; processes in the background until the end.

    Args:
        folder: where it begins, and its home.
        things: variables with things of the reader's.
    """

    def __init__(self, folder: Path, things: dict[str, str]) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            **things,
            "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "SHARE": str(ROOT / ".venv" / "share"),
        }
        self._state = folder / _STATE
        self._state.write_text("")
        self._started: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._python: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process, _ in reversed(self._started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def shell(self, block: CodeBlock) -> None:
        """Raises BlockFailedError when the block fails; a patient one when it still does after `PATIENCE`."""
        give_up = time.monotonic() + (PATIENCE if block.manner is Manner.PATIENT else 0)
        while True:
            done = self._call(["bash", "-euo", "pipefail", "-c", self._in_session(block.code)])
            if done.returncode == 0:
                return
            if time.monotonic() > give_up:
                raise BlockFailedError(block, self._with_background(done.stdout))
            time.sleep(_PAUSE)

    def start(self, block: CodeBlock) -> None:
        """Leave a block running. Raises BlockFailedError when it ends with an error within a moment."""
        log = self._folder / f"background-{len(self._started) + 1}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", f". {self._state}\n{block.code}"],
                cwd=self._folder,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append((process, log))
        with suppress(subprocess.TimeoutExpired):
            if process.wait(_PAUSE):
                raise BlockFailedError(block, log.read_text())

    def python(self, block: CodeBlock) -> None:
        """A program of the document's Python blocks so far: a later one may use names of those before it."""
        self._python.append(block.code)
        done = self._call([sys.executable, "-c", "\n".join(self._python)])
        if done.returncode:
            raise BlockFailedError(block, self._with_background(done.stdout))

    def _in_session(self, code: str) -> str:
        return f". {self._state}\nset -a\n{code}\nexport -p >{self._state}\n"

    def _call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _with_background(self, output: str) -> str:
        logs = [f"--- background {log.name}\n{log.read_text()[-1500:]}" for _, log in self._started]
        return "\n".join([output, *logs])
