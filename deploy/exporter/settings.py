"""Settings of the exporter, read once from the environment; the URL may be in a file (EXPORTER_DATABASE_URL_FILE)."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import ConfigurationError
from schemas.findings import problems
from schemas.process.secret_files import with_secrets


class Settings(BaseSettings):
    """Every setting with its meaning; the environment name is in `validation_alias`. An empty value counts as unset."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    own_database: SecretStr | None = Field(default=None, validation_alias="EXPORTER_DATABASE_URL")
    """Postgres as the exporter connects to it; the login must be a member of botpulse_maintenance."""
    installer_database: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    """Used where EXPORTER_DATABASE_URL is not set."""
    http_host: str = Field(default="127.0.0.1", validation_alias="EXPORTER_HTTP_HOST")
    """The address that /metrics, /livez, /readyz and /version are served on."""
    http_port: int = Field(default=9103, ge=1, le=65535, validation_alias="EXPORTER_HTTP_PORT")
    """And the port."""
    interval_seconds: float = Field(default=30.0, ge=1.0, le=3600.0, validation_alias="EXPORTER_INTERVAL_SECONDS")
    """How often Postgres is asked."""

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: Any) -> Any:
        given = with_secrets(given, "EXPORTER_DATABASE_URL")
        if not isinstance(given, dict) or "EXPORTER_DATABASE_URL" not in given:
            return with_secrets(given, "DATABASE_URL")
        # Not used, and perhaps the bot's own.
        return {name: value for name, value in given.items() if name != "DATABASE_URL"}

    @field_validator("own_database", "installer_database")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return value

    @property
    def database_setting(self) -> str:
        """The name of the setting that the database URL comes from."""
        return "EXPORTER_DATABASE_URL" if self.own_database is not None else "DATABASE_URL"

    @property
    def database_url(self) -> str:
        """The URL to connect with, password included: never log it."""
        url = self.own_database or self.installer_database
        assert url is not None, "from_environment has checked it"
        return url.get_secret_value()

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment; raises ConfigurationError naming the setting."""
        try:
            settings = cls()
        except ValidationError as error:
            raise ConfigurationError(f"setting {problems(error)}") from None
        if settings.own_database is None and settings.installer_database is None:
            raise ConfigurationError("setting EXPORTER_DATABASE_URL is missing, and so is DATABASE_URL")
        return settings
