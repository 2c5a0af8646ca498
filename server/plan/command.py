"""Say how much memory, uplink and disk a number of cameras takes, and what that rests on."""

from __future__ import annotations

import dataclasses
import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from server.config import ServerConfig
from server.plan.bits import BitTable, load_bits
from server.plan.sizing import HEADROOM, Load, Plan, history_bytes, plan, share_kept

app = typer.Typer(add_completion=False)

_DEFAULTS = ServerConfig()


class Keep(StrEnum):
    """Whose enhancement layer is kept."""

    EVERY = "every"
    NTH = "nth"
    DETECTION = "detection"
    OFF = "off"


class Place(StrEnum):
    """Where enhancement layers are kept."""

    SERVER = "server"
    EDGE = "edge"


class Camera(StrEnum):
    """Which measured clips count."""

    FIXED = "fixed"
    MOVING = "moving"


@app.command(name="plan")
def print_plan(
    cameras: Annotated[int, typer.Option(min=1, help="How many.")],
    fps: Annotated[float, typer.Option(min=0.01, help="Frames per second of each that are sent.")],
    width: Annotated[int, typer.Option(min=16, max=8192, help="Of a frame, pixels.")],
    height: Annotated[int, typer.Option(min=16, max=8192, help="Of a frame, pixels.")],
    policy: Annotated[Keep, typer.Option(help="Frames whose enhancement layer is kept.")] = Keep.EVERY,
    nth: Annotated[int, typer.Option(min=1, help="With --policy nth.")] = 10,
    detection_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="With --policy detection: share of frames that show something."),
    ] = 0.2,
    place: Annotated[Place, typer.Option(help="Where enhancement layers are kept.")] = Place.SERVER,
    retention: Annotated[
        float, typer.Option(min=1, help="Seconds for which they are kept, as the edge's --ttl.")
    ] = 3600.0,
    outage: Annotated[float, typer.Option(min=0, help="Hours without uplink that the spool bridges.")] = 8.0,
    machine_quality: Annotated[int, typer.Option(help="Level of the machine layer.")] = 1,
    quality: Annotated[int, typer.Option(help="Level of the human view.")] = 2,
    camera: Annotated[
        Camera, typer.Option(help="Whether cameras stand still: measured clips of this kind count.")
    ] = Camera.FIXED,
    detections: Annotated[float, typer.Option(min=0, help="Recognised in a frame, in the mean.")] = 5.0,
    frames_kept: Annotated[int, typer.Option(help="As the server's.")] = _DEFAULTS.frames_kept,
    results_kept: Annotated[int, typer.Option(help="As the server's.")] = _DEFAULTS.results_kept,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say how much memory, uplink and disk a number of cameras takes, and what that rests on."""
    table = load_bits(camera.value)
    for option, level, known in (
        ("--machine-quality", machine_quality, table.machine),
        ("--quality", quality, table.enhancement),
    ):
        if level not in known:
            levels = ", ".join(str(each) for each in sorted(known))
            raise typer.BadParameter(f"{option} {level} was not measured: choose one of {levels}")
    pixels = width * height
    machine, enhancement = table.machine[machine_quality], table.enhancement[quality]

    def sized(machine_bits: float, enhancement_bits: float) -> Plan:
        load = Load(
            cameras=cameras,
            frames_per_second=fps,
            machine_bytes=machine_bits * pixels / 8,
            enhancement_bytes=enhancement_bits * pixels / 8,
            enhancement_share=share_kept(policy.value, nth, detection_share),
            enhancement_at_edge=place is Place.EDGE,
            retention=retention,
            outage=3600 * outage,
            detections=detections,
        )
        return plan(load, ServerConfig(frames_kept=frames_kept, results_kept=results_kept))

    mean = sized(machine.mean, enhancement.mean)
    least, most = sized(machine.least, enhancement.least), sized(machine.most, enhancement.most)
    assumptions = _assumptions(table, machine_quality, quality, width, height)
    if as_json:
        found = {"mean": mean, "least": least, "most": most}
        values = {name: dataclasses.asdict(value) for name, value in found.items()}
        print(json.dumps({**values, "assumptions": assumptions}))
        return
    console = Console(highlight=False, soft_wrap=True)
    for name, value in _lines(mean, least, most):
        console.print(f"[bold]{name:<34}[/] {value}")
    console.print("\nThis rests on:")
    for assumption in assumptions:
        console.print(f"- {assumption}", markup=False)


def _lines(mean: Plan, least: Plan, most: Plan) -> list[tuple[str, str]]:
    def span(value: float, low: float, high: float, unit: str, digits: int = 0) -> str:
        return f"{value:,.{digits}f} {unit}   ({low:,.{digits}f} to {high:,.{digits}f})"

    def megabytes(name: str) -> str:
        value, low, high = (getattr(each, name) / 1e6 for each in (mean, least, most))
        return span(value, low, high, "MB")

    return [
        ("store memory in use", megabytes("store_bytes")),
        (
            "store memory to give it",
            f"{megabytes('store_memory')}: --store-memory {mean.store_memory // 10**6 + 1}mb",
        ),
        ("store memory at the edge, per camera", megabytes("edge_store_bytes")),
        ("uplink, per camera", span(mean.uplink_kbit_s, least.uplink_kbit_s, most.uplink_kbit_s, "kbit/s")),
        (
            "of it machine layers",
            span(
                mean.uplink_machine_kbit_s, least.uplink_machine_kbit_s, most.uplink_machine_kbit_s, "kbit/s"
            ),
        ),
        ("edge spool, per camera", megabytes("spool_bytes")),
        ("connections to the store", str(mean.connections)),
    ]


def _assumptions(table: BitTable, machine_level: int, level: int, width: int, height: int) -> list[str]:
    machine, enhancement = table.machine[machine_level], table.enhancement[level]
    clips = ", ".join(f"{clip} ({size})" for clip, size in table.clips.items())
    return [
        f"bits per pixel of {table.origin}; in brackets the least and the most of the clips {clips}",
        f"machine layer, level {machine_level}: {machine.mean:.4f} bit per pixel, "
        f"{machine.mean * width * height / 8:.0f} bytes a frame; "
        "frames are predicted in groups, and cost more in a lively scene",
        f"enhancement layer, level {level}: {enhancement.mean:.4f} bit per pixel, "
        f"{enhancement.mean * width * height / 8:.0f} bytes a frame",
        "bits per pixel are taken to be the same at other sizes than the clips'",
        "the store holds the frames kept and one group more, all results kept, and enhancement layers for their whole "
        f"time to live; a quarter is added for its buffers and its append-only file (x{HEADROOM})",
        f"the timeline's history of {_DEFAULTS.history_days} days with three labels in the mean, and "
        f"{_DEFAULTS.things_kept} things and as many alerts: "
        f"{history_bytes(_DEFAULTS) / 1e6:.1f} MB of each camera and task; one task is counted",
        "with less memory, enhancement layers with the least time to live go first, then older frames and results",
        "uplink: frames as they come, with the headers of gRPC, HTTP/2 and TCP over IPv4, without TLS; enhancement "
        "layers count where they go to the server's store",
        "the spool holds both layers of every frame; SQLite's pages are counted",
        "connections: of one server with its worker, and of the edges that write enhancement layers there",
    ]
