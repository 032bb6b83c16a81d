"""What the parts of ``Ledger`` have in common: a connection to read by, and one to write by."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from sqlalchemy import Connection


class Transactions(ABC):
    """Gives connections; what is written by one of ``_write`` is kept as a whole or not at all."""

    @abstractmethod
    def _read(self) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[Connection]: ...
