"""Users, passwords and other texts that middlewares take from Secrets of their own namespace.

No finding repeats what a Secret holds: findings name the Secret, its keys and the numbers of lines.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from provider.findings import Rejected
from provider.resources.core import Secret
from provider.translate.holder import Holder
from provider.translate.secrets import secret_of

BASIC_AUTH_TYPE: Final = "kubernetes.io/basic-auth"
URN_PREFIX: Final = "urn:k8s:secret:"
"""A text in a plugin's options that begins so stands for what a Secret holds."""

_URN_PARTS: Final = 5
_LARGEST_EXACT_FLOAT: Final = 1 << 53


def basic_auth_users(holder: Holder, name: str, field: str) -> list[str]:
    """htpasswd lines `name:hash` from a Secret: of its only key, or one made of username and password.

    Raises Rejected.
    """
    secret = secret_of(holder, name, field)
    if secret.type == BASIC_AUTH_TYPE:
        username, password = _pair(holder, secret, name, field)
        digest = base64.b64encode(hashlib.sha1(password, usedforsecurity=False).digest())
        return [f"{_text(username, _title(holder, name), field)}:{{SHA}}{digest.decode()}"]
    advice = f"two keys need type: {BASIC_AUTH_TYPE}" if {"username", "password"} <= set(secret.data) else ""
    users = _lines(holder, secret, name, field, advice)
    _check_parts(holder, users, "name:hash", name, field)
    return users


def digest_auth_users(holder: Holder, name: str, field: str) -> list[str]:
    """htdigest lines `name:realm:hash` from a Secret's only key, whatever its type. Raises Rejected."""
    users = _lines(holder, secret_of(holder, name, field), name, field)
    _check_parts(holder, users, "name:realm:hash", name, field)
    return users


def redis_credentials(holder: Holder, name: str, field: str) -> tuple[str, str]:
    """User name and password, either of which may be empty. Raises Rejected."""
    username, password = _pair(holder, secret_of(holder, name, field), name, field)
    title = _title(holder, name)
    return _text(username, title, field), _text(password, title, field)


def with_secrets(holder: Holder, options: Any, field: str) -> Any:
    """A plugin's options with each text `urn:k8s:secret:<secret>:<key>` replaced, at any depth.

    All numbers are floats to the original, so large integers lose digits here too. Raises Rejected.
    """
    match options:
        case str() if options.startswith(URN_PREFIX):
            return _named_by(holder, options, field)
        case list():
            return [with_secrets(holder, one, f"{field}[{index}]") for index, one in enumerate(options)]
        case dict():
            return {name: with_secrets(holder, one, f"{field}.{name}") for name, one in options.items()}
        case int() if abs(options) > _LARGEST_EXACT_FLOAT:
            return float(options)
    return options


def _named_by(holder: Holder, urn: str, field: str) -> str:
    parts = urn.split(":")
    if len(parts) != _URN_PARTS:
        raise Rejected(
            "MalformedSecretURN",
            "this text does not name a key of a Secret",
            field=field,
            advice=f"write {URN_PREFIX}<name of the Secret>:<key>",
        )
    name, key = parts[3:]
    secret = secret_of(holder, name, field)
    if key not in secret.data:
        raise _key_not_found(holder, name, [key], field)
    return _text(secret.data[key], _title(holder, name), field)


def _pair(holder: Holder, secret: Secret, name: str, field: str) -> tuple[bytes, bytes]:
    missing = [key for key in ("username", "password") if key not in secret.data]
    if missing:
        raise _key_not_found(holder, name, missing, field)
    return secret.data["username"], secret.data["password"]


def _lines(holder: Holder, secret: Secret, name: str, field: str, advice: str = "") -> list[str]:
    """The lines of a Secret with a single key; empty ones are left out, nothing else is trimmed."""
    if len(secret.data) != 1:
        raise Rejected(
            "SecretNotSingleKey",
            f"{_title(holder, name)} has {len(secret.data)} keys instead of one",
            field=field,
            advice=advice or "keep one key, such as users, with one user a line",
        )
    (content,) = secret.data.values()
    lines = [line.removesuffix("\r") for line in _text(content, _title(holder, name), field).split("\n")]
    users = [line for line in lines if line]
    if not users:
        raise Rejected(
            "NoCredentials",
            f"{_title(holder, name)} holds no user",
            field=field,
            advice="write one user a line, as htpasswd or htdigest print them",
        )
    return users


def _check_parts(holder: Holder, users: list[str], form: str, name: str, field: str) -> None:
    """Report users that no one will be able to read. They are kept: the routers show as disabled then."""
    wrong = [number for number, user in enumerate(users, 1) if user.count(":") != form.count(":")]
    if wrong:
        unreadable = Rejected(
            "UnreadableCredentials",
            f"user {wrong[0]} of {_title(holder, name)} is not {form}; the routers will be disabled",
            field=field,
            advice="write one user a line, without comments",
        )
        holder.report.rejected(unreadable)


def _text(content: bytes, title: str, field: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        # without `from`: the error holds the content, and tracebacks are logged
        raise Rejected(
            "SecretNotText", f"{title} holds bytes that are no UTF-8 text", field=field, advice="encode it anew"
        ) from None


def _key_not_found(holder: Holder, name: str, keys: list[str], field: str) -> Rejected:
    return Rejected(
        "SecretKeyNotFound",
        f"{_title(holder, name)} has no key {' and no key '.join(keys)}",
        field=field,
        advice="add it to the Secret's data",
    )


def _title(holder: Holder, name: str) -> str:
    return f"Secret {holder.namespace}/{name}"
