"""See _heads.c."""

from collections.abc import Callable

KINDS: tuple[int, ...]

def request(
    data: bytes, kinds: dict[bytes, int], classify: Callable[[bytes], int], /
) -> (
    tuple[bytes, bytes, bytes, bytes, int, int, list[tuple[bytes, bytes]], bytes | None, int, int, int] | None
): ...
def response(
    data: bytes, kinds: dict[bytes, int], classify: Callable[[bytes], int], /
) -> tuple[int, int, list[tuple[bytes, bytes]], int, bool, int] | None: ...
def message(first: bytes, headers: list[tuple[bytes, bytes]], /, *rest: bytes) -> bytes: ...
