"""Settings of the exporter, read once from the environment; the URL may be in a file (EXPORTER_DATABASE_URL_FILE)."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import ConfigurationError
from schemas.process.secret_files import with_secrets


class Settings(BaseSettings):
    """Every setting with its meaning; the environment name is in `validation_alias`. An empty value counts as unset."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    database: SecretStr = Field(validation_alias="EXPORTER_DATABASE_URL")
    """Postgres as the exporter connects to it; the login must be a member of botpulse_maintenance."""
    http_host: str = Field(default="127.0.0.1", validation_alias="EXPORTER_HTTP_HOST")
    """The address that /metrics, /livez, /readyz and /version are served on."""
    http_port: int = Field(default=9103, ge=1, le=65535, validation_alias="EXPORTER_HTTP_PORT")
    """And the port."""
    interval_seconds: float = Field(default=30.0, ge=1.0, le=3600.0, validation_alias="EXPORTER_INTERVAL_SECONDS")
    """How often Postgres is asked."""

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: Any) -> Any:
        return with_secrets(given, "EXPORTER_DATABASE_URL")

    @field_validator("database")
    @classmethod
    def _is_postgres(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return value

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment; raises ConfigurationError naming the setting."""
        try:
            return cls()
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ConfigurationError(f"setting {problems}") from None
