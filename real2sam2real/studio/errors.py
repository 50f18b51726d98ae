"""Refusals of the server that have a status of their own; a `UserError` is 422, `NoRoomError` 507."""

from __future__ import annotations

from typing import Any

from real2sam2real.errors import UserError


class RefusedError(UserError):
    """A request that is not done, with its HTTP status.

    Args:
        status: 400 for what is no request of the page's, 403, 404, 409 for a document that went on, 413 for too much.
        message: for people.
        more: further keys of the answer, such as the document.
    """

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.more = status, more


def not_found(what: str) -> RefusedError:
    """404: there is no such thing."""
    return RefusedError(404, f"There is no {what} of that name; load the page again.")
