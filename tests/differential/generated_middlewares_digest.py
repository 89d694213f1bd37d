"""Answers to digest challenges, right ones and wrong ones in every way."""

from __future__ import annotations

import hashlib
import re
from random import Random
from typing import Final

_QUOTED: Final = re.compile(r'\b(nonce|opaque|response|cnonce)="[^"]*"')
_PART: Final = re.compile(r'(\w+)="([^"]*)"')


def challenge_in(header: str) -> dict[str, str]:
    """The parts of a challenge."""
    return dict(_PART.findall(header))


def hidden(text: str) -> str:
    """Without what is different each time."""
    return _QUOTED.sub(r'\1=""', text)


def answer(random: Random, challenge: dict[str, str], method: str, uri: str) -> str:
    """The value of an Authorization header; half of them are right.

    Draws as often whatever the challenge says, so that both proxies get the same kind of answer.
    """
    user, password, realm = random.choice(
        [("test", "test", "traefik")] * 6
        + [
            ("test", "wrong", "traefik"),
            ("other", "test", "own"),
            ("nobody", "test", "traefik"),
            ("other", "", "x"),
        ]
    )
    count = random.choice(["00000001", "00000002", "00000003", "00000001", "0000000a", "1", "x"])
    shown_uri = random.choice([uri] * 8 + ["/", uri.partition("?")[0], "/other", uri + "x"])
    parts = {
        "username": user,
        "realm": realm,
        "nonce": challenge.get("nonce", "none"),
        "uri": shown_uri,
        "opaque": challenge.get("opaque", "none"),
        "qop": "auth",
        "nc": count,
        "cnonce": "abc",
        "algorithm": "MD5",
        "response": "",
    }
    secret = _md5(f"{user}:{realm}:{password}")
    action = _md5(f"{method}:{shown_uri}")
    parts["response"] = _md5(f"{secret}:{parts['nonce']}:{count}:abc:auth:{action}")
    _spoil(random, parts)
    bare = random.choice([("nc", "qop", "algorithm"), ("nc",), ()])
    text = random.choice([", ", ", ", ","]).join(
        f"{name}={value}" if name in bare else f'{name}="{value}"' for name, value in parts.items()
    )
    return random.choice(["Digest "] * 9 + ["digest "]) + text


def _spoil(random: Random, parts: dict[str, str]) -> None:
    how = random.choice([""] * 8 + ["opaque", "nonce", "response", "algorithm", "qop", "without algorithm"])
    if how == "without algorithm":
        del parts["algorithm"]
    elif how:
        parts[how] = {"algorithm": "SHA-256", "qop": "auth-int"}.get(how, "0" * 32)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
