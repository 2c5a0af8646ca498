"""What every command of `secondsight` ends with."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """An error names its own by the class attribute `exit_code`; one that names none is a FAILURE."""

    OK = 0
    FAILURE = 1
    """Something is wrong, and the message says what to do; also what `check` and `verify` found to be wrong."""
    USAGE = 2
    """Options, a configuration or a request that cannot be."""
    UNREACHABLE = 3
    """A server, a store or a source does not answer."""
    INCOMPLETE = 4
    """It was begun and could not be finished: frames are not acknowledged, a clip was not made."""
    NOT_ALLOWED = 5
    """The server does not know who asks, or that one may not."""
    NOT_THERE = 6
    """A camera, a frame or a layer that never was, or is no longer."""
    DEFECT = 70
    """The store lost what it must not lose, and the server ended itself."""
    INTERRUPTED = 130
    """Ctrl-C."""
