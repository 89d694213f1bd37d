"""Header names and values that come from configuration: in the form in which they go out, or refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from config.header_text import is_field_name as is_field_name  # noqa: PLC0414 - others have them from here
from config.header_text import is_field_value as is_field_value  # noqa: PLC0414
from config.header_text import one_line as one_line  # noqa: PLC0414
from workers.exchange import Header


def replaced(headers: Sequence[Header], lower_names: Collection[bytes], lines: Sequence[Header]) -> list[Header]:
    """The headers without all lines of these names, then `lines`."""
    kept = [header for header in headers if header[0].lower() not in lower_names]
    kept += lines
    return kept
