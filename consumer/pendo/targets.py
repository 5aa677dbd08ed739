"""The targets of the routes in use: where each sends to, and with which credential.

Settings come in, a `Target` a route goes out, behind which a changed credential is put while requests are on their
way. It knows neither where secrets come from nor what is sent.
"""

from collections.abc import Collection, Iterable
from typing import Final

from pydantic import SecretStr

from consumer.config.settings import CREDENTIALS, PendoSettings
from consumer.pendo.client import Client, Target
from consumer.pendo.endpoints import Endpoints
from consumer.pendo.requests import Route

SECTION: Final = "pendo."


class Targets:
    """All targets.

    Attributes:
        by_route: The target of each route in use.
    """

    def __init__(self, client: Client, pendo: PendoSettings, routes: Iterable[Route]) -> None:
        self._endpoints = Endpoints.from_settings(pendo)
        self.by_route: dict[Route, Target] = {}
        for route in routes:
            secret: SecretStr | None = getattr(pendo, CREDENTIALS[route])
            self.by_route[route] = Target(client, *self._address(route, secret))

    @property
    def secrets(self) -> Collection[str]:
        """Dotted keys of the credentials that the routes in use need."""
        return {SECTION + CREDENTIALS[route] for route in self.by_route}

    def present(self, key: str, secret: SecretStr) -> list[Route]:
        """Send what follows with a changed credential; returns the routes that need it."""
        routes = [route for route in self.by_route if SECTION + CREDENTIALS[route] == key]
        for route in routes:
            self.by_route[route].move_to(*self._address(route, secret))
        return routes

    def _address(self, route: Route, secret: SecretStr | None) -> tuple[str, dict[str, str]]:
        credential = secret.get_secret_value() if secret else ""
        return self._endpoints.url(route, credential), dict(self._endpoints.headers(route, credential))
