"""EncodedCharacters: the entry points' check of escapes in paths, for single routers.

It looks at the path as rewritten so far.
"""

from __future__ import annotations

from config.middlewares_paths import EncodedCharacters
from workers.middlewares.base import Context, Wrap
from workers.models import encoded_character_check


def encoded_characters(options: EncodedCharacters, context: Context) -> Wrap:
    """Refuses every escape that is not allowed."""
    return encoded_character_check(options)
