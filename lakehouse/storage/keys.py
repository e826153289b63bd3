"""The key policy: which object keys exist at all, and which a user may touch.

Belongs here: pure rules on key strings (CONTRACTS.md section 1 and 2). Not here: caps and tokens (see lakehouse_api).
"""

from __future__ import annotations

from lakehouse.errors import BadInput

MAX_KEY_BYTES = 1024
MAX_COMPONENT_BYTES = 255
WRITABLE_PREFIXES = ("landing/", "files/")


def check_key(key: str, *, is_prefix: bool = False) -> str:
    """Return `key` when it obeys the key policy.

    Args:
        key: The object key as the user gave it, already URL-decoded.
        is_prefix: True for a listing prefix, which may be empty or end in `/` or in part of a component.

    Raises:
        BadInput: Naming the rule that is broken.

    Source: CONTRACTS.md section 1, "Key policy".
    """
    if is_prefix and key == "":
        return key
    broken = _broken_rule(key, is_prefix=is_prefix)
    if broken is not None:
        shown = key if len(key) <= 80 else key[:77] + "..."
        raise BadInput(f"key {shown!r} is refused: {broken}", rule=broken)
    return key


def _broken_rule(key: str, *, is_prefix: bool) -> str | None:
    if key == "":
        return "a key must not be empty"
    try:
        encoded = key.encode("utf-8")
    except UnicodeEncodeError:
        return "a key must be valid UTF-8"
    if len(encoded) > MAX_KEY_BYTES:
        return f"a key has at most {MAX_KEY_BYTES} bytes of UTF-8, this one has {len(encoded)}"
    if "\x00" in key:
        return "a key must not contain NUL"
    if any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F for c in key):
        return "a key must not contain control characters (CR, LF and tab among them)"
    if "\\" in key:
        return "a key must not contain a backslash"
    if key.startswith("/"):
        return "a key must not start with '/'"
    components = key.split("/")
    checked = components[:-1] if is_prefix else components
    for component in checked:
        if component == "":
            return "a key must not contain an empty component ('//' or a trailing '/')"
        if component in (".", ".."):
            return "a key must not contain '.' or '..' as a component"
    for component in components:
        if len(component.encode("utf-8")) > MAX_COMPONENT_BYTES:
            return f"a component of a key has at most {MAX_COMPONENT_BYTES} bytes"
    return None


def is_user_writable(key: str) -> bool:
    """True for keys under the prefixes that users may write and delete."""
    return key.startswith(WRITABLE_PREFIXES)
