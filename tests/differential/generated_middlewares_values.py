"""Values that drawn options, requests and answers take, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

Options = dict[str, Any]

PREFIXES: Final = ["/a", "/a/", "/a/b", "/api", "/", "/a.", "/.", "/a~b", "/a:b", "/a@", "/A", "/a&b", "/..", "//"]
PATTERNS: Final = [
    *("^/a", "/a", "^/(.*)", "(.)$", "/[^/]+", ".*", "a*", "^/(?P<x>[^/]*)/?(.*)", r"\.", "(?i)^/A/", "^/.{2}"),
    *("^/(a|b)/([0-9]+)", "^$", "/$", "b", "[[:alpha:]]+", r"\d", "^(/a)?", "/a|/b", "(?P<y>b)?", " /a "),
]
TEMPLATES: Final = [
    *(
        "",
        "/x",
        "/$1",
        "/${1}",
        "/$x/$2",
        "//$1",
        "/$0$0",
        "$$",
        "/a b",
        "/.$1",
        "/$1x",
        "/${2}",
        "/a?b=c",
        "/x#y",
    ),
    *("/%41$1", "/%zz", "/é", "/${", "/$", "/${x", "/%2F$1", " /x "),
]
URLS: Final = [
    *("https://$1", "http://o/${1}", "$1", "/$1", "", "http://o:1/?$1", "//o/$1", "http://o/a b", "https://$1#f"),
    *(
        "http://%zz",
        "http://o:x/$1",
        "HTTP://O/$1",
        "http://u:p@o/$1",
        "mailto:$1",
        "http://[::1]/$1",
        ":$1",
        "?$1",
    ),
]
URL_PATTERNS: Final = [
    *(
        "^http://(.*)",
        "^https?://[^/]+/(.*)",
        "^http://m[0-9]+.test/(.*)",
        "(.*)",
        "a",
        "^https://(.*)",
        "/a/(.*)$",
    ),
    *(r"\?(.*)$", "^(?i)HTTP://([^:]*):?[0-9]*/?(.*)", "(.)", "/$", "^http://[^/]+/?$"),
]
NETWORKS: Final = [
    "127.0.0.1",
    "127.0.0.0/8",
    "10.0.0.0/8",
    "1.2.3.4/24",
    "::1",
    "2001:db8::/32",
    "::ffff:127.0.0.1",
]
STATUS_ITEMS: Final = ["500-599", "404", "401", "503", "200", "400-499", "418", "502-504", "600-500"]
ENCODINGS: Final = ["gzip", "br", "zstd"]
ORIGINS: Final = ["https://a", "http://b.org", "*", "https://z.a.org", "null", "HTTPS://A"]
SECRETS: Final = {
    "sha": "test:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
    "apr": "test:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/\n\ntest2:$apr1$d9hr9HBB$4HxwgUir3HP4EsggP/QNo0",
    "plain": "test:test",
    "none": "",
    "digest": "test:traefik:a2688e031edb4be6a3797f3882655c05\nother:own:a2688e031edb4be6a3797f3882655c05",
}


def one(random: Random, *choices: Any) -> Any:
    return random.choice(choices)


def some(random: Random, choices: Sequence[Any], most: int, least: int = 0) -> list[Any]:
    return random.sample(list(choices), random.randint(least, min(most, len(choices))))


def partly(random: Random, **options: Any) -> Options:
    """Each option in one case of two."""
    return {name: value for name, value in options.items() if random.random() < 0.5}


def flags(random: Random, *names: str) -> Options:
    return partly(random, **{name: random.random() < 0.8 for name in names})
