"""What can go wrong in the server::

ServerError
├── StoreUnavailableError
│   └── StoreFullError
├── NotReplicatedError
├── WorkerStuckError
├── UnknownCameraError
├── CameraConnectedError
├── UnknownFrameError
├── UnknownMarkError
├── InvalidMarkError
├── KeyFrameGoneError
├── EnhancementError
│   ├── EnhancementExpiredError
│   ├── EnhancementEvictedError
│   └── EnhancementNotStoredError
├── EnhancementUnavailableError
│   ├── NoUplinkError
│   ├── EdgeTooSlowError
│   ├── EdgeStoreSilentError
│   └── CameraStoreSilentError
├── SlicesNotStoredError
├── UndecodableLayerError
├── DecodingFailedError
├── ViewsBusyError
├── NotAcceptableError
├── InvalidCursorError
├── InvalidRangeError
├── RangeNotSatisfiableError
├── InvalidSubscriptionError
├── StreamsBusyError
├── AccessError
│   ├── UnauthenticatedError
│   ├── LoginFailedError
│   ├── PasswordChangeRequiredError
│   ├── WeakPasswordError
│   ├── ForbiddenError
│   ├── ReasonError
│   ├── CrossSiteError
│   ├── UnknownHostError
│   ├── TooManyRequestsError
│   ├── AccessFileError
│   ├── AccessOffError
│   ├── UserError
│   │   ├── UnknownUserError
│   │   ├── UserExistsError
│   │   └── LastAdminError
│   └── UnknownCredentialError
├── AuditError
│   └── AuditUnavailableError
├── JobError
│   ├── UnknownJobError
│   ├── NothingToShowError
│   ├── JobTooLargeError
│   ├── JobNotDoneError
│   ├── JobRoomError
│   ├── RecognitionFailedError
│   ├── JobsUnavailableError
│   └── KeyReusedError
├── ChangedMeanwhileError
├── TagRequiredError
├── RulesError
│   └── RulesOfFileError
├── RelayConfigError
├── RelayPositionsError
├── DeadLetterError
└── RecogniserError
    ├── UnknownRecogniserError
    ├── InvalidRecogniserError
    ├── RecogniserDeviceError
    ├── WarmUpError
    └── RecogniserNotInstalledError
"""

from __future__ import annotations

from pathlib import Path

from secondsight.exit_codes import ExitCode


class ServerError(Exception):
    """Root of all errors of the server."""


class ServerConfigError(ServerError, ValueError):
    """A setting that the server cannot work with."""

    exit_code = ExitCode.USAGE


class StoreUnavailableError(ServerError):
    """The store did not do what it was asked, also not when asked again."""

    exit_code = ExitCode.UNREACHABLE

    def __init__(self, told: str = "the store does not answer; try again when it is back") -> None:
        # The cause names the store's address, which is nothing for callers: it is in the log.
        super().__init__(told)


class StoreFullError(StoreUnavailableError):
    """The store has no memory left, and nothing in it that may go."""

    def __init__(self) -> None:
        super().__init__(
            "the store is full, also without the older frames and results; give it more memory "
            "(secondsight server --store-memory, or maxmemory of a store of your own) or let fewer frames wait "
            "(--backlog-frames)"
        )


class NotReplicatedError(ServerError):
    """A write is in the store, and not in as many of its replicas as are asked for."""

    def __init__(self, have: int, asked: int) -> None:
        super().__init__(
            f"{have} of {asked} replicas of the store have the frame; start more of them, mend their link, or ask for "
            "fewer (--store-replicas)"
        )


class WorkerStuckError(ServerError):
    """Codec or recogniser do not come to an end with a frame. Only the end of the process frees their threads."""

    def __init__(self, camera_id: str, frame: str, within: float) -> None:
        super().__init__(
            f"recognition of frame {frame} of camera {camera_id} did not end within {within:g} s; "
            "this process has to end, another worker goes on"
        )


class UnknownCameraError(ServerError):
    """No frame of this camera was ever stored."""

    def __init__(self, camera_id: str) -> None:
        super().__init__(
            f"no frame of a camera {camera_id!r} was ever stored; GET /v1/cameras lists the cameras"
        )


class CameraConnectedError(ServerError):
    """What is stored of a camera cannot be erased while frames come from it."""

    def __init__(self, camera_id: str) -> None:
        super().__init__(
            f"camera {camera_id!r} is connected, and would be there again at once; stop its edge or revoke its token, "
            "and ask again some seconds later"
        )


