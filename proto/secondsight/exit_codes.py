"""What every command of `secondsight` ends with."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """An error names its own by the class attribute `exit_code`; one that names none is a FAILURE."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    INCOMPLETE = 4
    NOT_ALLOWED = 5
    NOT_THERE = 6
    DEFECT = 70
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "all went well",
    ExitCode.FAILURE: "something is wrong, and the message says what to do; or what was checked is not as it should be",
    ExitCode.USAGE: "options, a configuration or a request that cannot be",
    ExitCode.UNREACHABLE: "a server, a store or a source does not answer",
    ExitCode.INCOMPLETE: "it was begun and not finished: frames are not acknowledged, a file was not made",
    ExitCode.NOT_ALLOWED: "the server does not know who asks, or they may not",
    ExitCode.NOT_THERE: "a camera, a frame or a layer that never was, or is no longer",
    ExitCode.DEFECT: "the server ended itself; whatever started it is to start it again",
    ExitCode.INTERRUPTED: "Ctrl-C",
}
