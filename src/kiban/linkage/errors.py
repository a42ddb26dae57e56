"""Refusals of the broker, as NGSI-LD problem details (ETSI GS CIM 009 v1.9.1, 5.5.2 and 6.3.2; RFC 7807)."""

from __future__ import annotations

from typing import Any

from kiban.base.errors import KibanError

PREFIX = "https://uri.etsi.org/ngsi-ld/errors/"
# kind → HTTP status. The first block has its name in the standard; the second names what only HTTP knows.
STATUS = {
    "InvalidRequest": 400,
    "BadRequestData": 400,
    "AlreadyExists": 409,
    "Conflict": 409,
    "OperationNotSupported": 422,
    "ResourceNotFound": 404,
    "InternalError": 500,
    "TooComplexQuery": 403,
    "TooManyResults": 403,
    "LdContextNotAvailable": 504,
    "NoMultiTenantSupport": 501,
    "NonexistentTenant": 404,
    "LoopDetected": 508,
    "Unauthorized": 401,
    "Forbidden": 403,
    "MethodNotAllowed": 405,
    "NotAcceptable": 406,
    "LengthRequired": 411,
    "RequestEntityTooLarge": 413,
    "UnsupportedMediaType": 415,
}


class Problem(KibanError):
    """A request that the broker refuses, with what it answers.

    Parameters
    ----------
    kind    a key of STATUS
    title   one line, the same for each problem of this sort
    detail  what is wrong with this request; never a secret
    status  HTTP status where it is not that of the kind
    extra   further members of the answer, such as notUpdated=[…]

    Raises KeyError for a kind that STATUS does not know.

    >>> Problem("ResourceNotFound", "Entity not found", "urn:x:1").body()
    {'type': 'https://uri.etsi.org/ngsi-ld/errors/ResourceNotFound', 'title': 'Entity not found', 'detail': 'urn:x:1', 'status': 404}
    """

    exit_code = 1

    def __init__(self, kind: str, title: str, detail: str = "", status: int | None = None, **extra: Any) -> None:
        self.kind, self.title, self.detail, self.extra = kind, title, detail, extra
        self.status = STATUS[kind] if status is None else status
        super().__init__(kind, f"{title}: {detail}" if detail else title)

    def body(self) -> dict[str, Any]:
        """The problem details as JSON: type, title, detail (where there is one), status, and the further members."""
        told: dict[str, Any] = {"type": PREFIX + self.kind, "title": self.title}
        if self.detail:
            told["detail"] = self.detail
        return told | {"status": self.status} | self.extra


def invalid_request(detail: str, title: str = "Invalid request") -> Problem:
    """400: the request is not well formed, before its content is looked at (no JSON, an unknown operation)."""
    return Problem("InvalidRequest", title, detail)


def bad_request(detail: str, title: str = "Bad request data") -> Problem:
    """400: the request includes input data which does not meet the requirements of the operation.

    >>> bad_request("limit: found 'x'; expected a whole number").status
    400
    """
    return Problem("BadRequestData", title, detail)


def not_found(id: str, what: str = "Entity") -> Problem:
    """404: there is no such entity, attribute, subscription ….

    >>> not_found("urn:x:1", "Subscription").body()["title"]
    'Subscription not found'
    """
    return Problem("ResourceNotFound", f"{what} not found", id)


def already_exists(id: str, what: str = "Entity") -> Problem:
    """409: something with that id is there already."""
    return Problem("AlreadyExists", f"{what} already exists", id)


def conflict(detail: str, title: str = "Conflict") -> Problem:
    """409: what is asked contradicts what is there, such as an exclusive registration of the same attribute."""
    return Problem("Conflict", title, detail)


def not_supported(detail: str, title: str = "Operation not supported") -> Problem:
    """422: a valid request that no one here can carry out."""
    return Problem("OperationNotSupported", title, detail)


def context_not_available(url: str, reason: str) -> Problem:
    """504: a remote @context that the request needs could not be had."""
    return Problem("LdContextNotAvailable", "@context not available", f"{url}: {reason}")


def too_complex(detail: str) -> Problem:
    """403: the query needs more time or memory than is given to one query."""
    return Problem("TooComplexQuery", "Query too complex", detail)
