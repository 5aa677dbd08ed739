"""The targets of the routes in use: where each sends to, and with which credential.

Settings come in, a `Target` a route goes out, behind which a changed credential is put while requests are on their
way. It knows neither where secrets come from nor what is sent.
"""

from collections.abc import Collection, Iterable
from typing import Final

from pydantic import SecretStr

from consumer.config.settings import CREDENTIALS, PendoSettings
from consumer.pendo.calls import form_of
from consumer.pendo.client import CallTarget, Client, Target
from consumer.pendo.endpoints import KINDS, Endpoints
from consumer.pendo.requests import Route

SECTION: Final = "pendo."


class Targets:
    """All targets.

    Attributes:
        posts: The targets of routes of one event a request.
        calls: Those of routes whose calls carry many ids.
    """

    def __init__(self, client: Client, pendo: PendoSettings, routes: Iterable[Route]) -> None:
        self._endpoints = endpoints = Endpoints.from_settings(pendo)
        self.posts: dict[Route, Target] = {}
        self.calls: dict[Route, CallTarget] = {}
        for route in routes:
            secret: SecretStr | None = getattr(pendo, CREDENTIALS[route])
            credential = secret.get_secret_value() if secret else ""
            headers = endpoints.headers(route, credential)
            form = form_of(route)
            if form is None:
                self.posts[route] = Target(client, endpoints.url(route, credential), headers)
            else:
                urls = {kind: endpoints.url(route, credential, kind) for kind in KINDS}
                self.calls[route] = CallTarget(client, urls, headers, form)

    @property
    def secrets(self) -> Collection[str]:
        """Dotted keys of the credentials that the routes in use need."""
        return {SECTION + CREDENTIALS[route] for route in (*self.posts, *self.calls)}

    def present(self, key: str, secret: SecretStr) -> list[Route]:
        """Send what follows with a changed credential; returns the routes that need it."""
        routes = [route for route in (*self.posts, *self.calls) if SECTION + CREDENTIALS[route] == key]
        credential = secret.get_secret_value()
        for route in routes:
            headers = self._endpoints.headers(route, credential)
            if route in self.posts:
                self.posts[route].move_to(self._endpoints.url(route, credential), headers)
            else:
                self.calls[route].log_in_with(headers)
        return routes
