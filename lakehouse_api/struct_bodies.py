"""Bodies that msgspec reads: the types of the busiest routes, and what OpenAPI says of them.

On a busy route pydantic would take more time than the work itself. One type gives both the decoder and the OpenAPI
schema, so the two cannot disagree.

Belongs here: decoding with errors that name the field, schemas for OpenAPI. Not here: the types (see schemas/).
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any, TypeVar

import msgspec

from lakehouse.errors import BadInput

Struct = TypeVar("Struct", bound=msgspec.Struct)
_GZIP = b"\x1f\x8b"
_REF = "#/components/schemas/{name}"
_registered: dict[str, dict[str, Any]] = {}


class Body:
    """The JSON body of a route, as one struct.

    Args:
        struct: What it is decoded into; unknown fields are refused.
        example: A body that works, for the document.
    """

    def __init__(self, struct: type[Struct], *, example: dict[str, Any] | None = None) -> None:
        self.struct = struct
        self._decoder = msgspec.json.Decoder(struct)
        self._name = _register(struct, example)

    def decode(self, body: bytes) -> Any:
        """Read a body.

        Raises:
            BadInput: It is no JSON, or a field is unknown, missing or of another type (the message names it), or it is
                nested too deep.
        """
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            return self._with_whole_numbers(body, error)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # Other routes take a byte order mark, too; RFC 8259, section 8.1.
            if body.startswith(BOM_UTF8) and not body.startswith(BOM_UTF8 * 2):
                return self.decode(body[len(BOM_UTF8) :])
            raise no_json(body, error) from None
        except RecursionError as error:
            raise no_json(body, error) from None

    def _with_whole_numbers(self, body: bytes, error: msgspec.ValidationError) -> Any:
        """A body that did not fit, with `10.0` read as `10` where that was why, as RequestBody has it."""
        try:
            if "got `float`" in str(error):
                given = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
                whole = {name: _as_whole_number(value) for name, value in given.items()}
                return self._decoder.decode(msgspec.json.encode(whole))
        except msgspec.ValidationError as other:
            error = other
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # the first thing that is wrong is told
        raise BadInput(f"the body does not fit: {error}{self._known(str(error))}") from None

    def _known(self, reason: str) -> str:
        """What the fields are, where one of the body itself was sent that is none."""
        is_unknown = "unknown field" in reason and " - at `$" not in reason
        return f"; fields of the body are {', '.join(self.struct.__struct_encode_fields__)}" if is_unknown else ""

    @property
    def openapi(self) -> dict[str, Any]:
        """`openapi_extra` of the route."""
        schema = {"$ref": _REF.format(name=self._name)}
        return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _as_whole_number(value: msgspec.Raw) -> msgspec.Raw | int:
    is_number = bytes(value)[:1] in b"-0123456789"
    number = msgspec.json.decode(value) if is_number else None
    return int(number) if isinstance(number, float) and number.is_integer() else value


def no_json(body: bytes, error: Exception) -> BadInput:
    """What is wrong with a body that cannot be read as JSON at all.

    Args:
        body: As it came.
        error: What the reader said.
    """
    if isinstance(error, RecursionError):
        return BadInput("the body is nested too deep")
    if isinstance(error, ValueError) and "integer string conversion" in str(error):
        return BadInput("a whole number in the body has more digits than are read (4300); send it as text")
    if body.startswith(_GZIP):
        return BadInput(
            "the body is not JSON: it is compressed (gzip), and compressed bodies are not read; send it plain"
        )
    return BadInput(f"the body is not JSON: {error}")


def answers(struct: type[msgspec.Struct], *, example: dict[str, Any] | None = None) -> dict[str, Any]:
    """What `responses={200: …}` documents for an answer of this type."""
    schema = {"$ref": _REF.format(name=_register(struct, example))}
    return {"description": "OK", "content": {"application/json": {"schema": schema}}}


def components() -> dict[str, dict[str, Any]]:
    """The schemas of every type that a route named, for the document."""
    return dict(_registered)


def _register(struct: type[msgspec.Struct], example: dict[str, Any] | None) -> str:
    _, found = msgspec.json.schema_components([struct], ref_template=_REF)
    for name, schema in found.items():  # keeps an example that another route has given
        kept = _registered.get(name, {}).get("example")
        _registered[name] = schema if kept is None else {**schema, "example": kept}
    if example is not None:
        _registered[struct.__name__] = {**found[struct.__name__], "example": example}
    return struct.__name__
