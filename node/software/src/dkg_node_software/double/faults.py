"""Refusals of the double, as AWS words them in codes; no request ends in a 500."""

from __future__ import annotations


class Fault(Exception):
    """A refused request: KMS's error code, and a message for a person."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """``status`` is that of HTTP."""
        self.code = code
        self.message = message
        self.status = status
        super().__init__(message)


def denied(why: str) -> Fault:
    """Not allowed."""
    return Fault("AccessDeniedException", why)


def invalid(why: str) -> Fault:
    """Not a request that could be answered."""
    return Fault("ValidationException", why)
