"""Settings of the object store; part of `Settings`, which alone is read and passed around.

Belongs here: these fields, defaults, their checks. Not here: reading them (see settings.py), which keys serve where
(see lakehouse/adapters/connect.py).
"""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import BaseModel, Field, SecretStr, field_validator

from lakehouse.settings_types import Count, Port, Seconds, Url

CA_VARIABLE = "AWS_CA_BUNDLE"
"""Where programs that speak S3 look for certificates."""


class StoreSettings(BaseModel):
    """Where the bucket is, and as whom it is asked."""

    # One setting, one line.
    # fmt: off
    s3_endpoint: Url | None = Field(None, description="URL of the S3 endpoint; unset: the embedded SeaweedFS.")
    s3_ca_file: Path | None = Field(None, description="PEM file of the certificates that the store's is checked against; unset: what `AWS_CA_BUNDLE` names, else the machine's.")
    s3_bucket: str = Field("lakehouse", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="Bucket; made if missing.")
    s3_region: str = Field("us-east-1", min_length=1, description="Region.")
    s3_access_key_id: str | None = Field(None, description="Access key; unset: the embedded store's own, or the AWS chain.")
    s3_secret_access_key: SecretStr | None = Field(None, description="Secret key.")
    s3_read_access_key_id: str | None = Field(None, description="Access key with read rights only, for the SQL workers.")
    s3_read_secret_access_key: SecretStr | None = Field(None, description="Its secret.")
    s3_connect_timeout_s: Seconds = Field(3, description="Deadline of a connection to the store.")
    s3_read_timeout_s: Seconds = Field(20, description="Deadline of each read or write on a connection to the store.")
    s3_max_attempts: Count = Field(3, description="Tries of one store call, with back-off.")
    embedded_s3_port: Port = Field(8333, description="Port of the embedded store; its internal ports are the ten above it.")
    # fmt: on

    @field_validator("s3_ca_file")
    @classmethod
    def _check_certificates(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        try:
            ssl.create_default_context(cafile=value)
        except OSError as error:  # a file without a certificate, too
            reason = (
                "is not there" if isinstance(error, FileNotFoundError) else f"holds no certificates in PEM ({error})"
            )
            raise ValueError(f"{value} {reason}") from None
        return value.absolute()

    @property
    def is_store_embedded(self) -> bool:
        """True when the platform runs its own S3 server."""
        return self.s3_endpoint is None
