"""Decoded key frames, kept in memory for the frames predicted from them."""

from __future__ import annotations

from collections import OrderedDict

from server.groups import KeyFrame
from shared_models.reference import Reference


class References:
    """At most `most_bytes` of them; the least recently used go first.

    They are found by camera, too: names of layers are checksums, and one edge that forges another's gets nowhere.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, KeyFrame], Reference] = OrderedDict()

    def find(self, camera_id: str, key: KeyFrame) -> Reference | None:
        """The decoded key frame, if it is kept."""
        found = self._kept.get((camera_id, key))
        if found is not None:
            self._kept.move_to_end((camera_id, key))
        return found

    def keep(self, camera_id: str, key: KeyFrame, reference: Reference) -> None:
        """Keep a decoded key frame, in place of what was known of it before."""
        before = self._kept.pop((camera_id, key), None)
        self._kept[camera_id, key] = reference
        self._bytes += reference.nbytes - (0 if before is None else before.nbytes)
        while self._bytes > self._most_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes
