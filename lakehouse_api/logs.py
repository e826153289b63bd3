"""Logs of the API: one JSON object per line on standard output, ours and the libraries'.

Belongs here: how a record is rendered. Not here: what is logged per request (see middleware_context.py).
"""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import orjson
import structlog


def configure_logs(level: str = "info") -> None:
    """Send everything through one JSON handler.

    Args:
        level: debug, info, warning or error.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    clients = ("botocore", "boto3", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2", "openai")
    for noisy in (*clients, "asyncio", "mcp"):
        logging.getLogger(noisy).setLevel("WARNING")
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    # Our own line per request says more, and no query strings.
    logging.getLogger("uvicorn.access").disabled = True
    logging.captureWarnings(True)
    # uvloop runs the fork hooks for each SQL worker that it starts, and the child is another program at once.
    warnings.filterwarnings("ignore", "lance is not fork-safe", UserWarning)


def _to_json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
