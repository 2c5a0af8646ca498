"""What can go wrong at the edge::

EdgeError
├── ConfigError             an option that cannot be: mend the command line
├── SourceError             the source cannot be opened or read
├── SpoolError              frames cannot be kept where they should be
│   └── SpoolInUseError     another edge keeps its frames there
├── EnhancementError        an enhancement layer cannot be had
│   ├── EnhancementGoneError         it is not kept, or no longer
│   └── EnhancementUnavailableError  its store does not answer now
└── UplinkError             this connection is over; another one may do
    ├── ServerRefusedError  the server could not be reached or ended the call
    ├── ServerSilentError   no answer in time
    ├── ProtocolError       an answer outside the contract
    └── CredentialsError    a certificate, key or token cannot be read
"""

from __future__ import annotations

from secondsight.exit_codes import ExitCode


class EdgeError(Exception):
    """Root of everything that the edge raises."""


class ConfigError(EdgeError):
    """An option that cannot be."""

    exit_code = ExitCode.USAGE


class SourceError(EdgeError):
    """The source cannot be opened or read; `remedy` says what to do, where there is more to say than to mend it."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class SpoolError(EdgeError):
    """Frames cannot be kept where they should be: mend the configuration or the folder."""


class SpoolInUseError(SpoolError):
    """Another edge keeps its frames there."""


class EnhancementError(EdgeError):
    """An enhancement layer cannot be had."""


class EnhancementGoneError(EnhancementError):
    """It was not kept, or no longer is."""


class EnhancementUnavailableError(EnhancementError):
    """Its store does not answer now."""


class UplinkError(EdgeError):
    """This connection to the server is over; another one may do."""

    exit_code = ExitCode.UNREACHABLE


class ServerRefusedError(UplinkError):
    """The server could not be reached or ended the call. It wants to be left alone for `retry_after_s` seconds."""

    def __init__(self, told: str, retry_after_s: float = 0.0) -> None:
        super().__init__(told)
        self.retry_after_s = retry_after_s


class ServerSilentError(UplinkError):
    """The server did not answer in time."""


class ProtocolError(UplinkError):
    """The server answered outside the contract of `secondsight.v1`."""


class CredentialsError(UplinkError):
    """What proves who this edge is, or who the server is, cannot be read."""
