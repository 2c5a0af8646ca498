"""Which device computes, and in which precision."""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from typing import Final

import torch

from shared_models.errors import DeviceError

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGEST_KEPT_BYTES: Final = 2**30


@cache
def keep_freed_memory() -> None:
    """Let glibc keep the pages of freed tensors, up to 1 GiB, for the next frame's tensors of the same sizes.

    By default it gives every large one back to the kernel, which has to clear its pages anew for each operation. So it
    does, whatever it is told, with what threads other than the first keep in arenas of their own: they share one.
    Does nothing with other C libraries.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST_KEPT_BYTES)
        libc.mallopt(_M_ARENA_MAX, 1)


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


def multiplies_bytes_exactly(device: torch.device) -> bool:
    """Whether products of bytes are added up in 32 bits, by instructions made for it (VNNI, AMX).

    Without them, sums of two saturate at 16 bits, and nothing is gained over floats.
    """
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(
        capabilities.get(name, False) for name in ("avx512_vnni", "avx_vnni", "amx_int8")
    )
