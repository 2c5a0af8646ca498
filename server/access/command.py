"""Say who may do what: users with their keys, and tokens of cameras."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.access.caller import Role
from server.errors import UserError

if TYPE_CHECKING:
    from server.access.access_file import AccessFile
    from server.access.changes import Change
    from server.access.register import User

app = typer.Typer(add_completion=False, no_args_is_help=True)
user = typer.Typer(no_args_is_help=True, help="People and programs, by role and cameras.")
camera = typer.Typer(no_args_is_help=True, help="Tokens that let cameras push their frames.")
app.add_typer(user, name="user")
app.add_typer(camera, name="camera")

Data = Annotated[
    Path | None,
    typer.Option(
        envvar="SECONDSIGHT_DATA_FOLDER",
        help="The server's folder, with access file and audit.",
        show_default="data",
    ),
]
File = Annotated[
    Path | None,
    typer.Option(envvar="SECONDSIGHT_ACCESS", help="Access file; DATA/access.json when left out."),
]
_DATA = Path("data")
UserName = Annotated[str, typer.Argument(help="Of the user.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


@user.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="Letters, digits and ._@-")],
    role: Annotated[Role, typer.Option(help="What it is trusted with.")] = Role.VIEWER,
    cameras: Annotated[
        list[str] | None, typer.Option("--camera", help="A camera it may see; all when left out.")
    ] = None,
    data: Data = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Add a user, and print its one-time password."""
    from server.access.changes import user_added

    change, password = user_added(name, role, tuple(cameras) if cameras else None)
    _change(data, file, change)
    if as_json:
        typer.echo(json.dumps({"user": name, "one_time_password": password}))
    else:
        _print_one_time(name, password)


@user.command("change")
def change_user(
    name: UserName,
    role: Annotated[Role | None, typer.Option(help="What it is trusted with from now on.")] = None,
    cameras: Annotated[
        list[str] | None, typer.Option("--camera", help="A camera it may see, instead of those so far.")
    ] = None,
    all_cameras: Annotated[bool, typer.Option("--all-cameras", help="It may see every camera.")] = False,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether nothing lets it in any more.")
    ] = None,
    data: Data = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Give a user another role or other cameras, or let it in no more. Holds at its next request."""
    from server.access.changes import user_changed

    if cameras and all_cameras:
        raise UserError("--camera and --all-cameras exclude each other")
    changed: dict[str, object] = {}
    if role is not None:
        changed["role"] = role
    if cameras or all_cameras:
        changed["cameras"] = tuple(cameras) if cameras else None
    if disabled is not None:
        changed["disabled"] = disabled
    if not changed:
        raise UserError(
            "nothing is to be changed; give --role, --camera, --all-cameras, --disable or --enable"
        )
    _change(data, file, user_changed(name, changed), as_json)


@user.command("password")
def reset_password(name: UserName, data: Data = None, file: File = None, as_json: AsJson = False) -> None:
    """Print a new one-time password of a user, and end its browser sessions. Its API keys stay."""
    from server.access.changes import password_renewed

    change, password = password_renewed(name)
    _change(data, file, change)
    if as_json:
        typer.echo(json.dumps({"user": name, "one_time_password": password}))
    else:
        _print_one_time(name, password)


@user.command("list")
def list_users(data: Data = None, file: File = None, as_json: AsJson = False) -> None:
    """Show users with their roles, cameras and keys' prefixes."""
    from server.access.changes import listed

    users = sorted(_file(data, file).read().users.items())
    if as_json:
        typer.echo(json.dumps({"users": [_user_document(name, known) for name, known in users]}))
        return
    for name, known in users:
        password = "one-time password" if known.one_time_until is not None else "password"
        disabled = "  disabled" if known.disabled else ""
        typer.echo(f"{name}  {known.role}  cameras {listed(known.cameras)}  {password}{disabled}")
        for prefix, key in sorted(known.keys.items(), key=lambda item: item[1].issued_at):
            typer.echo(f"    key {prefix}…  issued {key.issued_at:%Y-%m-%d %H:%M} UTC")


@user.command("remove")
def remove_user(name: UserName, data: Data = None, file: File = None, as_json: AsJson = False) -> None:
    """Remove a user with its keys; its sessions and calls end within seconds."""
    from server.access.changes import user_removed

    _change(data, file, user_removed(name), as_json)


