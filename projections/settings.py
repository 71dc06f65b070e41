"""Settings of the projection service, read once from the environment. How Kafka is reached by TLS and SASL is said in
`schemas.kafka.connection`; a database URL may come from a file (DATABASE_URL_FILE, PROJECTIONS_DATABASE_URL_FILE)."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import ConfigurationError
from schemas.findings import problems
from schemas.process.secret_files import with_secrets
from schemas.topics import Prefix, Topics


class Settings(BaseSettings):
    """Every setting with its meaning; the environment name is in `validation_alias`. An empty value counts as unset."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    bootstrap_servers: str = Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS", min_length=1)
    """host:port of one or more brokers, separated by commas."""
    own_database_url: SecretStr | None = Field(default=None, validation_alias="PROJECTIONS_DATABASE_URL")
    """Postgres as this service connects to it: postgresql://user:password@host:port/database."""
    installer_database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    """Used where PROJECTIONS_DATABASE_URL is not set."""
    topic_prefix: Prefix = Field(default="", validation_alias="BOTPULSE_TOPIC_PREFIX")
    """Put before every topic and group name."""
    http_port: int = Field(default=0, ge=0, le=65535, validation_alias="PROJECTIONS_HTTP_PORT")
    """Where /metrics, /livez, /readyz and /version are served; 0 serves nothing."""
    http_host: str = Field(default="127.0.0.1", validation_alias="PROJECTIONS_HTTP_HOST")
    """The address that they are served on."""
    instance_id: str | None = Field(default=None, validation_alias="PROJECTIONS_INSTANCE_ID")
    """The worker's name in its group, the same after a restart; by default host name and a slot of this host."""
    session_timeout_seconds: float = Field(default=10.0, ge=1.0, validation_alias="PROJECTIONS_SESSION_TIMEOUT_SECONDS")
    """A worker that the broker hears nothing of for longer has lost its partitions."""
    lock_timeout_seconds: float = Field(default=3.0, ge=0.1, validation_alias="PROJECTIONS_LOCK_TIMEOUT_SECONDS")
    """How long a claim waits for the owner before, until that one's database backend is terminated."""
    idle_in_transaction_seconds: float = Field(
        default=30.0, ge=1.0, validation_alias="PROJECTIONS_IDLE_IN_TRANSACTION_SECONDS"
    )
    """After this long without a statement the database itself ends a batch of a worker that is frozen."""
    batch_records: int = Field(default=20_000, ge=1, le=100_000, validation_alias="PROJECTIONS_BATCH_RECORDS")
    """Most records in one transaction. A batch takes what has arrived, so this is reached only while catching up.
    The more events of one user it has, the less each costs: 20,000 against 10,000 an eighth of worker and database."""

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: Any) -> Any:
        return with_secrets(given, "PROJECTIONS_DATABASE_URL", "DATABASE_URL")

    @field_validator("own_database_url", "installer_database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        return value

    @property
    def topics(self) -> Topics:
        """The topic names of this installation."""
        return Topics(self.topic_prefix)

    @property
    def database_setting(self) -> str:
        """The name of the setting that the database URL comes from."""
        return "PROJECTIONS_DATABASE_URL" if self.own_database_url is not None else "DATABASE_URL"

    @property
    def database_url(self) -> str:
        """The URL to connect with, password included: never log it."""
        url = self.own_database_url or self.installer_database_url
        assert url is not None, "from_environment has checked it"
        return url.get_secret_value()

    @classmethod
    def from_environment(cls, **overrides: Any) -> Settings:
        """Read the environment; raises ConfigurationError naming the setting."""
        try:
            settings = cls(**overrides)
        except ValidationError as error:
            raise ConfigurationError(
                f"setting {problems(error)} (for the local stack: botpulse up, botpulse env)"
            ) from None
        if settings.own_database_url is None and settings.installer_database_url is None:
            raise ConfigurationError(
                "setting DATABASE_URL is missing, and so is PROJECTIONS_DATABASE_URL (for the local stack: "
                "botpulse up, botpulse env)"
            )
        return settings
