"""Lines of htpasswd and htdigest, as far as they can be judged without a password."""

from __future__ import annotations

import re
from typing import Final

DEAREST_BCRYPT: Final = 16
"""Cost above which one check takes many seconds; such hashes are refused when they are configured."""
_BCRYPT: Final = re.compile(r"\$2[abxy]\$([0-9]{2})\$[./A-Za-z0-9]{53}")


def bcrypt_cost(hashed: str) -> int:
    """The exponent of a bcrypt hash, 0 for any other text."""
    match = _BCRYPT.fullmatch(hashed)
    return int(match[1]) if match else 0
