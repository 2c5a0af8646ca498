"""The parts of the product as child processes, started by command line alone."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Final, Self

from secondsight.demo.errors import ProcessError

_LOG = logging.getLogger(__name__)

_POLL_S: Final = 0.05
_STOP_S: Final = 15.0
_READY_S: Final = 60.0
_MOST_RESTARTS: Final = 5
_LAST_LINES: Final = 15

STORE_READY: Final = r"^store ready at "
SERVER_READY: Final = r"^ready grpc="


def free_ports(*preferred: int) -> list[int]:
    """As many different ports of the loopback on which nobody listens: each the preferred one if that can be.

    Args:
        preferred: 0 for any.
    """
    ports = []
    with ExitStack() as probes:
        for wanted in preferred:
            # All are held until the last is found, or the same one could be found twice.
            probe = probes.enter_context(socket.socket())
            if wanted:
                # Also when a demo that has just ended left connections in TIME_WAIT.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
    return ports


class Child:
    """One running part. What it prints is added to the file `log`."""

    def __init__(
        self, name: str, program: str, arguments: tuple[str, ...], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.restarts = 0
        self._arguments = arguments
        self._environment = environment
        self._log = log
        self._command = [*_ending_with_parent(), program]
        self._start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    async def ready(self, pattern: str, within_s: float = _READY_S) -> str:
        """The first line printed since its start in which `pattern` is found.

        Raises:
            ProcessError: it ended, or printed no such line in time.
        """
        try:
            async with asyncio.timeout(within_s):
                while True:
                    # Whether it runs is looked at before the text: its last line may come just before its end.
                    running = self.running
                    for line in self._printed().splitlines():
                        if re.search(pattern, line):
                            return line
                    if not running:
                        raise self.failure("ended before it was ready")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise self.failure(f"was not ready within {within_s:g} s") from error

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        while True:
            if (code := self._process.poll()) is not None:
                return code
            await asyncio.sleep(_POLL_S)

    def restart(self) -> None:
        """Start it again, with the same arguments, after it ended.

        Raises:
            ProcessError: it has ended too often.
        """
        if self.restarts == _MOST_RESTARTS:
            raise self.failure(f"ended {_MOST_RESTARTS + 1} times")
        self.restarts += 1
        self._start()

    def failure(self, what: str) -> ProcessError:
        """An error that shows the end of its log."""
        last = "\n".join(self._printed().splitlines()[-_LAST_LINES:])
        return ProcessError(f"the {self.name} {what}; its log {self._log} ends with:\n{last}")

    def stop(self) -> None:
        """End it politely, then not."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            _LOG.warning("the %s did not end within %g s and was killed", self.name, _STOP_S)
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        self._begin = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    [*self._command, *self._arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ
                    | {"PYTHONUNBUFFERED": "1", "no_grpc_proxy": "127.0.0.1"}
                    | dict(self._environment),
                    # A Ctrl-C in the terminal is for the demo, which ends its children in order.
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessError(
                    f"cannot start {self._command[-1]}: {error}; run `make install`"
                ) from error

    def _printed(self) -> str:
        with self._log.open("rb") as output:
            output.seek(self._begin)
            return output.read().decode(errors="replace")


def _ending_with_parent() -> list[str]:
    """A launcher whose program is told to end when this process is killed; nothing where util-linux is not there.

    Where this process is killed before the launcher has asked for that, nobody tells it: so it looks who its parent is.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    only_of_its_parent = '[ "$PPID" = "$0" ] && exec "$@"'
    return [setpriv, "--pdeathsig", "TERM", "--", "sh", "-c", only_of_its_parent, str(os.getpid())]


class Children:
    """All parts that were started; leaving the context ends them, the last one first."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []

    def start(
        self,
        name: str,
        *arguments: str,
        program: str | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> Child:
        """Start `secondsight ARGUMENTS`, or another `program`, printing to NAME.log.

        Args:
            environment: set beside what this process has.
        """
        program = program or str(Path(sysconfig.get_path("scripts"), "secondsight"))
        child = Child(name, program, arguments, environment, self._logs / f"{name}.log")
        self._children.append(child)
        return child

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._children:
            self._children.pop().stop()


async def keep_running(say: Callable[[str], None], *children: Child) -> None:
    """Start these again whenever one has ended, telling it by `say`, until cancelled.

    Raises:
        ProcessError: one has ended too often.
    """
    while True:
        for child in children:
            if not child.running:
                child.restart()
                say(f"the {child.name} had ended and is started again")
        await asyncio.sleep(_POLL_S)
