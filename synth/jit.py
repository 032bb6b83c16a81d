"""How loops are compiled: at their first call, and kept in a folder for the next process."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function at its first call, and keep the result in a folder for the next process.

    Beside the code if that can be written to, else in the user's cache. Where neither can, or the disk is full, it is
    compiled in every process anew.
    """
    try:
        fast = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # Numba found no folder
        fast = numba.njit(nogil=True, error_model="numpy")(function)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return fast(*arguments)
        except OSError:  # compiled, but the cache could not be written; loops over pixels raise none
            return fast(*arguments)

    return call  # type: ignore[return-value]


part_of_others = numba.njit(nogil=True, error_model="numpy")
"""Compiles what other loops call, with them: it has to be in their file, as Numba sees no change in another one."""
