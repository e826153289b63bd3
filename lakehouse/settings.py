"""Settings: everything a deployment can set, read once at the edge.

Every field is the environment variable `LAKEHOUSE_<FIELD>` or a line of `.env`; `.env.example` is generated from
this module (`lakehouse doctor --write-env-example`). A bad value or an unknown key stops the start and is named.

Belongs here: fields, defaults, their checks. Not here: code that uses them; nothing else reads the environment.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lakehouse.errors import BadInput
from lakehouse.settings_chat import ChatSettings
from lakehouse.settings_evidence import EvidenceSettings
from lakehouse.settings_observer import ObserverSettings
from lakehouse.settings_pages import PageSettings
from lakehouse.settings_reading import dotenv, json_object
from lakehouse.settings_replay import ReplaySettings
from lakehouse.settings_retrieval import RetrievalSettings
from lakehouse.settings_review import ReviewSettings
from lakehouse.settings_store import CA_VARIABLE, StoreSettings
from lakehouse.settings_types import GIB, MIB, Bytes, CommaList, Count, Days, Hours, Percent, Port, Seconds, Token, Url

_CERTIFICATES, _OWN_CERTIFICATES = "SSL_CERT_FILE", "_SSL_CERT_FILE_OF_PARENT"
PREFIX = "LAKEHOUSE_"


class SettingsError(BadInput):
    """A setting is wrong; the message names it, its value's problem and the remedy."""


