"""Environment variables: `POINTSMAN_ENTRYPOINTS_WEB_ADDRESS=:80`; `TRAEFIK_…` is an alias, ours wins.

A variable whose first word is no option is not ours: Kubernetes puts the addresses of Services called `traefik`
or `pointsman` into every pod. Names of entry points arrive in lower case and cannot hold `_` or a dot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from config.static_known import TRAEFIK
from config.static_schema import root
from config.static_tree import Node

PREFIX: Final = "POINTSMAN_"
ALIAS: Final = "TRAEFIK_"
_SERVICE_LINK: Final = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$")


def variable(path: str) -> str:
    """The variable for an option path.

    >>> variable("log.filePath")
    'POINTSMAN_LOG_FILEPATH'
    """
    return PREFIX + path.replace("[", ".").replace("]", "").replace(".", "_").upper()


def ours(environ: Mapping[str, str]) -> list[str]:
    """Names of the variables that set an option, alias first, so that the later one wins.

    The alias is only for what Traefik has: TRAEFIK_USER is somebody else's variable.
    """
    aliased = _with_root(environ, ALIAS, frozenset(TRAEFIK.below))
    own = _with_root(environ, PREFIX, frozenset(TRAEFIK.below) | frozenset(root().options))
    return aliased + own


def read_environment(environ: Mapping[str, str]) -> Node:
    """The raw tree of all variables that set an option."""
    tree = Node()
    for name in ours(environ):
        path = name.removeprefix(PREFIX).removeprefix(ALIAS).lower().split("_")
        node = tree.reach(path, name + _link_hint(name))
        node.value, node.origin = environ[name], name + _link_hint(name)
    return tree


def ignored(environ: Mapping[str, str]) -> list[str]:
    """Names that look as if they chose the configuration file; only the flag does."""
    return [name for name in (ALIAS + "CONFIGFILE", PREFIX + "CONFIGFILE") if name in environ]


def _with_root(environ: Mapping[str, str], prefix: str, roots: frozenset[str]) -> list[str]:
    found = (name for name in environ if name.startswith(prefix))
    return sorted(name for name in found if name.removeprefix(prefix).split("_")[0].lower() in roots)


def _link_hint(name: str) -> str:
    return " (a Kubernetes service link? see enableServiceLinks)" if _SERVICE_LINK.search(name) else ""
