"""AddPrefix, StripPrefix, StripPrefixRegex, ReplacePath and ReplacePathRegex.

What can be is made at build time; a request costs a few slices. A path from which something was cut must not hold
segments that would be resolved to another path: such requests are refused with 400.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from config.middlewares_paths import AddPrefix, ReplacePath, ReplacePathRegex, StripPrefix, StripPrefixRegex
from config.regex import repaired
from workers.building import BuildError
from workers.exchange import Exchange, Handler, Request
from workers.middlewares.base import Context, Wrap
from workers.middlewares.path_model import (
    UNCLEAN_PATH,
    EscapeError,
    decoded,
    encoded,
    is_clean,
    respelled,
    rewrite,
    without_start,
)
from workers.middlewares.patterns import compile_expression
from workers.middlewares.replacement import Replacement
from workers.middlewares.values import is_field_value

_FORWARDED_PREFIX: Final = b"X-Forwarded-Prefix"
_ESCAPED_SLASHES: Final = (b"%2F", b"%2f")
_REPLACED_PATH: Final = b"X-Replaced-Path"


def add_prefix(options: AddPrefix, context: Context) -> Wrap:
    """Puts text before the path, as it is: nothing is joined or cleaned."""
    if not options.prefix:
        raise BuildError("prefix cannot be empty")
    text = options.prefix.encode()
    text = text if text.startswith(b"/") else b"/" + text
    usual = encoded(text)
    # Beside a path of unusual spelling the prefix may be as unusual.
    beside_unusual = usual if b"%" in text else respelled(text)

    def wrap(handler: Handler) -> Handler:
        def prefixed(exchange: Exchange) -> None:
            request = exchange.request
            path = request.path
            if usual is not beside_unusual and encoded(decoded(path)) != path:
                rewrite(request, beside_unusual + path)
            else:
                rewrite(request, usual + path)
            handler(exchange)

        return prefixed

    return wrap


def strip_prefix(options: StripPrefix, context: Context) -> Wrap:
    """Cuts off the first prefix in the list that the path begins with; segments do not matter."""
    prefixes = [prefix.strip().encode() for prefix in options.prefixes]
    for prefix in prefixes:
        if not is_field_value(prefix):
            raise BuildError(f"prefix {prefix.decode()!r} cannot be sent in a header; remove what is unprintable")
    force_slash = bool(options.force_slash)

    def wrap(handler: Handler) -> Handler:
        def stripped(exchange: Exchange) -> None:
            request = exchange.request
            path = decoded(request.path)
            for prefix in prefixes:
                if path.startswith(prefix):
                    if not _cut(request, len(prefix), len(path), force_slash):
                        exchange.respond_error(UNCLEAN_PATH)
                        return
                    request.add_header(_FORWARDED_PREFIX, prefix)
                    break
            handler(exchange)

        return stripped

    return wrap


def strip_prefix_regex(options: StripPrefixRegex, context: Context) -> Wrap:
    """Cuts off what the first expression matches, if the path begins with such a text, matched there or not."""
    finders = [_start_finder(pattern.strip()) for pattern in options.regex]

    def wrap(handler: Handler) -> Handler:
        def stripped(exchange: Exchange) -> None:
            request = exchange.request
            path = decoded(request.path)
            for find in finders:
                count = find(path)
                if count:
                    prefix = path[:count].strip(b" \t")
                    if not is_field_value(prefix) or not _cut(request, count, len(path)):
                        exchange.respond_error(UNCLEAN_PATH)
                        return
                    request.add_header(_FORWARDED_PREFIX, prefix)
                    break
            handler(exchange)

        return stripped

    return wrap


def _start_finder(pattern: str) -> Callable[[bytes], int]:
    """A function telling how many bytes at the start of a path read as the pattern's leftmost match does."""
    find = compile_expression(pattern).find

    def matched(path: bytes) -> int:
        text = path if path.isascii() else repaired(path)
        spans = find(text)
        if spans is None:
            return 0
        start, end = spans[0]
        count = end - start
        if start and not text.startswith(text[start:end]):
            return 0
        return count if text is path else _original_length(path, text[:count])

    return matched


def _original_length(path: bytes, matched: bytes) -> int:
    """Bytes of `path` that `matched`, a start of its repaired form, was made from."""
    characters = len(matched.decode())
    start = path.decode("utf-8", "surrogateescape")[:characters]
    return len(start.encode("utf-8", "surrogateescape"))


def _cut(request: Request, count: int, length: int, force_slash: bool = False) -> bool:
    """Remove the first `count` of the path's `length` decoded bytes; False if what is left is no clean path.

    An escaped slash must not become the slash at its start: `/api%2Fadmin` would reach the server as `/admin`
    although a stricter route for `/api/admin` has not seen it.
    """
    rest = without_start(request.path, count)
    if count == length:
        rest = b"/" if force_slash else b""
    elif rest[:3] in _ESCAPED_SLASHES:
        return False
    elif not rest.startswith(b"/"):
        rest = b"/" + rest
    if rest and not is_clean(rest):
        return False
    rewrite(request, rest)
    return True


def replace_path(options: ReplacePath, context: Context) -> Wrap:
    """The same path for all requests; the old one goes into a header."""
    try:
        path, failure = respelled(options.path.encode()), None
    except EscapeError as error:
        path, failure = b"", error.failure

    def wrap(handler: Handler) -> Handler:
        def replaced(exchange: Exchange) -> None:
            if failure is not None:
                exchange.respond_error(failure)
                return
            request = exchange.request
            request.add_header(_REPLACED_PATH, request.path)
            rewrite(request, path)
            handler(exchange)

        return replaced

    return wrap


def replace_path_regex(options: ReplacePathRegex, context: Context) -> Wrap:
    """All matches in the escaped path replaced; the old path goes into a header."""
    pattern = options.regex.strip()
    message = f"error compiling regular expression {pattern}: "
    replacement = Replacement(pattern, options.replacement.strip(), message)

    def wrap(handler: Handler) -> Handler:
        def replaced(exchange: Exchange) -> None:
            request = exchange.request
            text = replacement(request.path)
            if text is not None:
                try:
                    path = respelled(text)
                except EscapeError as error:
                    exchange.respond_error(error.failure)
                    return
                if path and not is_clean(path):
                    exchange.respond_error(UNCLEAN_PATH)
                    return
                request.add_header(_REPLACED_PATH, request.path)
                rewrite(request, path)
            handler(exchange)

        return replaced

    return wrap