class Settings(
    ChatSettings,
    EvidenceSettings,
    ObserverSettings,
    PageSettings,
    ReplaySettings,
    RetrievalSettings,
    ReviewSettings,
    StoreSettings,
    BaseSettings,
):
    """All settings with their defaults; see `.env.example` for the annotated list."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=None, extra="forbid", frozen=True)

    # One setting, one line.
    # fmt: off

    # Where things lie
    data_dir: Path = Field(Path(".lakehouse"), description="Folder of the embedded store, spool, logs, pids, Dagster home; made if missing.")

    # API
    api_host: str = Field("127.0.0.1", description="Address the API binds; other than loopback only with a token.")
    api_port: Port = Field(8000, description="Port of the API.")
    root_path: str = Field("", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="Sub-path behind a proxy, such as /lakehouse.")
    trusted_proxies: CommaList = Field((), description="Addresses or CIDRs whose X-Forwarded-* headers count.")
    allowed_hosts: CommaList = Field(("127.0.0.1", "localhost", "[::1]"), description="Host names the API and the Dagster guard answer to.")
    allowed_origins: CommaList = Field((), description="Further web origins that may call the API.")
    shutdown_grace_s: Seconds = Field(30, description="Time that accepted requests have to finish at shutdown.")
    client_stall_s: Seconds = Field(60, description="Longest time in which a client takes nothing of its answer; then its connection is broken.")
    log_level: str = Field("info", pattern=r"^(debug|info|warning|error)$", description="Level of the JSON logs.")

    # Auth
    auth_token: Token | None = Field(None, description="Primary token; wins over the environment variable named below.")
    auth_secondary_tokens: Token | None = Field(None, description="Further tokens, comma-separated.")
    auth_token_env: str = Field("AUTH_TOKEN", description="Environment variable (or line of `.env`) of the primary token.")
    auth_secondary_tokens_env: str = Field("AUTH_SECONDARY_TOKENS", description="Environment variable (or line of `.env`) of the further tokens.")
    tokens_file: Path | None = Field(None, description="JSON file (mode 0600) of scoped tokens: [{name, token_sha256, scopes}].")
    allowed_cidrs: CommaList = Field((), description="Client addresses allowed; empty: all.")

    # Storage routes
    storage_put_max_bytes: Bytes = Field(256 * MIB, description="Largest PUT to /v1/storage.")
    storage_prefix_max_bytes: dict[str, Bytes] = Field(default_factory=dict, description='Other caps by prefix, as JSON: {"files/models/": 1073741824}.')
    storage_puts_in_flight: Count = Field(4, description="PUTs at the same time; one more gets 503.")

    # Ingest
    max_ingest_bytes: Bytes = Field(2 * GIB, description="Largest upload to /v1/ingest and to landing/.")
    ingest_in_flight: Count = Field(2, description="Ingests at the same time; one more waits.")
    ingest_queue_timeout_s: Seconds = Field(10, description="Longest wait of an ingest for others to end, then 503.")
    ingest_timeout_s: Seconds = Field(1800, description="Deadline of one conversion.")
    ingest_threads: Count = Field(2, description="Threads of one conversion.")

    # SQL
    sql_workers: Count = Field(2, description="SQL worker processes; each runs one query at a time.")
    sql_idle_s: Seconds = Field(60, description="A SQL worker without a query ends after this long; the next query starts one.")
    sql_max_rows: Count = Field(10_000, description="Default row limit of an answer.")
    sql_json_max_rows: Count = Field(100_000, description="Largest `max_rows` of a JSON answer; Arrow and CSV stream without a limit.")
    sql_timeout_s: Seconds = Field(30, description="Time limit of a query.")
    sql_queue_timeout_s: Seconds = Field(10, description="Longest wait for a free worker, then 503.")
    sql_memory_bytes: Bytes = Field(2 * GIB, description="Memory limit of a query.")
    sql_temp_bytes: Bytes = Field(4 * GIB, description="Temporary disk limit of a query.")
    sql_threads: Count = Field(2, description="Threads of a query.")

    # Catalog
    catalog_poll_s: Annotated[float, Field(gt=0, le=1.5)] = Field(0.5, description="How often other processes' changes are looked for.")
    history_days: Days = Field(7, description="How long old versions stay readable.")
    gc_min_age_hours: Hours = Field(24, description="Age from which unreferenced objects are collected.")

    # Event log
    spool_dir: Path | None = Field(None, description="Folder of the run-log spool; unset: <data_dir>/spool.")
    spool_max_bytes: Bytes = Field(4 * GIB, description="Largest spool; when full, durable writes answer 503.")
    spool_part_bytes: Bytes = Field(8 * MIB, description="Size at which a part is shipped.")
    spool_part_age_s: Seconds = Field(300, description="Age at which a part is shipped.")
    disk_degraded_percent: Percent = Field(85, description="Disk use at which /health is degraded.")
    disk_refuse_percent: Percent = Field(95, description="Disk use at which writes are refused with 507.")

    # Retention
    log_retention_days: Days = Field(30, description="Age at which raw logs' folded objects may go.")
    receipt_retention_days: Days = Field(400, description="Age at which receipts may go.")
    child_log_max_bytes: Bytes = Field(20 * MIB, description="Size at which a child's log file is rotated.")
    child_log_keep: Count = Field(3, description="Rotated log files kept per child.")

    # Dagster
    dagster_host: str = Field("127.0.0.1", description="Address of the Dagster UI.")
    dagster_port: Port = Field(3000, description="Port of the Dagster UI.")
    dagster_home: Path | None = Field(None, description="DAGSTER_HOME; unset: <data_dir>/dagster.")
    dagster_postgres_url: SecretStr | None = Field(None, description="Postgres for Dagster's storage; unset: SQLite.")
    landing_interval_s: Annotated[int, Field(ge=1, le=86_400)] = Field(5, description="Seconds between looks into landing/.")
    failure_webhook_url: Url | None = Field(None, description="URL that gets a JSON POST for each failed run.")

    # Sample
    sample_rows: Annotated[int, Field(ge=0)] = Field(10_000, description="Rows of the staffing sample that `up` loads; 0: none.")

    # fmt: on

    @field_validator("trusted_proxies", "allowed_hosts", "allowed_origins", "allowed_cidrs", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies", "allowed_cidrs")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value

    @field_validator("data_dir", "spool_dir", "dagster_home")
    @classmethod
    def _check_folder(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        absolute = value.expanduser().absolute()
        nearest = next(p for p in (absolute, *absolute.parents) if p.exists())
        if not nearest.is_dir():
            raise ValueError(f"{nearest} is not a folder")
        if not os.access(nearest, os.W_OK):
            raise ValueError(f"{nearest} is not writable")
        return absolute

    @field_validator("tokens_file")
    @classmethod
    def _check_secret_file(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        if not value.is_file():
            raise ValueError(f"{value} is not a file")
        if value.stat().st_mode & 0o077:
            raise ValueError(f"{value} can be read by others; chmod 600 it")
        return value.absolute()

    @model_validator(mode="after")
    def _check_pairs(self) -> Settings:
        for key, secret in (
            ("s3_access_key_id", "s3_secret_access_key"),
            ("s3_read_access_key_id", "s3_read_secret_access_key"),
        ):
            if (getattr(self, key) is None) != (getattr(self, secret) is None):
                raise ValueError(f"{PREFIX}{key.upper()} and {PREFIX}{secret.upper()} go together")
        if self.disk_degraded_percent > self.disk_refuse_percent:
            raise ValueError(f"{PREFIX}DISK_DEGRADED_PERCENT must not be above {PREFIX}DISK_REFUSE_PERCENT")
        return self

    @property
    def spool_path(self) -> Path:
        """Folder of the run-log spool."""
        return self.spool_dir or self.data_dir / "spool"

    @property
    def dagster_home_path(self) -> Path:
        """DAGSTER_HOME, absolute."""
        return self.dagster_home or self.data_dir / "dagster"

    def put_cap_bytes(self, key: str) -> int:
        """The largest body that a PUT to `key` may have: the longest matching prefix decides."""
        caps = {"": self.storage_put_max_bytes, **self.storage_prefix_max_bytes, "landing/": self.max_ingest_bytes}
        return caps[max((p for p in caps if key.startswith(p)), key=len)]


def load_settings(environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings from the environment and `.env`, or stop.

    Args:
        environ: The environment; the process's own by default.
        env_file: A file of `KEY=value` lines that the environment overrides; skipped when it is missing.

    Raises:
        SettingsError: Naming every setting that is unknown or wrong.
    """
    if environ is None:
        _take_back_certificates()
    env = dotenv(env_file) | dict(os.environ if environ is None else environ)
    values = {k: v for k, v in env.items() if k.upper().startswith(PREFIX)}
    known = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields}
    unknown = sorted(k for k in values if k.upper() not in known)
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(unknown)}; known settings are listed in .env.example", settings=unknown
        )
    given = {known[k.upper()]: v for k, v in values.items() if v != ""}
    variables = {name: variable for variable, name in known.items()}
    if given.get("s3_endpoint", "").startswith("https://") and "s3_ca_file" not in given and env.get(CA_VARIABLE):
        given["s3_ca_file"], variables["s3_ca_file"] = env[CA_VARIABLE], CA_VARIABLE
    for name in ("auth_token", "auth_secondary_tokens"):
        variable = given.get(f"{name}_env", Settings.model_fields[f"{name}_env"].default)
        if name not in given and env.get(variable):
            given[name], variables[name] = env[variable], variable
    try:
        return _FromMapping.build(given, env)
    except ValidationError as error:
        problems = [_explain(e, variables) for e in error.errors()]
        raise SettingsError("; ".join(problems), settings=problems) from None


