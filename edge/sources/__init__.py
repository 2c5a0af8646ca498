"""Where frames come from: one file per kind of source behind one contract."""

from edge.sources.source import FrameSource, open_source

__all__ = ["FrameSource", "open_source"]
