"""Middlewares of HTTP routers: BUILDERS is the one table of them.

Kinds are named as on the wire. `chain` is no builder: its members take its place, see `chains.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from workers.middlewares.base import Builder

BUILDERS: Final[Mapping[str, Builder]] = {}