class _FromMapping(Settings):
    """Settings from a mapping of strings alone, JSON decoded as pydantic-settings would."""

    @classmethod
    def build(cls, given: Mapping[str, str], env: Mapping[str, str]) -> Settings:
        decoded: dict[str, Any] = dict(given)
        for name in ("storage_prefix_max_bytes", "embedding_endpoints", "chat_providers", "chat_fallbacks"):
            if name in decoded:
                decoded[name] = json_object(decoded[name])
        return cls(**decoded)._with_endpoint_keys(env)

    def _with_endpoint_keys(self, env: Mapping[str, str]) -> Settings:
        keyed = {
            field: {name: endpoint.with_key(env) for name, endpoint in getattr(self, field).items()}
            for field in ("embedding_endpoints", "chat_providers")
        }
        return self.model_copy(update=keyed)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # the environment has been read by `load_settings`, once


def _explain(error: Any, variables: Mapping[str, str]) -> str:
    name = f"{variables[str(error['loc'][0])]}: " if error["loc"] else ""
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}{message}"


def process_environ(**changes: str) -> dict[str, str]:
    """A copy of the process's environment with changes, for children; no other module reads the environment."""
    return {**os.environ, **changes}


def lend_certificates(file: Path) -> None:
    """Let libraries that ask the real environment of this process trust the certificates of a file, and nobody else.

    Python's own copy of the environment stays, by which every HTTP client here goes. Children that are started without
    an environment of their own get the real one; theirs is put right when they load the settings.
    """
    os.putenv(_OWN_CERTIFICATES, os.environ.get(_CERTIFICATES, ""))
    os.putenv(_CERTIFICATES, str(file))


def _take_back_certificates() -> None:
    own = os.environ.pop(_OWN_CERTIFICATES, None)
    if own:
        os.environ[_CERTIFICATES] = own
    elif own is not None:
        os.environ.pop(_CERTIFICATES, None)
