"""What the two fast paths share: which requests of hot routes are plain, who may come in, what the routes work with.

Belongs here: `ShortWay`. Not here: the paths (see plain_way.py, below ASGI, and quick_way.py, within it), the rules of
the door (see middleware_door.py), hot routes (see hot_routes.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lakehouse.errors import LakehouseError
from lakehouse_api.auth import Network, Principal, is_within
from lakehouse_api.hot_routes import Declared, HotTable
from lakehouse_api.middleware_body import MAX_JSON_BYTES
from lakehouse_api.middleware_door import Door
from lakehouse_api.request_headers import body_length, text_of

if TYPE_CHECKING:
    from lakehouse_api.services import Services

Headers = Mapping[bytes, bytes]


class ShortWay:
    """Plain requests of hot routes; one for all connections.

    `routes` are the hot ones by their path as it stands in a request.

    Args:
        table: The hot routes.
        services: What they work with.
        door: Who may come in.
        trusted: Proxies whose requests are not plain.
        root_path: The sub-path.
    """

    def __init__(
        self, *, table: HotTable, services: Services, door: Door, trusted: Iterable[Network], root_path: str = ""
    ) -> None:
        self.routes: dict[bytes, Declared] = table.by_url()
        self.table = table
        self.services = services
        self.door = door
        self.root_path = root_path
        self._trusted = tuple(trusted)

    def is_plain(self, headers: Headers, client: tuple[str, int] | None) -> bool:
        """Whether the head of a POST to a hot route has nothing out of the ordinary.

        Args:
            headers: By name in lower case, the first of each.
            client: Address and port.
        """
        return (
            0 < (body_length(text_of(headers.get(b"content-length"))) or 0) <= MAX_JSON_BYTES
            and b"origin" not in headers
            and b"transfer-encoding" not in headers
            and b"content-encoding" not in headers
            and not (self._trusted and client is not None and is_within(client[0], self._trusted))
        )

    def enter(self, headers: Headers, client: tuple[str, int] | None) -> Principal | None:
        """Who is asking; None when the door refuses, and the request goes through the middlewares, which answer why."""
        address = "" if client is None else client[0]
        host, authorization = text_of(headers.get(b"host")), text_of(headers.get(b"authorization"))
        try:
            return self.door.enter_plainly(host, authorization, address)
        except LakehouseError:
            return None
