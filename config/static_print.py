"""A static configuration back into what a user could have written: plain data, flags, variables.

Only what differs from the defaults is printed, so the result is also the shortest way to say it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from config.static import StaticConfiguration
from config.static_env import variable
from config.static_schema import Indexed, Leaf, Named, Section, root
from config.static_shape import Options

_SECRETS: Final = frozenset(("providers.kubernetesCRD.token", "providers.kubernetesIngress.token"))
_MASK: Final = "xxxx"


def as_mapping(static: StaticConfiguration, *, masked: bool = False) -> dict[str, Any]:
    """Nested plain data as a YAML or JSON file holds it; durations are text. `masked` hides secrets."""
    return _section(root(), static, "", masked)


def as_pairs(static: StaticConfiguration) -> Iterator[tuple[str, str]]:
    """(option path, text) of each value; lists are joined by commas, a bare section is `true`."""
    yield from _pairs(as_mapping(static), "")


def as_flags(static: StaticConfiguration) -> list[str]:
    """Command-line arguments. List values with a comma in them cannot be said this way."""
    return [f"--{path}={text}" for path, text in as_pairs(static)]


def as_environment(static: StaticConfiguration) -> dict[str, str]:
    """Variables. Names of entry points come back in lower case and must not hold `_` or a dot."""
    return {variable(path): text for path, text in as_pairs(static)}


def _section(section: Section, options: Options, prefix: str, masked: bool) -> dict[str, Any]:
    plain = {}
    for option in section.options.values():
        value, path = getattr(options, option.attribute), f"{prefix}{option.name}"
        match option:
            case Leaf():
                if value != option.default:
                    plain[option.name] = _MASK if masked and path in _SECRETS else _leaf(option, value)
            case Section():
                below = None if value is None else _section(option, value, f"{path}.", masked)
                if below or (below is not None and option.optional):
                    plain[option.name] = below
            case Named():
                named = {name: _section(option.element, one, path, masked) for name, one in value.items()}
                plain |= {option.name: named} if named else {}
            case Indexed():
                listed = [_section(option.element, one, path, masked) or _shown(option.element) for one in value]
                plain |= {option.name: listed} if listed else {}
    return plain


def _shown(section: Section) -> dict[str, Any]:
    """An element of a list that has nothing but defaults has to show one, else it would be lost."""
    leaf = next(option for option in section.options.values() if isinstance(option, Leaf))
    return {leaf.name: leaf.default}


def _leaf(leaf: Leaf, value: Any) -> Any:
    if leaf.kind == "duration":
        return _duration(value)
    return value


def _duration(seconds: float) -> str:
    """Exact Go text: nanoseconds unless the seconds are whole."""
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{round(seconds * 1e9)}ns"


def _pairs(value: Any, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case dict() if value or not path:
            for name, below in value.items():
                yield from _pairs(below, f"{path}.{name}" if path else name)
        case dict():
            yield path, "true"
        case [dict(), *_]:
            for index, below in enumerate(value):
                yield from _pairs(below, f"{path}[{index}]")
        case list():
            yield path, ",".join(map(str, value))
        case bool():
            yield path, str(value).lower()
        case _:
            yield path, str(value)
