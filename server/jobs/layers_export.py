"""Bitstreams of frames as a zip file, with those of the key frames that they need."""

from __future__ import annotations

import shlex
from typing import Any, Final

from server.catalogue import HumanLayers, KeyLayers, StoredFrame
from server.jobs.bundle import MEDIA_TYPE, Bundle
from server.jobs.footage import CANNOT_BE_SHOWN
from server.jobs.job import Planned
from server.jobs.making import Made, Making
from server.jobs.views_export import frame_about
from server.views import View

_HOW: Final = (
    "`decode` writes the picture, in the folder where this is unpacked, with the weights of the cameras"
)


async def make_layers_export(making: Making) -> Made:
    """``CAMERA/FRAME.machine`` and, with the human view, ``CAMERA/FRAME.enhancement``.

    A frame whose enhancement layer cannot be had is there with its machine layer, and told of as left out.
    """
    footage = making.footage
    path = making.folder / f"{making.file_name}.zip"
    with Bundle(path) as bundle:
        writing = _Writing(bundle)
        async for planned in making.frames():
            try:
                stored = await footage.catalogue.frame(planned.camera, planned.frame)
                key = None
                if stored.key_frame is not None:
                    key = await footage.catalogue.key_layers(stored.frame)
            except CANNOT_BE_SHOWN as error:
                making.leave_out(planned, error)
                continue
            human = await _human_layers(making, planned, stored)
            making.note_shown()
            await footage.aside(lambda: writing.add(planned, stored, key, human))  # noqa: B023  # ends before the next
        await footage.aside(lambda: bundle.finish({**making.manifest(), "how": _HOW}))
    return Made(path, MEDIA_TYPE)


async def _human_layers(making: Making, planned: Planned, stored: StoredFrame) -> HumanLayers | None:
    if making.order.view is View.MACHINE:
        return None
    try:
        return await making.footage.human_layers(stored, making.patience)
    except CANNOT_BE_SHOWN as error:
        making.leave_out(planned, error)
        return None


class _Writing:
    """Puts in each bitstream once, also those of key frames that many are predicted from."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._there: dict[str, dict[str, Any]] = {}

    def add(
        self, planned: Planned, stored: StoredFrame, key: KeyLayers | None, human: HumanLayers | None
    ) -> None:
        """Put in a frame's layers, and its key frame's."""
        files: dict[str, dict[str, Any]] = {}

        def put(part: str, frame: str, layer: str, content: bytes | None) -> None:
            if content is not None:
                files[part] = self._once(f"{planned.camera}/{frame}.{layer}", content, planned.captured_ns)

        put("machine", planned.frame, "machine", stored.frame.machine_layer)
        put("enhancement", planned.frame, "enhancement", None if human is None else human.enhancement)
        if stored.key_frame is not None and key is not None:
            put("key_machine", stored.key_frame, "machine", key.machine)
            of_key = None if human is None or human.key is None else human.key.enhancement
            put("key_enhancement", stored.key_frame, "enhancement", of_key)
        self._bundle.list({**frame_about(stored), "layers": files, "decode": _command(planned, files)})

    def _once(self, name: str, content: bytes, captured_ns: int) -> dict[str, Any]:
        if name not in self._there:
            self._there[name] = self._bundle.add(name, content, captured_ns)
        return self._there[name]


def _command(planned: Planned, files: dict[str, dict[str, Any]]) -> str:
    words = ["secondsight", "decode", files["machine"]["file"], f"{planned.camera}-{planned.frame}.png"]
    for part, option in (
        ("enhancement", "--enhancement"),
        ("key_machine", "--key-machine"),
        ("key_enhancement", "--key-enhancement"),
    ):
        if part in files:
            words += [option, files[part]["file"]]
    return shlex.join(words)
