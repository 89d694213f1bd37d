"""What can go wrong with the API server, as typed errors whose message says what to change.

Raised at the one boundary to the API server (`api.py`); watches and writers decide by type and by the fields,
never by text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

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
    """403: RBAC does not let us read a kind, or write to it (`resource`: its plural, or `plural/status`)."""

    reason = "Forbidden"

    def __init__(
        self,
        message: str,
        kind: Kind,
        namespace: str,
        resource: str = "",
        verbs: Sequence[str] = ("list", "watch"),
    ) -> None:
        super().__init__(message)
        scope = f"a Role in namespace {namespace}" if namespace and kind.namespaced else "a ClusterRole"
        quoted = ", ".join(f'"{verb}"' for verb in verbs)
        self.advice = (
            f'allow it in {scope}: apiGroups ["{kind.group}"], resources ["{resource or kind.plural}"], '
            f"verbs [{quoted}]"
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


class ObjectMissing(ApiError):
    """404 on one object: it is gone, or the kind has no such subresource."""

    reason = "ObjectMissing"


class Conflict(ApiError):
    """409: somebody else has changed, or already created, the object."""

    reason = "Conflict"


class Refused(ApiError):
    """Any other 4xx: the server understands the request and does not want it."""

    reason = "Refused"


_VERBS: Final = {
    "GET": ("get", "read"),
    "POST": ("create", "create"),
    "PATCH": ("patch", "write"),
    "PUT": ("update", "write"),
}
_BY_CODE: Final[dict[int, type[ApiError]]] = {401: Unauthorized, 404: ObjectMissing, 409: Conflict}


def error_of_one(
    method: str,
    code: int,
    detail: str,
    place: tuple[Kind, str, str, str],
    retry_after_seconds: float | None = None,
) -> ApiError:
    """The typed error of a request about one object; `place`: kind, namespace, name, subresource."""
    kind, namespace, name, subresource = place
    verb, word = _VERBS[method]
    object_ = f"{kind.name} {namespace}/{name}".rstrip("/")
    what = f"{subresource} of {object_}" if subresource else object_
    message = f"cannot {word} {what} ({code}{f': {detail}' if detail else ''})"
    if code == 403:
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        return Forbidden(message, kind, namespace, resource, (verb,))
    if code in _BY_CODE:
        return _BY_CODE[code](message)
    type_ = TooManyRequests if code == 429 else Refused if code < 500 else ServerTrouble
    return type_(message, retry_after_seconds=retry_after_seconds)


class ConnectionSettings(Exception):
    """The settings lead to no API server; start fails with this message."""
