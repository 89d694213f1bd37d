"""Who a client says it is, in the authority of a request target in absolute form."""

from __future__ import annotations

from urllib.parse import unquote


def target_user(raw_target: bytes) -> str:
    """The user of `http://user:password@host/`, empty where there is none."""
    if raw_target[:1] == b"/":
        return ""
    authority = raw_target.partition(b"://")[2].partition(b"/")[0]
    user_info, at, _ = authority.rpartition(b"@")
    return unquote(user_info.partition(b":")[0].decode("utf-8", "replace")) if at else ""