class UnknownFrameError(ServerError):
    """The camera has no such frame, or no longer."""

    def __init__(self, camera_id: str, frame: str) -> None:
        super().__init__(
            f"camera {camera_id!r} has no frame {frame!r}; GET /v1/cameras/{camera_id}/frames lists those still kept"
        )


class UnknownMarkError(ServerError):
    """Nobody has marked this, or the mark was taken back."""

    def __init__(self, camera_id: str, mark: str) -> None:
        super().__init__(
            f"camera {camera_id!r} has no mark {mark!r}; GET /v1/marks lists those that there are"
        )


class InvalidMarkError(ServerError):
    """A mark that says nothing, or contradicts itself or the frame that it is about."""


class KeyFrameGoneError(ServerError):
    """The key frame that a frame is predicted from is no longer stored."""

    def __init__(self, camera_id: str, frame: str, key_frame: str) -> None:
        super().__init__(
            f"frame {frame} of camera {camera_id} is predicted from key frame {key_frame}, which is no longer stored; "
            "the frame cannot be decoded without it"
        )


class EnhancementError(ServerError):
    """The enhancement layer asked for cannot be had, or that of the key frame that it is predicted from.

    `needed_by` is the frame that is predicted, when `frame` is its key frame.
    """

    def __init__(self, camera_id: str, frame: str, needed_by: str | None = None) -> None:
        layer, whose = f"the enhancement layer of frame {frame} of camera {camera_id}", "its"
        if needed_by is not None:
            layer += f", the key frame that frame {needed_by} is predicted from,"
            whose = f"frame {needed_by}'s"
        super().__init__(self._told(layer, f"{whose} machine view can still be had"))

    def _told(self, layer: str, remedy: str) -> str:
        raise NotImplementedError


class EnhancementExpiredError(EnhancementError):
    """There was an enhancement layer; its time to live is over."""

    def _told(self, layer: str, remedy: str) -> str:
        return f"{layer} has expired; {remedy}"


class EnhancementEvictedError(EnhancementError):
    """There was an enhancement layer; the store let it go before its time to live was over."""

    def _told(self, layer: str, remedy: str) -> str:
        return (
            f"{layer} was evicted, because the store was full; {remedy}. "
            "Layers are kept longer with more memory for the store"
        )


class EnhancementNotStoredError(EnhancementError):
    """The edge stored no enhancement layer for this frame."""

    def _told(self, layer: str, remedy: str) -> str:
        return f"{layer} was never stored by the edge; {remedy}"


class EnhancementUnavailableError(ServerError):
    """The enhancement layer may be there, but not now; asking again may help."""

    def __init__(self, told: str, retry_after: int) -> None:
        super().__init__(f"{told}; try again in {retry_after} s")
        self.retry_after = retry_after


class NoUplinkError(EnhancementUnavailableError):
    """The edge alone has the enhancement layer, and is not connected to any server."""

    def __init__(self, camera_id: str, retry_after: int) -> None:
        super().__init__(
            f"the enhancement layer waits at the edge of camera {camera_id}, which is not connected",
            retry_after,
        )


class EdgeTooSlowError(EnhancementUnavailableError):
    """The edge alone has the enhancement layer, and it has not come in the time that the request was willing to wait.

    It is on its way: once it has come, it is there for a while.
    """

    def __init__(self, camera_id: str, waited: float, retry_after: int) -> None:
        super().__init__(
            f"the enhancement layer was asked of the edge of camera {camera_id} and has not come within {waited:g} s",
            retry_after,
        )


class EdgeStoreSilentError(EnhancementUnavailableError):
    """The edge has the enhancement layer in a store of its own, which does not answer it."""

    def __init__(self, camera_id: str, retry_after: int) -> None:
        super().__init__(f"the store at the edge of camera {camera_id} does not answer", retry_after)


class CameraStoreSilentError(EnhancementUnavailableError):
    """The store that the server's configuration names for the camera does not answer."""

    def __init__(self, camera_id: str, retry_after: int) -> None:
        super().__init__(
            f"the store that holds the enhancement layers of camera {camera_id} does not answer", retry_after
        )


class SlicesNotStoredError(ServerError):
    """More slices were asked for than the enhancement layer has."""

    def __init__(self, asked: int, cause: Exception) -> None:
        super().__init__(
            f"{asked} slices were asked for: {cause}; ask for fewer, or leave `slices` out for all"
        )


