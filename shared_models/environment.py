"""What computes, as far as float results may depend on it: 16 bits in streams of a profile that is not exact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import torch

_DEVICES: Final = ("unknown", "cpu", "cuda", "another device")
_CPU_CAPABILITIES: Final = ("unknown", "default", "avx2", "avx512", "neon", "sve256", "vsx", "zvector")
_CAPABILITY_BITS: Final = 4
_MINOR_BITS: Final = 7
_MAJOR_BITS: Final = 3


@dataclass(frozen=True)
class Environment:
    """A kind of device and a version of torch.

    `device` is ``cpu`` or ``cuda``; `capability` the CPU's vector instructions as torch names them, by number, or the
    major version of the GPU's compute capability; `torch_version` major and minor.
    """

    device: str
    capability: int
    torch_version: tuple[int, int]

    @classmethod
    def of(cls, device: torch.device) -> Environment:
        """What computes on `device` here."""
        name = device.type if device.type in _DEVICES else _DEVICES[-1]
        capability = 0
        if name == "cuda":
            capability = torch.cuda.get_device_capability(device)[0]
        elif name == "cpu":
            own = torch.backends.cpu.get_cpu_capability().lower()
            capability = _CPU_CAPABILITIES.index(own) if own in _CPU_CAPABILITIES else 0
        major, minor = re.findall(r"\d+", torch.__version__)[:2]
        return cls(name, min(capability, _most(_CAPABILITY_BITS)), (int(major), int(minor)))

    def packed(self) -> int:
        """From the lowest bit: 2 bits device, 4 capability, 7 minor and 3 major version of torch. Never 0."""
        major, minor = self.torch_version
        packed = min(major, _most(_MAJOR_BITS))
        packed = packed << _MINOR_BITS | min(minor, _most(_MINOR_BITS))
        packed = packed << _CAPABILITY_BITS | self.capability
        return packed << 2 | _DEVICES.index(self.device)

    @classmethod
    def unpacked(cls, packed: int) -> Environment:
        """Inverse of `packed`, of any 16 bits."""
        device, packed = packed & 3, packed >> 2
        capability, packed = packed & _most(_CAPABILITY_BITS), packed >> _CAPABILITY_BITS
        return cls(_DEVICES[device], capability, (packed >> _MINOR_BITS, packed & _most(_MINOR_BITS)))

    def __str__(self) -> str:
        if self.device == "cpu" and self.capability < len(_CPU_CAPABILITIES):
            detail = _CPU_CAPABILITIES[self.capability]
        else:
            detail = str(self.capability)
        return f"{self.device}/{detail} with torch {self.torch_version[0]}.{self.torch_version[1]}"


def _most(bits: int) -> int:
    return 2**bits - 1
