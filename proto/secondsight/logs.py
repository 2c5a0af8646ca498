"""How the processes of the product log: the standard `logging`, rendered by structlog.

`set_up_logging` is called once, where a process begins. Everybody else writes ``_LOG.info("camera %s ...", name)``, may
add fields by ``extra={...}``, and inside `log_fields` every line carries the fields given there.
"""

from __future__ import annotations

import copy
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TextIO

import structlog

from secondsight.secrets import without_secrets

REPEAT_SPAN_S: Final = 60.0
_KNOWN_WARNINGS: Final = 256


class LogFormat(StrEnum):
    """How a line looks."""

    TEXT = "text"
    JSON = "json"


def set_up_logging(
    log_format: LogFormat, level: int | str = logging.INFO, stream: TextIO | None = None
) -> None:
    """Send all log records to `stream`, standard error by default, as lines of `log_format`.

    Secrets are taken out, and a warning that says the same again within a minute is counted instead of printed.
    """
    handler = CollapsingHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_formatter(log_format, colours=handler.stream.isatty()))
    root = logging.getLogger()
    for earlier in root.handlers[:]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level)


@contextmanager
def log_fields(**fields: object) -> Iterator[None]:
    """Add `fields` to every line that is logged inside, also by tasks that are begun inside."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


@dataclass
class _Repeat:
    record: logging.LogRecord
    fields: dict[str, Any]
    since: float
    count: int = 0


class CollapsingHandler(logging.StreamHandler[TextIO]):
    """Prints the first of several equal warnings, and a minute later how many there were.

    Two warnings are equal when they differ in nothing but numbers.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._repeats: OrderedDict[object, _Repeat] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Print `record`, unless it was printed a moment ago."""
        self._tell_expired()
        if record.levelno < logging.WARNING:
            super().emit(record)
            return
        sense = _sense(record)
        repeat = self._repeats.get(sense)
        if repeat is not None:
            repeat.record, repeat.count = record, repeat.count + 1
            return
        self._repeats[sense] = _Repeat(record, structlog.contextvars.get_contextvars(), self._clock())
        if len(self._repeats) > _KNOWN_WARNINGS:
            self._tell(self._repeats.popitem(last=False)[1])
        super().emit(record)

    def close(self) -> None:
        """Tell what was only counted so far."""
        while self._repeats:
            self._tell(self._repeats.popitem(last=False)[1])
        super().close()

    def _tell_expired(self) -> None:
        while self._repeats:
            sense, oldest = next(iter(self._repeats.items()))
            if self._clock() - oldest.since < REPEAT_SPAN_S:
                return
            del self._repeats[sense]
            self._tell(oldest)

    def _tell(self, repeat: _Repeat) -> None:
        if repeat.count:
            record = copy.copy(repeat.record)
            # The fields of those who warned, not of whoever happens to log now.
            vars(record).update(repeat.fields, repeated=repeat.count)
            super().emit(record)


def _sense(record: logging.LogRecord) -> object:
    arguments = record.args if isinstance(record.args, tuple) else (str(record.args),)
    told = tuple(str(argument) for argument in arguments if not isinstance(argument, int | float))
    return (
        record.name,
        record.levelno,
        record.msg,
        told,
        structlog.contextvars.get_contextvars().get("camera"),
    )


class _WithoutSecrets(structlog.stdlib.ProcessorFormatter):
    """Looks at the finished line: trace backs and fields hold addresses, too."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def _formatter(log_format: LogFormat, colours: bool) -> logging.Formatter:
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    after: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format is LogFormat.JSON:
        after += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        after += [
            structlog.dev.ConsoleRenderer(
                colors=colours, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    return _WithoutSecrets(foreign_pre_chain=before, processors=after)
