"""The access log: gathered, written whole and soon, silent where the level says so."""

from __future__ import annotations

import asyncio
import logging

import orjson
import pytest

from lakehouse_api.access_log import LOGGER, AccessLine, AccessLog


@pytest.fixture(autouse=True)
def _info_level() -> None:
    logging.getLogger(LOGGER).setLevel(logging.INFO)


def line(path: str, status: int) -> AccessLine:
    return AccessLine("id", None, "GET", path, path, status, 1.0, 0, 0, "127.0.0.1", "ann")


def test_lines_are_written_together_soon_after_the_first() -> None:
    written: list[str] = []

    async def main() -> None:
        done = asyncio.Event()

        def write(text: str) -> None:
            written.append(text)
            done.set()

        log = AccessLog(write)
        log.add(line("/a", 200))
        log.add(line("/b\n", 404))
        await asyncio.wait_for(done.wait(), 60)

    asyncio.run(main())
    assert len(written) == 1
    first, second = (orjson.loads(text) for text in written[0].splitlines())
    assert (first["path"], first["status"], first["event"], first["logger"]) == ("/a", 200, "request", LOGGER)
    assert second["path"] == "/b\n"
    assert first["at"].endswith("Z")


def test_many_lines_do_not_wait() -> None:
    written: list[str] = []

    async def main() -> None:
        log = AccessLog(written.append)
        for number in range(1000):
            log.add(line("/a", number))

    asyncio.run(main())
    assert [orjson.loads(text)["status"] for text in written[0].splitlines()] == list(range(1000))


def test_level_above_info_gathers_nothing() -> None:
    logging.getLogger(LOGGER).setLevel(logging.WARNING)
    written: list[str] = []

    async def main() -> None:
        log = AccessLog(written.append)
        log.add(line("/a", 200))
        log.flush()

    asyncio.run(main())
    assert written == []
