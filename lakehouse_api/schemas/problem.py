"""The error body of every route: RFC 9457 `application/problem+json`.

Belongs here: its shape. Not here: which error becomes which status (see lakehouse_api/errors.py).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """What went wrong, where, and what to do next; further members depend on the error."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Not found",
                "status": 404,
                "detail": "no dataset 'workers'; GET /v1/catalog lists those there are",
                "instance": "/v1/catalog/workers",
                "request_id": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
            }
        },
    )

    type: str = Field(description="Always `about:blank`: the status and the title say the kind.")
    title: str = Field(description="The kind of error.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong and what to do next.")
    instance: str = Field(description="Path of the request.")
    request_id: str = Field(description="The id under which the logs know this request.")
