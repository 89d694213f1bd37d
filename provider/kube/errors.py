"""What can go wrong with the API server, as typed errors whose message says what to change.

Made at the one boundary to the API server (`api.py`); watches decide by type and by the fields, never by text.
"""

from __future__ import annotations

from provider.resources.kinds import Kind


class ApiError(Exception):
    """A request failed. `retry_after_seconds`: what the server asked for, None if it did not say."""

    reason = "ApiError"
    advice = ""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class Unreachable(ApiError):
    """No answer: connection refused, TLS failure, time-out, broken stream."""

    reason = "ApiServerUnreachable"
    advice = "check that the API server runs and that endpoint, CA and network policies let us reach it"


class ServerTrouble(ApiError):
    """The server answered 5xx or something that is no answer."""

    reason = "ApiServerTrouble"


class TooManyRequests(ApiError):
    reason = "TooManyRequests"


class Gone(ApiError):
    """410: the resource version or continue token is too old; list again."""

    reason = "Gone"


class Unauthorized(ApiError):
    reason = "Unauthorized"
    advice = "check the token: it is missing, expired or of another cluster"


class Forbidden(ApiError):
    """403: RBAC does not let us read a kind."""

    reason = "Forbidden"

    def __init__(self, message: str, kind: Kind, namespace: str) -> None:
        super().__init__(message)
        scope = f"a Role in namespace {namespace}" if namespace and kind.namespaced else "a ClusterRole"
        self.advice = (
            f'allow it in {scope}: apiGroups ["{kind.group}"], resources ["{kind.plural}"], '
            f'verbs ["get", "list", "watch"]'
        )


class KindMissing(ApiError):
    """404 on a collection: the API server does not serve the kind."""

    reason = "KindMissing"

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.advice = (
            f"apply the CustomResourceDefinition {kind.plural}.{kind.group}"
            if kind.is_custom
            else f"use an API server that serves {kind.plural} of {kind.api_version}"
        )


class ConnectionSettings(Exception):
    """The settings lead to no API server; start fails with this message."""
