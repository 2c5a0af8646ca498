"""What can go wrong with a call to a server.

Every error names the problem and what to do about it. `exit_code` is what the command line ends with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Final

from secondsight.exit_codes import ExitCode


class ClientError(Exception):
    """Root of everything that the client raises.

    ::

        ClientError
        ├── SettingsError                    an address, a file or a number that cannot be
        │   └── KeyInTheClearError           a key would be sent where others could read it
        ├── UnreachableError                 nobody answers there
        │   └── TimedOutError                not in time
        ├── IncompatibleServerError          client and server are of versions that do not fit
        ├── ProblemError                     the server answers with a problem
        │   ├── InvalidRequestError          it does not take the request so
        │   │   └── ReasonRequiredError      a human view takes a reason
        │   ├── UnauthenticatedError         it does not know who asks
        │   ├── ForbiddenError               who asks may not
        │   ├── NotFoundError                there is no such thing
        │   │   ├── UnknownCameraError
        │   │   ├── UnknownFrameError
        │   │   └── EnhancementNotStoredError
        │   ├── GoneError                    there was such a thing
        │   │   ├── EnhancementExpiredError
        │   │   ├── EnhancementEvictedError
        │   │   └── KeyFrameGoneError
        │   ├── TooManyRequestsError         later
        │   ├── UnavailableError             later, or when a part of the system is back
        │   └── ServerFailedError            a defect of the server
        ├── JobError                         a clip or an export was not made
        └── PushError                        frames cannot be pushed
            ├── FrameRefusedError            the server will never store this frame
            ├── PictureError                 it cannot be encoded
            └── FeedClosedError              the feed is closed
    """

    exit_code: ClassVar[ExitCode] = ExitCode.FAILURE


class SettingsError(ClientError):
    """An address, a file or a number that cannot be."""

    exit_code = ExitCode.USAGE


class KeyInTheClearError(SettingsError):
    """A key would be sent where others could read it."""


class UnreachableError(ClientError):
    """Nobody answers there."""

    exit_code = ExitCode.UNREACHABLE


class TimedOutError(UnreachableError):
    """No answer in time."""


class IncompatibleServerError(ClientError):
    """The server does not know what the client asks for, or answers what the client cannot read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document (RFC 9457), or a gRPC status told as one.

    Attributes:
        type: names the kind of problem, as ``/problems/unknown-camera``; ``about:blank`` if its status tells all.
        errors: of an invalid request, where and what.
        retry_after: seconds after which the server wants to be asked again; None when it does not say.
    """

    status: int
    title: str
    detail: str
    type: str = "about:blank"
    errors: tuple[dict[str, Any], ...] = field(default=())
    retry_after: float | None = None

    @property
    def slug(self) -> str:
        """Last part of the type, as ``unknown-camera``."""
        return self.type.rpartition("/")[2] if self.type != "about:blank" else ""


class ProblemError(ClientError):
    """The server answers with a problem, which `problem` holds."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem: Final = problem


class InvalidRequestError(ProblemError):
    """The server does not take the request so."""

    exit_code = ExitCode.USAGE


class ReasonRequiredError(InvalidRequestError):
    """A human view takes a reason of one line."""


class UnauthenticatedError(ProblemError):
    """The server does not know who asks: give an API key that is valid."""

    exit_code = ExitCode.NOT_ALLOWED


class ForbiddenError(ProblemError):
    """Who asks may not: the role is too low, or the camera is not one of theirs."""

    exit_code = ExitCode.NOT_ALLOWED


class NotFoundError(ProblemError):
    """There is no such thing."""

    exit_code = ExitCode.NOT_THERE


class UnknownCameraError(NotFoundError):
    """No camera of this name has stored a frame."""


class UnknownFrameError(NotFoundError):
    """No such frame is stored, or no longer."""


class EnhancementNotStoredError(NotFoundError):
    """The frame came without an enhancement layer."""


class GoneError(ProblemError):
    """There was such a thing."""

    exit_code = ExitCode.NOT_THERE


class EnhancementExpiredError(GoneError):
    """The enhancement layer was kept for as long as it was to be."""


class EnhancementEvictedError(GoneError):
    """The enhancement layer went before its time, because the store was full."""


class KeyFrameGoneError(GoneError):
    """What the frame is predicted from is no longer stored."""


class TooManyRequestsError(ProblemError):
    """Ask again after `problem.retry_after` seconds."""


class UnavailableError(ProblemError):
    """The server, its store or a camera's edge cannot answer now."""

    exit_code = ExitCode.UNREACHABLE


class ServerFailedError(ProblemError):
    """A defect of the server, or of what it was sent; its log tells more."""


class JobError(ClientError):
    """A clip or an export was not made."""

    exit_code = ExitCode.INCOMPLETE


class PushError(ClientError):
    """Frames cannot be pushed."""


class FrameRefusedError(PushError):
    """The server will never store this frame. `reason` is the contract's name of why, as ``BITSTREAM``."""

    def __init__(self, frame: str, reason: str, detail: str) -> None:
        super().__init__(f"frame {frame} was refused, {reason}: {detail}")
        self.frame: Final = frame
        self.reason: Final = reason


class PictureError(PushError):
    """A picture that cannot be read or encoded."""


class FeedClosedError(PushError):
    """The feed is closed, and takes no more frames."""


_BY_SLUG: Final[dict[str, type[ProblemError]]] = {
    "unknown-camera": UnknownCameraError,
    "unknown-frame": UnknownFrameError,
    "enhancement-not-stored": EnhancementNotStoredError,
    "enhancement-expired": EnhancementExpiredError,
    "enhancement-evicted": EnhancementEvictedError,
    "key-frame-gone": KeyFrameGoneError,
    "reason-required": ReasonRequiredError,
}
_BY_STATUS: Final[dict[int, type[ProblemError]]] = {
    HTTPStatus.UNAUTHORIZED: UnauthenticatedError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.GONE: GoneError,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequestsError,
    HTTPStatus.BAD_GATEWAY: ServerFailedError,
    HTTPStatus.SERVICE_UNAVAILABLE: UnavailableError,
    HTTPStatus.GATEWAY_TIMEOUT: UnavailableError,
}


def error_of(problem: Problem) -> ProblemError:
    """The error of the most exact kind that is known."""
    kind = _BY_SLUG.get(problem.slug) or _BY_STATUS.get(problem.status)
    if kind is None:
        kind = InvalidRequestError if problem.status < HTTPStatus.INTERNAL_SERVER_ERROR else ServerFailedError
    return kind(problem)
