"""Settings of the stream service, read once from the environment."""

from __future__ import annotations

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.errors import ConfigurationError
from schemas.findings import problems
from schemas.topics import Prefix, Topics


class Settings(BaseSettings):
    """Every setting with its meaning; the environment name is in `validation_alias`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    bootstrap_servers: str = Field(validation_alias="KAFKA_BOOTSTRAP_SERVERS", min_length=1)
    """host:port of one or more brokers, separated by commas."""
    topic_prefix: Prefix = Field(default="", validation_alias="BOTPULSE_TOPIC_PREFIX")
    """Put before every topic and group name."""
    session_timeout_seconds: float = Field(default=10.0, ge=1.0, validation_alias="STREAMS_SESSION_TIMEOUT_SECONDS")
    """A worker that is silent for longer has lost its partitions, and exits before it writes anything more."""
    instance_id: str | None = Field(default=None, validation_alias="STREAMS_INSTANCE_ID")
    """The worker's name in its group, the same after a restart; by default host name and a slot of this host."""
    http_port: int = Field(default=0, ge=0, le=65535, validation_alias="STREAMS_HTTP_PORT")
    """Where /metrics, /livez, /readyz and /version are served; 0 serves nothing."""
    http_host: str = Field(default="127.0.0.1", validation_alias="STREAMS_HTTP_HOST")
    """The address that they are served on."""

    @property
    def topics(self) -> Topics:
        """The topic names of this installation."""
        return Topics(self.topic_prefix)

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment; raises ConfigurationError naming the setting."""
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(
                f"setting {problems(error)} (for the local stack: botpulse up, botpulse env)"
            ) from None
