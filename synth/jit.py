"""How loops are compiled: at their first call, and kept in a folder for the next process."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function at its first call, and keep the result in a folder for the next process.

    Beside the code if that can be written to, else in the user's cache. Where neither can, or the disk is full, it is
    compiled in every process anew.
    """
    fast = numba.njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # Numba found no folder
        # As numba.njit(cache=True), but for what makes it stale.
        fast._cache = _Cache(function)  # type: ignore[attr-defined]

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return fast(*arguments)
        except OSError:  # compiled, but the cache could not be written; loops over pixels raise none
            return fast(*arguments)

    return call  # type: ignore[return-value]


part_of_others = numba.njit(nogil=True, error_model="numpy")
"""Compiles what other loops call, with them; it may be in another file of their folder."""


class _Cache(FunctionCache):
    """Numba's looks only at the file of the function itself; this one is stale when any file beside it changed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        stamp = (self._impl.locator.get_source_stamp(), _digest(Path(function.__code__.co_filename).parent))
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, stamp)


@lru_cache
def _digest(folder: Path) -> str:
    """SHA-256 of the Python files in a folder, by name."""
    found = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        found.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
