"""The platform's errors: a small typed tree that carries fields, mapped once at each edge.

    LakehouseError                    500
    ├── BadInput                      400  a parameter, key, name or document is wrong
    │   └── Unprocessable             422  the bytes of an upload are wrong (record, line)
    ├── Unauthorized                  401
    ├── Forbidden                     403
    ├── NotFound                      404
    ├── Conflict                      409
    │   └── PreconditionFailed        412  a compare-and-swap lost (internal; retried)
    ├── Gone                          410  older than the history that is kept
    ├── TooLarge                      413
    ├── Unavailable                   503  retry later
    │   └── StoreUnavailable          503  the object store did not answer
    ├── ProviderFailed                502  a chat provider refused or failed (its status)
    ├── TimedOut                      504
    └── InsufficientStorage           507  disk or memory limit

Belongs here: exception types with their HTTP status and problem fields.
Not here: how they are rendered (see lakehouse_api/errors.py, lakehouse_assets/failures.py).
"""

from __future__ import annotations

from typing import Any, ClassVar


class LakehouseError(Exception):
    """Base of every error the platform raises on purpose.

    Args:
        detail: What is wrong, where, and what to do next, in one or two sentences for the user.
        fields: Machine-readable extras that become members of the problem document.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process borders (ingest and SQL workers); keep their fields.
        return (_rebuild, (type(self), self.detail, self.fields))


def _rebuild(cls: type[LakehouseError], detail: str, fields: dict[str, Any]) -> LakehouseError:
    return cls(detail, **fields)


class BadInput(LakehouseError):
    """A parameter, key, name or document is wrong."""

    status = 400
    title = "Bad request"


class Unprocessable(BadInput):
    """The bytes of an upload are wrong; `fields` says the record and the physical line."""

    status = 422
    title = "Unprocessable content"


class Unauthorized(LakehouseError):
    """No token, or an unknown one."""

    status = 401
    title = "Unauthorized"


class Forbidden(LakehouseError):
    """The token, the address or the statement is not allowed here."""

    status = 403
    title = "Forbidden"


class NotFound(LakehouseError):
    """Nothing of that name, key or version."""

    status = 404
    title = "Not found"


class Conflict(LakehouseError):
    """The state of the store contradicts the request; nothing was changed."""

    status = 409
    title = "Conflict"


class Superseded(Conflict):
    """Another has begun the same since, and goes on with it."""


class PreconditionFailed(Conflict):
    """A conditional write lost its race."""

    status = 412
    title = "Precondition failed"


class Gone(LakehouseError):
    """Older than the history that is kept."""

    status = 410
    title = "Gone"


class TooLarge(LakehouseError):
    """More bytes than the cap allows."""

    status = 413
    title = "Content too large"


class Unavailable(LakehouseError):
    """Try again later; `retry_after_s` in `fields` says when."""

    status = 503
    title = "Service unavailable"


class StoreUnavailable(Unavailable):
    """The object store refused, failed or did not answer within its deadline."""


class ProviderFailed(LakehouseError):
    """A chat provider refused, failed or answered nothing; `provider_status` in `fields` is its HTTP status."""

    status = 502
    title = "Bad gateway"


class TimedOut(LakehouseError):
    """The work ran past its time limit and was stopped."""

    status = 504
    title = "Timed out"


class InsufficientStorage(LakehouseError):
    """A disk or memory limit was reached."""

    status = 507
    title = "Insufficient storage"
