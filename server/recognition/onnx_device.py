"""ONNX Runtime's execution providers: which are asked for, and which are in use."""

from __future__ import annotations

from typing import Final

import onnxruntime

from server.errors import RecogniserDeviceError
from server.recogniser_device import Device

_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"


def providers(device: Device) -> list[str]:
    """ONNX Runtime's execution providers for a device, the preferred one first.

    Raises:
        RecogniserDeviceError: this ONNX Runtime was built without CUDA, which is asked for.
    """
    if device is Device.CPU:
        return [_CPU]
    if _CUDA in onnxruntime.get_available_providers():
        return [_CUDA, _CPU]
    if device is Device.CUDA:
        raise RecogniserDeviceError(
            f"the installed onnxruntime {onnxruntime.__version__} has no CUDA: install onnxruntime-gpu in its place, "
            "or ask for the device cpu or auto"
        )
    return [_CPU]


def in_use(session: onnxruntime.InferenceSession, asked: Device) -> Device:
    """Where a session runs. ONNX Runtime falls back to the CPU by itself when CUDA cannot be started.

    Raises:
        RecogniserDeviceError: not on the device that was asked for.
    """
    found = Device.CUDA if session.get_providers()[0] == _CUDA else Device.CPU
    if asked is Device.CUDA and found is not Device.CUDA:
        raise RecogniserDeviceError(
            "CUDA cannot be started: driver, CUDA and cuDNN have to fit the installed onnxruntime, whose messages "
            "above tell which one does not; or ask for the device cpu or auto"
        )
    return found
