"""What a service tells its operator over HTTP: metrics, whether it lives and is ready, its version.

Both services, the exporter and a bot's own process serve the same four paths. Needs aiohttp and prometheus-client.
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from ..errors import ConfigurationError


class Probe(Protocol):
    """What the server asks."""

    def alive(self) -> bool:
        """Whether the process still gets on; if not, only a restart helps."""

    def problems(self) -> list[str]:
        """Why it is not ready; empty when it is."""


class ProbeServer:
    """Serves GET /metrics, /livez, /readyz and /version on one address; `setting` names its port in messages."""

    def __init__(self, probe: Probe, registry: CollectorRegistry, version: str, setting: str) -> None:
        self._probe = probe
        self._registry = registry
        self._version = version
        self._setting = setting
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/version", self._show_version)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises ConfigurationError if the address can't be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise ConfigurationError(
                f"{self._setting}: can't listen on {host}:{port} ({error.strerror or error}); choose another port"
            ) from None

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        # As Prometheus' own clients do: ?name[]=... for some of them only, which costs less to tell.
        names = request.query.getall("name[]", [])
        registry = self._registry.restricted_registry(names) if names else self._registry
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _livez(self, _: web.Request) -> web.Response:
        alive = self._probe.alive()
        return web.Response(text="alive\n" if alive else "the loop is stuck: restart\n", status=200 if alive else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        problems = self._probe.problems()
        return web.Response(text="\n".join(problems or ["ready"]) + "\n", status=503 if problems else 200)

    async def _show_version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": self._version})