class UndecodableLayerError(ServerError):
    """A layer that is in the store cannot be decoded."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"the stored layers cannot be decoded ({type(cause).__name__}: {cause})")


class DecodingFailedError(ServerError):
    """The codec itself failed on a layer, for want of memory or by a defect; the layer may be sound."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(
            f"the codec failed ({type(cause).__name__}: {cause}); the server's log tells more. "
            "If memory was short, ask again when the server has less to do, or give it more"
        )


class ViewsBusyError(ServerError):
    """As many views as the server takes on at once are being made."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the server is making as many views as it can; try again in {retry_after} s")
        self.retry_after = retry_after


class NotAcceptableError(ServerError):
    """None of the image formats that the client accepts can be made."""

    def __init__(self, accept: str, offered: tuple[str, ...]) -> None:
        super().__init__(
            f"none of {accept!r} can be made; accept one of {', '.join(offered)} or give format="
        )


class InvalidCursorError(ServerError):
    """A cursor that the server did not issue."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"{cursor!r} is no cursor; take it from a `next` link or leave it out")


class InvalidSubscriptionError(ServerError, ValueError):
    """What somebody wants to follow is nothing that can be followed."""


class StreamsBusyError(ServerError):
    """As many event streams as the server keeps open at once are open, or as one user may have."""

    def __init__(self, whose: str, most: int, retry_after: int) -> None:
        super().__init__(
            f"{whose} {most} event streams open, the most; close one, or try again in {retry_after} s"
        )
        self.retry_after = retry_after


class InvalidRangeError(ServerError):
    """A range of time that ends before it begins."""

    def __init__(self) -> None:
        super().__init__("`to` is not after `from`; give a `to` that is, or leave it out for now")


class RangeNotSatisfiableError(ServerError):
    """Bytes were asked for by `Range` that lie behind the end of what there is."""

    def __init__(self, length: int) -> None:
        super().__init__(f"there are {length} bytes; ask for bytes=0-{max(0, length - 1)} at most")
        self.length = length


class AccessError(ServerError):
    """Somebody is not let in, or cannot be."""


class UnauthenticatedError(AccessError):
    """The server asks who is there, and got no answer that it knows."""

    def __init__(self) -> None:
        super().__init__(
            "log in at the page, or send `Authorization: Bearer KEY` with an API key that is still valid; "
            "an operator of the server issues one by `secondsight access user key NAME`"
        )


class LoginFailedError(AccessError):
    """There is no such user with such a password, or the one-time password is used up or too old."""

    def __init__(self) -> None:
        super().__init__(
            "name and password do not belong together, or the one-time password is used up or too old; "
            "`secondsight access user password NAME` on the server issues another"
        )


class PasswordChangeRequiredError(AccessError):
    """A one-time password opens nothing but the choice of a password of one's own."""

    def __init__(self) -> None:
        super().__init__("this is a one-time password; send a `new_password` of your own with it")


class WeakPasswordError(AccessError):
    """The new password will not do."""


class ForbiddenError(AccessError):
    """Who asks is known and may not do this."""


class ReasonError(AccessError):
    """A human view or an enhancement layer was asked for without a reason, or with one that cannot be kept."""


class CrossSiteError(AccessError):
    """A browser was told by another site's page to change something here."""

    def __init__(self) -> None:
        super().__init__("the request comes from another site's page; open this server's own page")


class UnknownHostError(AccessError):
    """A server that asks nobody who they are is called by a name that is not the loopback's."""

    def __init__(self) -> None:
        super().__init__(
            "this server answers to localhost, 127.0.0.1 and [::1] alone; with --access it answers to any name"
        )


class TooManyRequestsError(AccessError):
    """More of this was asked for than one caller may in a minute."""

    def __init__(self, what: str, retry_after: int) -> None:
        super().__init__(f"too many {what}; try again in {retry_after} s")
        self.retry_after = retry_after


class AccessFileError(AccessError):
    """The access file cannot be read or written."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"the access file {str(path)!r}: {why}")


class AccessOffError(AccessError):
    """The server asks nobody who they are, so that there are no users, keys or tokens."""

    def __init__(self) -> None:
        super().__init__(
            "this server listens on the loopback alone and asks nobody who they are; start it with --access FILE to "
            "have users, keys and tokens"
        )


class UserError(AccessError, ValueError):
    """A user cannot be as asked for."""


class UnknownUserError(UserError):
    """There is no such user."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no user {name!r}; `secondsight access user list` or GET /v1/users tells them"
        )


