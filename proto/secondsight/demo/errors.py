"""What can go wrong in the demo::

DemoError
├── ClipError         the clip is not there or cannot be read
├── ProcessError      a part of the product did not start, or ended too early
└── ShortfallError    everything ran, but not as it should have
"""

from __future__ import annotations


class DemoError(Exception):
    """Root of everything that ends the demo with an error."""


class ClipError(DemoError):
    """The clip is not there or cannot be read."""


class ProcessError(DemoError):
    """A part of the product did not start, or ended too early."""


class ShortfallError(DemoError):
    """Everything ran, but a frame was lost or nothing was seen."""
