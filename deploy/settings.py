"""Where the commands find Kafka and Postgres: in the environment, else in the local stack that is up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.local import LocalStack, StackInfo
from deploy.local.home import default_home
from schemas.errors import ConfigurationError
from schemas.findings import problems
from schemas.process.secret_files import with_secrets
from schemas.topics import Prefix, Topics


class Settings(BaseSettings):
    """The settings of the commands; an empty value counts as unset."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    kafka: str | None = Field(default=None, validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    """host:port of one or more brokers, separated by commas."""
    database: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    """Postgres: postgresql://user:password@host:port/database. Also from the file of DATABASE_URL_FILE."""
    topic_prefix: Prefix = Field(default="", validation_alias="BOTPULSE_TOPIC_PREFIX")
    """Put before every topic and group name."""
    home: Path = Field(default_factory=default_home, validation_alias="BOTPULSE_HOME")
    """The folder of the local stack."""

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: Any) -> Any:
        return with_secrets(given, "DATABASE_URL")

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment; raises ConfigurationError naming the setting."""
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(f"setting {problems(error)}") from None

    @property
    def topics(self) -> Topics:
        """The topic and group names of this installation."""
        return Topics(self.topic_prefix)

    def bootstrap_servers(self) -> str:
        """Kafka's address. Raises ConfigurationError when nothing says where it is."""
        return self.kafka if self.kafka is not None else self._stack("KAFKA_BOOTSTRAP_SERVERS").bootstrap_servers

    def database_url(self) -> str:
        """Postgres' address with the password: never to be printed.

        Raises ConfigurationError when nothing says where it is, or what is said is no such address.
        """
        if self.database is None:
            return self._stack("DATABASE_URL").database_url
        url = self.database.get_secret_value()
        if not url.startswith(("postgresql://", "postgres://")):
            raise ConfigurationError("DATABASE_URL must be postgresql://user:password@host:port/database")
        return url

    def _stack(self, setting: str) -> StackInfo:
        found = LocalStack(self.home).find()
        if found is None:
            raise ConfigurationError(
                f"{setting} is not set and no local stack is up in {self.home}: "
                f"set {setting}, or start one with `botpulse up`"
            )
        return found