class UserExistsError(UserError):
    """There is a user of this name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a user {name!r} already; remove it first, or give it another name")


class LastAdminError(UserError):
    """The only admin cannot be removed, disabled or made something else."""

    def __init__(self) -> None:
        super().__init__(
            "nobody would be left who may administer the server; make somebody else an admin first"
        )


class UnknownCredentialError(AccessError, ValueError):
    """There is no such key or token."""


class AuditError(ServerError):
    """The audit cannot be read."""


class AuditUnavailableError(AuditError):
    """What was asked for has to be written down first, and that cannot be done."""

    def __init__(self) -> None:
        super().__init__(
            "the audit cannot be written, so that nothing is shown that has to be in it; the server's log tells why"
        )


class ChangedMeanwhileError(ServerError):
    """What is to be changed is no longer as whoever asks has seen it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} changed meanwhile: read anew, and send the new ETag as If-Match")


class TagRequiredError(ServerError):
    """Changing this takes the ETag of what is changed, lest somebody else's change is lost."""

    def __init__(self) -> None:
        super().__init__(
            "send the ETag of what you have read as If-Match, lest somebody else's change is lost"
        )


class JobError(ServerError):
    """A clip or an export cannot be made, or not be had."""


class UnknownJobError(JobError):
    """There is no such job, or no longer, or it is somebody else's."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"there is no job {job_id!r} of yours; it may be too old by now. GET /v1/clips and GET /v1/exports list "
            "those there are"
        )


class NothingToShowError(JobError):
    """Of what a job was asked for nothing is there."""


class JobTooLargeError(JobError):
    """A job would go through more frames, or make a longer file, than the server allows."""


class JobNotDoneError(JobError):
    """The file of a job was asked for that has not made it."""

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"job {job_id} is {state}; its file is there once it is done")


class JobRoomError(JobError):
    """There is no room on the disk for the file of a job."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; delete jobs that are not needed any more, or give the server a larger disk")


class RecognitionFailedError(JobError):
    """There is nothing to export of a frame, because it could not be recognised."""


class JobsUnavailableError(JobError):
    """This server cannot take jobs now."""

    def __init__(self, why: str, retry_after: int) -> None:
        super().__init__(f"this server takes no clips and exports now: {why}")
        self.retry_after = retry_after


class KeyReusedError(JobError):
    """An Idempotency-Key came with something else before."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the Idempotency-Key {key!r} was given with another request before; take a new key for a new request"
        )


class RulesError(ServerError, ValueError):
    """The rules of the cameras cannot be read, or say what cannot be."""


class RulesOfFileError(RulesError):
    """The rules are those of a file, and cannot be changed over REST."""

    def __init__(self) -> None:
        super().__init__(
            "the rules of this server are those of the file that --rules names; change that file and start the server "
            "again, or start it without --rules to keep them in the store"
        )


class RelayConfigError(ServerError, ValueError):
    """The configuration of a relay cannot be read, or says what cannot be."""

    exit_code = ExitCode.USAGE


class RelayPositionsError(ServerError):
    """The file that tells how far a target of a relay is cannot be used."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} cannot be used: {why}; mend it, or remove it: the target then begins with what comes next"
        )


class DeadLetterError(ServerError):
    """A file among the dead letters is none."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is no dead letter: {why}; move it elsewhere, and send the others again")


class RecogniserError(ServerError):
    """No recogniser could be made."""


class UnknownRecogniserError(RecogniserError):
    """No recogniser goes by this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no recogniser is named {name!r}; use one of {', '.join(known)}")


class InvalidRecogniserError(RecogniserError):
    """A recogniser's address, the model that it leads to, or its answer is not what it should be."""


class RecogniserDeviceError(RecogniserError):
    """A recogniser cannot run where it was asked to."""


class WarmUpError(RecogniserError):
    """A recogniser cannot look at a plain picture: it would fail at every frame."""

    def __init__(self, name: str, cause: Exception) -> None:
        super().__init__(
            f"the recogniser {name} cannot be warmed up ({type(cause).__name__}: {cause}); "
            "try it by `secondsight recogniser check`"
        )


class RecogniserNotInstalledError(RecogniserError):
    """The package that a recogniser's model comes in is not installed."""
