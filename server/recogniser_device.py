"""Where recognisers run."""

from __future__ import annotations

from enum import StrEnum

from server.errors import RecogniserDeviceError


class Device(StrEnum):
    """What is asked for. In use is one of the last two."""

    AUTO = "auto"
    """CUDA where it works, else the CPU."""
    CPU = "cpu"
    CUDA = "cuda"


def only_cpu(name: str, asked: Device) -> None:
    """Raise RecogniserDeviceError when CUDA is asked for of a recogniser that cannot use it."""
    if asked is Device.CUDA:
        raise RecogniserDeviceError(f"{name} runs on the CPU alone: ask for the device cpu or auto")
