"""Mistakes a user can make around other systems."""

from learning.errors import UserError


class ServerError(UserError):
    """Another system is missing, did not start, does not answer, or refused what it was asked."""
