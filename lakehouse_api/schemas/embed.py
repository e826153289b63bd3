"""What `/v1/embed` and `/v1/embeddings` take and answer (CONTRACTS.md section 7; OpenAI's embeddings API).

Belongs here: their shapes. Not here: what may be embedded (see lakehouse/retrieval/embedding.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lakehouse_api.schemas.request_body import RequestBody

MAX_TEXTS = 2048
_MODEL = "minilm, static, or an endpoint of the settings, by its name or as <endpoint>/<model>."
_RULES = "None blank, each at most 1 MiB; a model reads the beginning of a long one (minilm: 256 tokens)."


class EmbedRequest(RequestBody):
    """Texts to embed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"texts": ["forklift operator"], "model": "minilm"}}
    )

    texts: list[str] = Field(min_length=1, max_length=MAX_TEXTS, description=_RULES)
    model: str | None = Field(None, min_length=1, description=f"{_MODEL} Unset: the platform's default.")


class EmbedAnswer(BaseModel):
    """One vector for each text, in their order."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"vectors": [[0.6, -0.8]], "model": "minilm", "dimension": 2}}
    )

    vectors: list[list[float]] = Field(description="Of unit length.")
    model: str = Field(description="The name that corpora store.")
    dimension: int = Field(description="Numbers of a vector.")


def _no_tokens(value: Any) -> Any:
    if isinstance(value, list) and value and not isinstance(value[0], str):
        raise ValueError("send text; token ids are those of another model's vocabulary")
    return value


class EmbeddingsRequest(RequestBody):
    """OpenAI's form."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"input": ["forklift operator"], "model": "minilm"}}
    )

    input: Annotated[
        str | Annotated[list[str], Field(min_length=1, max_length=MAX_TEXTS)], BeforeValidator(_no_tokens)
    ] = Field(description=f"One text or several. {_RULES}")
    model: str = Field(min_length=1, description=_MODEL)
    encoding_format: Literal["float", "base64"] = Field("float", description="base64: float32, little-endian.")
    dimensions: int | None = Field(None, ge=1, description="None other than the model's own.")
    user: str | None = Field(None, description="Taken and not used.")


class Embedding(BaseModel):
    """One vector."""

    object: Literal["embedding"]
    index: int = Field(description="Place of its text.")
    embedding: list[float] | str


class EmbeddingsUsage(BaseModel):
    """Tokens that the model read; of an endpoint's model, a token for four bytes."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """OpenAI's form."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}],
                "model": "minilm",
                "usage": {"prompt_tokens": 4, "total_tokens": 4},
            }
        }
    )

    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: EmbeddingsUsage
