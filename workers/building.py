"""What went wrong while a router, service or middleware was made from its configuration."""

from __future__ import annotations


class BuildError(Exception):
    """It cannot be built, and neither can what leads to it; the message is what the API shows."""
