"""Which device computes, and in which precision."""

from __future__ import annotations

import torch

from shared_models.errors import DeviceError


def resolved_device(name: str) -> torch.device:
    """The device for ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        DeviceError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise DeviceError(f"there is no device {name!r}: use auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("no CUDA device is usable here: use --device cpu, or install a CUDA build of torch")
    return torch.device(name)


def use_threads(count: int) -> None:
    """Let the whole process compute with `count` CPU threads."""
    torch.set_num_threads(count)


def compute_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes it natively, else float32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32
