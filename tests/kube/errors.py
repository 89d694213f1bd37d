"""The failures a Kubernetes API server reports, each with the `Status` object a client receives for it.

Everything below the HTTP shell raises `ApiError`; the shell turns it into a response and nothing else does.
The reasons and codes are those of `k8s.io/apimachinery/pkg/api/errors`, because clients decide by them:
`Expired` makes them list again, `Conflict` read again, `Invalid` fall back from streaming lists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kinds import Kind

Json = dict[str, Any]


class ApiError(Exception):
    """One failed request: HTTP code, machine-readable reason, sentence, optional details."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        continue_token: str = "",
    ) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.details = None if details is None else dict(details)
        self.headers = dict(headers or {})
        self.continue_token = continue_token

    def status(self) -> Json:
        """The `Status` object sent as the body, or inside an ERROR event of a watch."""
        answer: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            answer["reason"] = self.reason
        if self.details is not None:
            answer["details"] = self.details
        answer["code"] = self.code
        return answer


class PageNotFound(Exception):
    """No handler for this path: the real server answers plain text, not a `Status`."""


def _details(kind: Kind, name: str) -> Json:
    return {"name": name, **({"group": kind.group} if kind.group else {}), "kind": kind.plural}


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(group: str, resource: str, verb: str, namespace: str, name: str) -> ApiError:
    subject = f"{resource}{'.' + group if group else ''}"
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    quoted = f' "{name}"' if name else ""
    message = (
        f'{subject}{quoted} is forbidden: User "system:serviceaccount:default:test" cannot {verb} '
        f'resource "{resource}" in API group "{group}" {scope}'
    )
    named = {"name": name, "group": group, "kind": resource}
    return ApiError(403, "Forbidden", message, details={key: text for key, text in named.items() if text})


def not_found(kind: Kind, name: str) -> ApiError:
    message = f'{kind.resource} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_details(kind, name))


def unknown_resource() -> ApiError:
    """For paths of groups that the server itself defines; those of custom groups are `PageNotFound`."""
    message = "the server could not find the requested resource"
    return ApiError(404, "NotFound", message, details={})


def method_not_allowed() -> ApiError:
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, details={})


def plain(message: str) -> ApiError:
    """What becomes of an error that the real server did not foresee: 500 without a reason."""
    return ApiError(500, "", message)


def already_exists(kind: Kind, name: str) -> ApiError:
    message = f'{kind.resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> ApiError:
    why = why or ("the object has been modified; please apply your changes to the latest version and try again")
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(kind, name))


def expired(message: str, continue_token: str = "") -> ApiError:
    return ApiError(410, "Expired", message, continue_token=continue_token)


def unsupported_media_type(media_type: str, supported: Sequence[str]) -> ApiError:
    accepted = ", ".join(supported)
    message = f"the body of the request was in an unknown format ({media_type}) - accepted: {accepted}"
    return ApiError(415, "UnsupportedMediaType", message)


def invalid(kind: Kind, name: str, findings: Sequence[str]) -> ApiError:
    """`findings` read `field.path: what is wrong`; without a colon there is no field."""
    causes = [_cause(finding) for finding in findings]
    subject = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    listed = findings[0] if len(findings) == 1 else f"[{', '.join(findings)}]"
    details = {
        "name": name,
        **({"group": kind.group} if kind.group else {}),
        "kind": kind.kind,
        "causes": causes,
    }
    return ApiError(422, "Invalid", f'{subject} "{name}" is invalid: {listed}', details=details)


def _cause(finding: str) -> Json:
    field, separator, sentence = finding.partition(": ")
    reasons = {
        "Forbidden": "FieldValueForbidden",
        "Required value": "FieldValueRequired",
        "Unsupported value": "FieldValueNotSupported",
    }
    reason = reasons.get(sentence.partition(":")[0], "FieldValueInvalid")
    if not separator:
        return {"reason": reason, "message": finding}
    return {"reason": reason, "message": sentence, "field": field}


def invalid_options(finding: str) -> ApiError:
    """List or watch parameters that contradict each other."""
    details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [_cause(finding)]}
    return ApiError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {finding}', details=details)


def too_large_version(asked: int, current: int) -> ApiError:
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"retryAfterSeconds": 1, "causes": [cause]}
    return ApiError(504, "Timeout", message, details=details, headers={"Retry-After": "1"})


_OUTAGES = {
    429: ("TooManyRequests", "too many requests, please try again later"),
    500: ("InternalError", "Internal error occurred: the storage is unavailable"),
    503: ("ServiceUnavailable", "apiserver not ready"),
    504: ("Timeout", "the server did not answer in time"),
}


def outage(code: int, retry_after_seconds: int | None) -> ApiError:
    """What every request gets while the server is told to fail with `code`."""
    if code == 401:
        return unauthorized()
    reason, message = _OUTAGES.get(code, ("", f"the server answers {code} for now"))
    if retry_after_seconds is None:
        return ApiError(code, reason, message)
    return ApiError(
        code,
        reason,
        message,
        details={"retryAfterSeconds": retry_after_seconds},
        headers={"Retry-After": str(retry_after_seconds)},
    )
