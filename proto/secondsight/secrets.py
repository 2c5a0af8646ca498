"""Takes what must stay secret out of text that people will read."""

from __future__ import annotations

import re
from typing import Final

_HIDDEN: Final = "***"
# scheme://user:password@host: everything before the last @ of the authority. A password may itself hold an @ or a /.
_IN_ADDRESS: Final = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s'\"<>]*@", re.IGNORECASE)
_IN_QUERY: Final = re.compile(
    r"(?P<name>[?&;](?:password|passwd|pwd|token|api_key|key|secret)=)[^&\s'\"]+", re.IGNORECASE
)
_IN_HEADER: Final = re.compile(
    r"(?P<name>\b(?:authorization|x-api-key|cookie|set-cookie)\b['\"]?\s*[:=,]\s*['\"]?)(?:(?:bearer|basic)\s+)?[^\s'\",)]+",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"(?P<name>\bbearer\s+)[a-z0-9._~+/=-]{8,}", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """`text` with the credentials of addresses, queries and headers replaced by ``***``.

    The last line of defence: who makes a message leaves secrets out of it in the first place.
    """
    text = _IN_ADDRESS.sub(rf"\g<scheme>{_HIDDEN}@", text)
    for pattern in (_IN_QUERY, _IN_HEADER, _BEARER):
        text = pattern.sub(rf"\g<name>{_HIDDEN}", text)
    return text