@user.command("key")
def user_key(
    name: UserName,
    revoke: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="Revoke the key of this prefix instead.")
    ] = None,
    data: Data = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Issue an API key of a user, and print it this once."""
    from server.access.changes import key_issued, key_revoked

    if revoke is not None:
        _change(data, file, key_revoked(name, revoke.rstrip("…")), as_json)
        return
    change, issued = key_issued(name)
    _change(data, file, change)
    typer.echo(
        json.dumps({"user": name, "prefix": issued.prefix, "key": issued.text}) if as_json else issued.text
    )


@camera.command("add")
def add_camera(
    camera_id: Annotated[str, typer.Argument(metavar="CAMERA", help="Its name.")],
    data: Data = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Issue a token of a camera, and print it this once. Older tokens of the camera stay until they are revoked."""
    from server.access.changes import token_issued

    change, issued = token_issued(camera_id)
    _change(data, file, change)
    told = {"camera": camera_id, "prefix": issued.prefix, "token": issued.text}
    typer.echo(json.dumps(told) if as_json else issued.text)


@camera.command("list")
def list_cameras(data: Data = None, file: File = None, as_json: AsJson = False) -> None:
    """Show cameras with their tokens' prefixes."""
    known = _file(data, file).read().camera_tokens
    tokens = sorted(known.items(), key=lambda item: (item[1].camera_id, item[1].issued_at))
    if as_json:
        listed = [
            {"camera": token.camera_id, "prefix": prefix, "issued_at": token.issued_at.isoformat()}
            for prefix, token in tokens
        ]
        typer.echo(json.dumps({"tokens": listed}))
        return
    for prefix, token in tokens:
        typer.echo(f"{token.camera_id}  token {prefix}…  issued {token.issued_at:%Y-%m-%d %H:%M} UTC")


@camera.command("revoke")
def revoke_camera(
    which: Annotated[str, typer.Argument(metavar="CAMERA|PREFIX", help="Of all tokens, or of one.")],
    data: Data = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Revoke all tokens of a camera, or one by its prefix; the stream that it opened ends within seconds."""
    from server.access.changes import tokens_revoked

    _change(data, file, tokens_revoked(which.rstrip("…")), as_json)


def _user_document(name: str, known: User) -> dict[str, object]:
    keys = sorted(known.keys.items(), key=lambda item: item[1].issued_at)
    return {
        "user": name,
        "role": known.role,
        "cameras": known.cameras,
        "one_time_password": known.one_time_until is not None,
        "disabled": known.disabled,
        "keys": [{"prefix": prefix, "issued_at": key.issued_at.isoformat()} for prefix, key in keys],
    }


def _file(data: Path | None, file: Path | None) -> AccessFile:
    from server.access.access_file import AccessFile

    return AccessFile(file or (data or _DATA) / "access.json")


def _change(data: Path | None, file: Path | None, change: Change, as_json: bool = False) -> None:
    """Change the access file with a record in the audit: that first, so that no change goes without one.

    What was done is no fact that was asked for, unless `as_json`: then nothing else is printed of it.

    Raises:
        UserError: nobody said whose audit the record belongs in.
    """
    from server.access.changes import make
    from server.audit.chain import Chain
    from server.audit.record import Event, Outcome, Subject
    from server.config import ServerConfig
    from server.errors import AuditUnavailableError

    if data is None and file is not None and file.resolve().parent != _DATA.resolve():
        raise UserError(
            f"nobody said which server {file} belongs to: give --data FOLDER as the server has it, "
            "for the change goes on record in the audit there"
        )
    config = ServerConfig(data=data or _DATA)
    # How long records are kept is for the server to say.
    chain = Chain(config.audit_folder, segment_bytes=config.audit_segment_bytes)

    def record(event: Event) -> None:
        try:
            chain.append(event)
        except OSError as error:
            raise AuditUnavailableError from error

    by_hand = Event(subject=Subject.ACCESS, outcome=Outcome.DONE, principal=getpass.getuser(), via="terminal")
    make(change, _file(data, file), record, by_hand)
    typer.echo(change.told, err=True)
    if as_json:
        typer.echo(json.dumps({"done": change.told}))


def _print_one_time(name: str, password: str) -> None:
    typer.echo(f"{name} logs in at the page with this one-time password, within three days:", err=True)
    typer.echo(password)
