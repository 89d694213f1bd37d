"""Options of the middlewares that change the path or redirect, and of the check of its escapes."""

from __future__ import annotations

from config.shape import Shape


class AddPrefix(Shape, frozen=True, kw_only=True):
    prefix: str = ""


class StripPrefix(Shape, frozen=True, kw_only=True):
    """The first entry that the path begins with is removed. `force_slash` is deprecated, None means false."""

    prefixes: list[str] = []
    force_slash: bool | None = None


class StripPrefixRegex(Shape, frozen=True, kw_only=True):
    regex: list[str] = []


class ReplacePath(Shape, frozen=True, kw_only=True):
    path: str = ""


class ReplacePathRegex(Shape, frozen=True, kw_only=True):
    regex: str = ""
    replacement: str = ""


class RedirectRegex(Shape, frozen=True, kw_only=True):
    """Matched against the whole URL of the request."""

    regex: str = ""
    replacement: str = ""
    permanent: bool = False


class RedirectScheme(Shape, frozen=True, kw_only=True):
    """`port` is text; empty means the scheme's own."""

    scheme: str = ""
    port: str = ""
    permanent: bool = False


class EncodedCharacters(Shape, frozen=True, kw_only=True):
    """Which percent-encoded characters a path may hold; all are refused unless allowed."""

    allow_encoded_slash: bool = False
    allow_encoded_back_slash: bool = False
    allow_encoded_null_character: bool = False
    allow_encoded_semicolon: bool = False
    allow_encoded_percent: bool = False
    allow_encoded_question_mark: bool = False
    allow_encoded_hash: bool = False
