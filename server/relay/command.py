"""Hand results on to MQTT brokers (Home Assistant, Frigate's form) and webhooks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secondsight.exit_codes import ExitCode
from secondsight.logs import LogFormat, set_up_logging
from server.options import LogFormatOption, LogLevel, LogLevelOption
from shared_models.command.printing import AsJson, print_json, progress_for

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from server.relay.config import RelayConfig
    from server.relay.process import Relay
    from server.relay.resending import Resent

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def relay(
    context: typer.Context,
    config: Annotated[
        Path,
        typer.Option(envvar="SECONDSIGHT_RELAY_CONFIG", help="YAML file, see docs/integrations.md."),
    ] = Path("relay.yaml"),
    check: Annotated[
        bool, typer.Option("--check", help="Look at the file, tell all that is wrong with it, and end.")
    ] = False,
    log_level: LogLevelOption = LogLevel.INFO,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Hand results on to MQTT brokers and webhooks, as a YAML file says. It asks a server as any client does.

    Prints one line when it works: `ready targets=N http=HOST:PORT`. How far each target is stays in a folder, so that
    after a restart it goes on there. Ends on SIGTERM or Ctrl-C.
    """
    from server.relay.check import check_files
    from server.relay.config import RelayConfig

    set_up_logging(log_format, log_level.upper())
    if context.invoked_subcommand is not None:
        context.obj = config
        return
    found = RelayConfig.load(config)
    check_files(found, config)
    if check:
        targets = ", ".join([*found.mqtt, *found.webhooks])
        typer.echo(f"{config} is well: {targets}")
        return
    _relay(found)


@app.command()
def resend(
    context: typer.Context,
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="TARGET", help="Webhooks; all when left out.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="YAML file, see docs/integrations.md.", show_default="the one given before `resend`"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give webhooks what they did not take: their dead letters, oldest first, each once. The relay may run meanwhile.

    What is taken is a dead letter no more. Exit code 3 says that a receiver takes nothing yet, so that some are left.
    """
    from dataclasses import asdict

    from server.relay.config import RelayConfig

    path = config or context.obj
    found = RelayConfig.load(path)
    unknown = [name for name in targets or () if name not in found.webhooks]
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)}: no such webhook; {path} has: {', '.join(found.webhooks) or 'none'}"
        )
    # A target that is named twice would be sent everything twice, since all are sent to at once.
    all_resent = _resend(found, list(dict.fromkeys(targets or found.webhooks)))
    if as_json:
        print_json({"targets": [asdict(resent) for resent in all_resent]})
    else:
        for resent in all_resent:
            left = f", {resent.left} left: {resent.why}" if resent.why else ""
            typer.echo(f"{resent.target}: {resent.taken} taken, {resent.refused} refused for good{left}")
    if any(resent.why for resent in all_resent):
        raise typer.Exit(ExitCode.UNREACHABLE)


def _resend(config: RelayConfig, names: list[str]) -> list[Resent]:
    import asyncio

    from server.relay.dead_letters import DeadLetters
    from server.relay.resending import resend

    async def resend_to(name: str, bars: Progress) -> Resent:
        draw = partial(_draw, bars, bars.add_task(name))
        return await resend(name, config.webhooks[name], DeadLetters.of(config, name), draw)

    async def run() -> list[Resent | BaseException]:
        with progress_for() as bars:
            # What is wrong with one target cuts no other off in the middle of a letter.
            return await asyncio.gather(*(resend_to(name, bars) for name in names), return_exceptions=True)

    all_resent = []
    for resent in asyncio.run(run()):
        if isinstance(resent, BaseException):
            raise resent
        all_resent.append(resent)
    return all_resent


def _draw(bars: Progress, bar: TaskID, done: int, total: int) -> None:
    bars.update(bar, completed=done, total=total)


def _relay(config: RelayConfig) -> None:
    import asyncio

    from server.relay.process import Relay
    from server.until_told import serve_until_told

    def announce(relay: Relay) -> None:
        typer.echo(f"ready targets={len(relay.outlets)} http={relay.http_address}")

    async def run() -> None:
        await serve_until_told(Relay(config), announce)

    asyncio.run(run())
