"""What the access file holds: users with their keys, and the tokens of cameras. No secret is in it, only hashes."""

from __future__ import annotations

import hashlib
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from secondsight import store_keys
from server.access.caller import Role
from server.errors import LastAdminError, UnknownCredentialError, UnknownUserError

USER_NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Key(_Entry):
    """An API key, kept under its prefix."""

    hash: str
    issued_at: datetime


class User(_Entry):
    """A person or program."""

    role: Role
    cameras: tuple[str, ...] | None = None
    """Those it may see; None for all."""
    password: str | None = None
    """Argon2id."""
    one_time_until: datetime | None = None
    """The password is a one-time one: until then it opens nothing but the choice of a password of one's own."""
    sessions_since: datetime
    """Browser sessions that began before are over."""
    keys: dict[str, Key] = Field(default_factory=dict)
    disabled: bool = False
    """It is there, and let in by nothing."""

    @property
    def tag(self) -> str:
        """Differs whenever something about it was changed."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]

    @property
    def administers(self) -> bool:
        """Whether it can do all that an admin can."""
        return self.role is Role.ADMIN and self.cameras is None and not self.disabled


class CameraToken(_Entry):
    """The token of one camera, kept under its prefix."""

    camera_id: str
    hash: str
    issued_at: datetime


class Register(_Entry):
    """Everybody who is let in. Changes give a new register."""

    version: int = 1
    users: dict[str, User] = Field(default_factory=dict)
    camera_tokens: dict[str, CameraToken] = Field(default_factory=dict)

    def with_user(self, name: str, user: User) -> Register:
        """With this user added or in the place of the one of that name."""
        return self.model_copy(update={"users": {**self.users, name: user}})

    def without_user(self, name: str) -> Register:
        """Without the user and all its keys.

        Raises:
            UnknownUserError
        """
        self.user(name)
        return self.model_copy(
            update={"users": {other: user for other, user in self.users.items() if other != name}}
        )

    def user(self, name: str) -> User:
        """The user.

        Raises:
            UnknownUserError
        """
        try:
            return self.users[name]
        except KeyError:
            raise UnknownUserError(name) from None

    def keeping_an_admin(self, before: Register) -> Register:
        """This register, unless the only admin of the one before is lost in it.

        Raises:
            LastAdminError
        """
        had, has = (any(user.administers for user in each.users.values()) for each in (before, self))
        if had and not has:
            raise LastAdminError
        return self

    def owner_of(self, prefix: str) -> str:
        """Whose API key it is.

        Raises:
            UnknownCredentialError: nobody's.
        """
        for name, user in self.users.items():
            if prefix in user.keys:
                return name
        raise UnknownCredentialError(f"there is no key {prefix!r}")

    def with_key(self, name: str, prefix: str, key: Key) -> Register:
        """With one more key of a user."""
        user = self.user(name)
        return self.with_user(name, user.model_copy(update={"keys": {**user.keys, prefix: key}}))

    def without_key(self, name: str, prefix: str) -> Register:
        """Without this key of the user.

        Raises:
            UnknownUserError
            UnknownCredentialError: it has no such key.
        """
        user = self.user(name)
        if prefix not in user.keys:
            raise UnknownCredentialError(f"user {name!r} has no key {prefix!r}")
        kept = {other: key for other, key in user.keys.items() if other != prefix}
        return self.with_user(name, user.model_copy(update={"keys": kept}))

    def with_camera_token(self, prefix: str, token: CameraToken) -> Register:
        """With one more token. A camera may have several, so that a new one can be brought out before the old ends.

        Raises:
            InvalidCameraIdError: no camera can have this name.
        """
        store_keys.checked_camera_id(token.camera_id)
        return self.model_copy(update={"camera_tokens": {**self.camera_tokens, prefix: token}})

    def without_camera_tokens(self, camera_or_prefix: str) -> Register:
        """Without the tokens of a camera, or without the one of this prefix.

        Raises:
            UnknownCredentialError: there is no such token.
        """
        kept = {
            prefix: token
            for prefix, token in self.camera_tokens.items()
            if camera_or_prefix not in (prefix, token.camera_id)
        }
        if len(kept) == len(self.camera_tokens):
            raise UnknownCredentialError(
                f"{camera_or_prefix!r} is neither a camera with a token nor the prefix of one; "
                "`secondsight access camera list` tells them"
            )
        return self.model_copy(update={"camera_tokens": kept})
