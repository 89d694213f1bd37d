"""Conditions of CircuitBreaker and Buffering: `NetworkErrorRatio() > 0.30 && RequestThreshold() >= 20`.

The spelling is Go's, as the original parses it: `&&` binds tighter than `||`; a comparison has a function call on
its left and a literal of exactly the right kind on its right; there is no `!`, no sign and no arithmetic, and a
line may end only where something must follow.

Which functions there are is the caller's: a table of `Function`. What comes out is one closure that answers for
whatever context the functions look at.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import accumulate
from typing import Any, Final, Generic, NamedTuple, TypeVar

import lark

C = TypeVar("C")
Condition = Callable[[C], bool]
Value = int | float | str

_LONGEST: Final = 4096
"""Characters."""
_DEEPEST: Final = 50
"""Parentheses in parentheses."""
_QUOTED: Final = 80

_GRAMMAR: Final = r"""
start: disjunction
disjunction: conjunction (_OR conjunction)*
conjunction: _condition (_AND _condition)*
_condition: comparison | question | _OPEN disjunction _CLOSE
question: _call
comparison: _call COMPARE _literal
_call: call | _OPEN _call _CLOSE
call: NAME _OPEN [_literal (_COMMA _literal)* _COMMA?] _CLOSE
_literal: FLOAT | INT | TEXT | _OPEN _literal _CLOSE

_OR: /\|\|\s*/
_AND: /&&\s*/
COMPARE: /(==|!=|<=|>=|<|>)\s*/
_OPEN: /\(\s*/
_CLOSE: ")"
_COMMA: /,\s*/
NAME: /[A-Za-z_][A-Za-z0-9_]*/
FLOAT.2: /[0-9]+\.[0-9]*([eE][+-]?[0-9]+)?|\.[0-9]+([eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+/
INT: /[0-9]+/
TEXT: /"[^"\\\n]*"|`[^`]*`/
BLANK: /[ \t\r]+/
COMMENT: /\/\/[^\n]*|\/\*([^*]|\*(?!\/))*\*\//
%ignore BLANK
%ignore COMMENT
"""

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NAMES: Final = {int: "an integer such as 10", float: "a number with a point such as 0.5", str: "a quoted text"}


class ConditionError(ValueError):
    """The text is no condition; the message says what is wrong with it."""


class Function(NamedTuple, Generic[C]):
    """`compute` is called with the context and the arguments of the call."""

    arguments: tuple[type[Value], ...]
    result: type[Value]
    compute: Callable[..., Value]


class _Call(NamedTuple):
    result: type[Value]
    compute: Callable[[Any], Value]


def compile_condition(text: str, functions: Mapping[str, Function[C]]) -> Condition[C]:
    """Raises ConditionError that says what is wrong with the text."""
    if len(text) > _LONGEST or _depth(text) > _DEEPEST:
        raise ConditionError(
            f"an expression has at most {_LONGEST} characters and {_DEEPEST} levels of parentheses"
        )
    try:
        tree = _parser().parse(text.strip())
        condition: Condition[C] = _Compiler(functions).transform(tree)
    except lark.exceptions.VisitError as error:
        raise error.orig_exc from None
    except lark.exceptions.UnexpectedInput as error:
        where = "end" if error.column < 0 else f"column {error.column}"
        raise ConditionError(f"invalid expression {text[:_QUOTED]!r}: unexpected text at {where}") from None
    return condition


def _depth(text: str) -> int:
    return max(accumulate((character == "(") - (character == ")") for character in text), default=0)


@cache
def _parser() -> lark.Lark:
    return lark.Lark(_GRAMMAR, parser="lalr", maybe_placeholders=False)


class _Compiler(lark.Transformer[lark.Token, Any]):
    """Called bottom-up, one method a rule."""

    def __init__(self, functions: Mapping[str, Function[Any]]) -> None:
        super().__init__()
        self._functions = functions

    def start(self, parts: list[Any]) -> Any:
        return parts[0]

    def disjunction(self, parts: list[Condition[Any]]) -> Condition[Any]:
        return parts[0] if len(parts) == 1 else lambda context: any(part(context) for part in parts)

    def conjunction(self, parts: list[Condition[Any]]) -> Condition[Any]:
        return parts[0] if len(parts) == 1 else lambda context: all(part(context) for part in parts)

    def comparison(self, parts: list[Any]) -> Condition[Any]:
        call, sign, literal = parts
        if call.result is bool:
            raise ConditionError("a yes or no stands alone, it is not compared")
        if type(literal) is not call.result:
            raise ConditionError(f"{literal!r} is compared with a function that gives {_NAMES[call.result]}")
        if call.result is str and sign not in ("==", "!="):
            raise ConditionError("texts are compared with == and != only")
        compare, compute = _COMPARISONS[sign], call.compute
        return lambda context: compare(compute(context), literal)

    def question(self, parts: list[_Call]) -> Condition[Any]:
        (call,) = parts
        if call.result is not bool:
            raise ConditionError(f"a function that gives {_NAMES[call.result]} has to be compared with one")
        compute = call.compute
        return lambda context: bool(compute(context))

    def call(self, parts: list[Any]) -> _Call:
        name, *arguments = parts
        function = self._functions.get(str(name))
        if function is None:
            raise ConditionError(f"unsupported function {name}; there are {', '.join(sorted(self._functions))}")
        if tuple(map(type, arguments)) != function.arguments:
            wanted = ", ".join(_NAMES[kind] for kind in function.arguments) or "nothing"
            raise ConditionError(f"{name} takes {wanted} between its parentheses")
        compute = function.compute
        return _Call(function.result, lambda context: compute(context, *arguments))

    def INT(self, token: lark.Token) -> int:  # noqa: N802 - named as in the grammar
        value = int(token)
        if value >= 1 << 63:
            raise ConditionError(f"{token} is too large")
        return value

    def FLOAT(self, token: lark.Token) -> float:  # noqa: N802
        return float(token)

    def TEXT(self, token: lark.Token) -> str:  # noqa: N802
        return str(token[1:-1])

    def COMPARE(self, token: lark.Token) -> str:  # noqa: N802
        return re.sub(r"\s", "", token)


class Signature(NamedTuple):
    """What a function takes and gives, for those who only judge a text."""

    arguments: tuple[type[Value], ...]
    result: type[Value]


BREAKER: Final[Mapping[str, Signature]] = {
    "NetworkErrorRatio": Signature((), float),
    "ResponseCodeRatio": Signature((int, int, int, int), float),
    "LatencyAtQuantileMS": Signature((float,), int),
    "RequestThreshold": Signature((), int),
}
"""Functions of a circuit breaker's expression."""

ATTEMPT: Final[Mapping[str, Signature]] = {
    "Attempts": Signature((), int),
    "ResponseCode": Signature((), int),
    "IsNetworkError": Signature((), bool),
    "RequestMethod": Signature((), str),
}
"""Functions of the expression that lets buffering try again."""


def check_condition(text: str, signatures: Mapping[str, Signature]) -> None:
    """Raises ConditionError as `compile_condition` does with functions of these signatures."""
    compile_condition(text, {name: Function(*one, _nothing) for name, one in signatures.items()})


def _nothing(*_: object) -> Value:
    return 0
