"""The application: `create_app` puts the routes behind the door and opens the services for its lifetime.

Belongs here: composition of the HTTP side. Not here: the services' (see compose.py), running it (see __main__.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

import structlog
from fastapi import Depends, FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lakehouse.settings import Settings, load_settings
from lakehouse_api.auth import parse_networks
from lakehouse_api.errors import add_error_handlers
from lakehouse_api.head_requests import HeadRequestsMiddleware
from lakehouse_api.hot_routes import HOT, HotRoutesMiddleware
from lakehouse_api.mcp.endpoint import McpEndpoint
from lakehouse_api.middleware_audit import AuditMiddleware
from lakehouse_api.middleware_body import BodyLimitMiddleware
from lakehouse_api.middleware_context import ContextMiddleware
from lakehouse_api.middleware_door import Door, DoorMiddleware, ProxyMiddleware
from lakehouse_api.openapi import describe, operation_id
from lakehouse_api.query_parameters import known_parameters
from lakehouse_api.quick_way import QuickWayMiddleware
from lakehouse_api.routes import (
    answers,
    catalog,
    chat,
    config,
    drift,
    embed,
    health,
    ingest,
    lineage,
    matrix,
    metrics,
    observer,
    openai_chat,
    outcomes,
    pathway,
    sql,
    storage,
    triage,
    validation,
    vectors,
    workflow,
)
from lakehouse_api.services import Services
from lakehouse_api.short_way import ShortWay
from lakehouse_api.ui.routes import PAGES
from lakehouse_api.ui.site import Site

_ROUTES = (
    health, metrics, storage, catalog, ingest, sql, embed, vectors, matrix, outcomes, config, chat, openai_chat,
    answers, validation, pathway, lineage, drift, observer, workflow, triage,
)  # fmt: skip
_KNOWN_PARAMETERS = Depends(known_parameters)
_WITH_ANY_PARAMETER = (health, metrics, ingest)  # ingest looks at its own, which FastAPI does not know
_log = structlog.get_logger("lakehouse.app")


def create_app(settings: Settings | None = None, *, compose: Callable[[Settings], Services] | None = None) -> FastAPI:
    """Build the API; nothing is opened before the lifespan starts.

    Args:
        settings: Read from the environment when not given.
        compose: Makes the services; other than the default where a test swaps one of them.

    Raises:
        SettingsError: A setting is wrong, and is named.
    """
    settings = settings or load_settings()
    services = (compose or _compose())(settings)
    app = _Api(
        title="Lakehouse",
        version=version("lakehouse"),
        generate_unique_id_function=operation_id,
        root_path_in_servers=False,  # `describe` names the server
        docs_url=None,  # see ui/docs_page.py: the framework's loads its scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirected upload would be sent twice, and `files/a/` is not `files/a`
        lifespan=_lifespan,
    )
    app.state.services = services
    for module in _ROUTES:
        app.include_router(module.router, dependencies=[] if module in _WITH_ANY_PARAMETER else [_KNOWN_PARAMETERS])
    app.state.site = Site.of(services)
    for page in PAGES:
        app.include_router(page)
    app.state.mcp = McpEndpoint(services)
    app.router.routes.append(Route("/mcp", app.state.mcp))
    describe(app, root_path=settings.root_path)
    add_error_handlers(app)
    _add_middlewares(app, settings, services)
    return app


def _compose() -> Callable[[Settings], Services]:
    from lakehouse_api.compose import compose_services

    return compose_services


class _Api(FastAPI):
    """FastAPI without its own outermost layers: ours catch every error, measure and limit bodies already."""

    def build_middleware_stack(self) -> ASGIApp:
        """Stack our middlewares around the router; called at the first request."""
        handlers = dict(self.exception_handlers)
        app: ASGIApp = ExceptionMiddleware(AsyncExitStackMiddleware(self.router), handlers=handlers)
        for layer, args, kwargs in reversed(self.user_middleware):
            app = layer(app, *args, **kwargs)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)


def _add_middlewares(app: FastAPI, settings: Settings, services: Services) -> None:
    """The last one added is the outermost."""
    app.add_middleware(HeadRequestsMiddleware, router=app.router)
    app.add_middleware(HotRoutesMiddleware, table=HOT, services=services)
    app.add_middleware(BodyLimitMiddleware)
    hosts = (*settings.allowed_hosts, settings.api_host)
    door = Door(services.auth, hosts=hosts, origins=settings.allowed_origins)
    app.add_middleware(DoorMiddleware, door=door, pages=app.state.site.door)
    if settings.allowed_origins:
        # Outside the door: a browser's preflight carries no token.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["ETag", "Location", "Retry-After", "X-Request-Id"],
        )
    app.add_middleware(AuditMiddleware, services=services)
    trusted = parse_networks(settings.trusted_proxies)
    app.add_middleware(ProxyMiddleware, trusted=trusted, root_path=settings.root_path)
    app.state.short_way = None
    if not settings.allowed_origins:  # with CORS every answer needs headers that only its middleware adds
        way = ShortWay(table=HOT, services=services, door=door, trusted=trusted, root_path=settings.root_path)
        app.add_middleware(QuickWayMiddleware, way=way)
        app.state.short_way = way
    app.add_middleware(ContextMiddleware, metrics=services.metrics, access_log=services.access_log)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    if services.auth.is_open:
        _log.warning("no token is set: whoever is on this machine may do everything; set AUTH_TOKEN to change that")
    async with services.running(), app.state.site.running(), app.state.mcp.running():
        yield
