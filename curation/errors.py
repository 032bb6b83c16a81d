"""Mistakes a user can make around the ledger and the FiftyOne database."""

from learning.errors import UserError


class LedgerError(UserError):
    """The ledger cannot be used: a newer schema, a damaged file, a contradiction."""


class DatabaseError(UserError):
    """The database behind FiftyOne is missing, did not start, or stopped answering."""
