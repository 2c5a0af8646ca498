"""What an admin can change about who is let in, from a terminal or over REST. Each change is put on record first."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from secondsight import store_keys
from server.access.access_file import AccessFile
from server.access.caller import Role
from server.access.credential import Issued, Kind, issue
from server.access.passwords import hash_password, one_time_password
from server.access.register import USER_NAME, CameraToken, Key, Register, User
from server.audit.record import Event, Outcome
from server.errors import AccessFileError, ChangedMeanwhileError, UserError, UserExistsError

ONE_TIME_LIFETIME = timedelta(days=3)
_MOST_NAMED = 50
"""Cameras in a record: that of a user who may see a thousand has to stay readable."""

Cameras = tuple[str, ...] | None
"""Those that somebody may see; None for all."""


@dataclass(frozen=True)
class Change:
    """A change of the register.

    Attributes:
        told: what the audit says of it. No secret is in it.
        apply: raises an AccessError where it makes no sense.
        camera: whose token it is about.
    """

    told: str
    apply: Callable[[Register], Register]
    camera: str = ""


def make(
    change: Change,
    file: AccessFile,
    record: Callable[[Event], object],
    event: Event,
    *,
    may_begin: bool = True,
) -> Register:
    """Make a change of the file, with nobody else changing it meanwhile, once `record` has put it on record.

    Args:
        may_begin: see `AccessFile.change`.

    Raises:
        AccessError: it makes no sense, or the file cannot be read or written.
        AuditUnavailableError: from `record`; nothing was changed.
    """
    recorded = replace(event, camera=change.camera, detail=change.told)
    is_recorded = False

    def recorded_first(register: Register) -> Register:
        nonlocal is_recorded
        changed = change.apply(register)
        record(recorded)
        is_recorded = True
        return changed

    try:
        return file.change(recorded_first, may_begin=may_begin)
    except AccessFileError:
        if is_recorded:
            record(replace(recorded, outcome=Outcome.FAILED, detail=f"not done: {change.told}"))
        raise


def new_user(role: Role, cameras: Cameras, password: str) -> User:
    """A user whose password is a one-time one."""
    now = datetime.now(UTC)
    return User(
        role=role,
        cameras=cameras,
        password=hash_password(password),
        one_time_until=now + ONE_TIME_LIFETIME,
        sessions_since=now,
    )


def user_added(name: str, role: Role, cameras: Cameras) -> tuple[Change, str]:
    """A new user, and its one-time password.

    Raises:
        UserError: no user can be called so.
        InvalidCameraIdError
    """
    if not re.fullmatch(USER_NAME, name):
        raise UserError(f"{name!r} is no user's name; use letters, digits and ._@-, 64 at most")
    password = one_time_password()
    added = new_user(role, _checked(role, cameras), password)

    def apply(register: Register) -> Register:
        if name in register.users:
            raise UserExistsError(name)
        return register.with_user(name, added)

    return Change(f"user {name} added as {role}, cameras {listed(cameras)}", apply), password


def user_changed(name: str, changed: dict[str, object], expected: str | None = None) -> Change:
    """Another role, other cameras, or whether the user is let in at all.

    Args:
        changed: of `role`, `cameras` and `disabled` those that change.
        expected: the tag of the user as whoever asks has seen it (`tag_of`); None for whatever it is now.
    """

    def apply(register: Register) -> Register:
        known = _as_expected(register, name, expected)
        user = known.model_copy(update=changed)
        _checked(user.role, user.cameras)
        return register.with_user(name, user).keeping_an_admin(register)

    return Change(f"user {name}: " + "; ".join(_told(*each) for each in changed.items()), apply)


def password_renewed(name: str) -> tuple[Change, str]:
    """A new one-time password, which ends the user's browser sessions. API keys stay."""
    password = one_time_password()
    fresh = new_user(Role.VIEWER, None, password)
    renewed = {field: getattr(fresh, field) for field in ("password", "one_time_until", "sessions_since")}

    def apply(register: Register) -> Register:
        return register.with_user(name, register.user(name).model_copy(update=renewed))

    return Change(f"user {name} got a one-time password", apply), password


def user_removed(name: str, expected: str | None = None) -> Change:
    """A user goes, with its keys."""

    def apply(register: Register) -> Register:
        _as_expected(register, name, expected)
        return register.without_user(name).keeping_an_admin(register)

    return Change(f"user {name} removed", apply)


def key_issued(name: str) -> tuple[Change, Issued]:
    """An API key of a user."""
    issued = issue(Kind.USER_KEY)
    key = Key(hash=issued.hash, issued_at=datetime.now(UTC))
    told = f"key {issued.prefix} of user {name} issued"
    return Change(told, lambda register: register.with_key(name, issued.prefix, key)), issued


def key_revoked(name: str, prefix: str) -> Change:
    """A key of a user no longer lets anybody in."""
    told = f"key {prefix} of user {name} revoked"
    return Change(told, lambda register: register.without_key(name, prefix))


def token_issued(camera_id: str) -> tuple[Change, Issued]:
    """A token of a camera. Those that it has stay valid."""
    issued = issue(Kind.CAMERA_TOKEN)
    token = CameraToken(camera_id=camera_id, hash=issued.hash, issued_at=datetime.now(UTC))
    told = f"token {issued.prefix} of camera {camera_id} issued"
    return Change(told, lambda register: register.with_camera_token(issued.prefix, token), camera_id), issued


def tokens_revoked(camera_or_prefix: str, camera_id: str = "") -> Change:
    """Tokens of a camera, or one by its prefix, no longer let it in."""
    told = f"tokens of {camera_or_prefix} revoked"
    return Change(told, lambda register: register.without_camera_tokens(camera_or_prefix), camera_id)


def listed(cameras: Cameras) -> str:
    """Cameras in words, the first of many."""
    if cameras is None:
        return "all"
    more = len(cameras) - _MOST_NAMED
    return (",".join(cameras[:_MOST_NAMED]) or "none") + (f" and {more} more" if more > 0 else "")


def _told(field: str, value: object) -> str:
    if field == "cameras":
        return f"cameras {listed(value)}"  # type: ignore[arg-type]
    if field == "disabled":
        return "disabled" if value else "enabled"
    return f"{field} {value}"


def _checked(role: Role, cameras: Cameras) -> Cameras:
    for camera_id in cameras or ():
        store_keys.checked_camera_id(camera_id)
    if role is Role.ADMIN and cameras is not None:
        raise UserError("an admin sees every camera: who gives access could widen their own anyway")
    return cameras


def _as_expected(register: Register, name: str, expected: str | None) -> User:
    user = register.user(name)
    if expected is not None and user.tag != expected:
        raise ChangedMeanwhileError(f"user {name!r}")
    return user
