"""People and cameras that a server knows, with what they show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from server.access.access_file import AccessFile
from server.access.caller import Role
from server.access.changes import new_user
from server.access.credential import Kind, issue
from server.access.register import CameraToken, Key, Register

PASSWORD = "a password of one's own"


@dataclass
class People:
    """Who is in the access file: a viewer, an operator, an operator of one camera, an admin, and two cameras."""

    file: AccessFile
    keys: dict[str, str]
    tokens: dict[str, str]

    def header(self, name: str) -> dict[str, str]:
        """The HTTP header that lets one of them in."""
        return {"Authorization": f"Bearer {self.keys[name]}"}


def people_in(folder: Path) -> People:
    """Write an access file into `folder`."""
    now = datetime.now(UTC)
    register, keys, tokens = Register(), {}, {}
    for name, role, cameras in (
        ("vera", Role.VIEWER, None),
        ("otto", Role.OPERATOR, None),
        ("yuri", Role.OPERATOR, ("yard",)),
        ("anna", Role.ADMIN, None),
    ):
        key = issue(Kind.USER_KEY)
        user = new_user(role, cameras, PASSWORD).model_copy(update={"one_time_until": None})
        kept = Key(hash=key.hash, issued_at=now)
        register = register.with_user(name, user).with_key(name, key.prefix, kept)
        keys[name] = key.text
    for camera_id in ("gate", "yard"):
        token = issue(Kind.CAMERA_TOKEN)
        register = register.with_camera_token(
            token.prefix, CameraToken(camera_id=camera_id, hash=token.hash, issued_at=now)
        )
        tokens[camera_id] = token.text
    file = AccessFile(folder / "access.json")
    file.change(lambda _: register)
    return People(file, keys, tokens)
