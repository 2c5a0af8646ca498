"""Show the whole product on one machine: stream a clip, recognise, ask for human views, count.

Exit codes:

0: all went well.

1: a part failed, a frame was lost or nothing was seen; the message says which.

2: wrong options.

130: Ctrl-C.
"""

from __future__ import annotations

import asyncio
import json
import signal
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from secondsight.demo.config import DemoConfig

app = typer.Typer(add_completion=False)


@app.command(help=__doc__)
def demo(
    source: Annotated[
        str | None,
        typer.Option(
            help="A video file, a folder of images or an rtsp:// URL.", show_default="a packaged street"
        ),
    ] = DemoConfig.source,
    frames: Annotated[int, typer.Option(min=1, help="Frames to capture.")] = DemoConfig.frames,
    frame_rate: Annotated[
        float, typer.Option(help="At most so many frames per second of the source.")
    ] = DemoConfig.frame_rate,
    speed: Annotated[
        float, typer.Option(help="Pace of a recording: 1 its own, 0 as fast as this machine can.")
    ] = DemoConfig.speed,
    quality: Annotated[
        int | None,
        typer.Option(help="Level of the human view; 0 is the smallest.", show_default="the codec's"),
    ] = DemoConfig.quality,
    views: Annotated[int, typer.Option(min=1, help="Frames to look at as an operator.")] = DemoConfig.views,
    serve: Annotated[
        bool, typer.Option("--serve", help="Go on afterwards, with the server's page open for a browser.")
    ] = DemoConfig.serve,
    out: Annotated[Path, typer.Option(help="Folder for summary, picture and logs.")] = DemoConfig.out,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as JSON; all else goes to standard error then.")
    ] = False,
) -> None:
    config = DemoConfig(
        out=out,
        source=source,
        frames=frames,
        frame_rate=frame_rate,
        speed=speed,
        views=views,
        quality=quality,
        serve=serve,
    )
    raise typer.Exit(asyncio.run(_run(config, as_json)))


async def _run(config: DemoConfig, as_json: bool) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from secondsight.demo.demonstration import Demonstration, check
    from secondsight.demo.report import table, write_report

    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)

    console = Console(stderr=as_json)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    bar = progress.add_task("recognised", total=config.frames)
    say = partial(console.print, highlight=False, soft_wrap=True)
    show = Demonstration(config, say, partial(progress.advance, bar))
    serving = False
    try:
        async with show.running():
            with progress:
                witnessed = await show.witness()
            summary = await asyncio.to_thread(write_report, witnessed, show.recording, config.out)
            console.print(table(summary, witnessed, show.keeps_all))
            if as_json:
                typer.echo(json.dumps(summary))
            say(f"summary {config.out / 'summary.json'}, picture {config.out / 'side-by-side.png'}")
            check(witnessed, must_detect=config.source is None)
            if config.serve:
                serving = True
                say(f"[bold]open {show.page} in a browser; Ctrl-C ends[/]")
                await show.serve()
    except asyncio.CancelledError:
        # Once it serves, an interrupt is how one ends it.
        return 0 if serving else 128 + signal.SIGINT
    return 0
