"""The settings: every key that there is, with its type, its default and what it means.

Frozen values, one class a section; parts of the service are handed the section that they need. Where values come from
is in `load`, what one value may be in `values`, which values fit together in `checks`. The text below a key is its
description in the JSON schema.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from consumer.config import values as v
from consumer.outcomes import EventType

CREDENTIALS: Final[Mapping[str, str]] = {
    "segmentio": "api_key",
    "track": "track_event_secret",
    "metadata": "integration_key",
    "bulkdelete": "integration_key",
}
"""By route the secret below `pendo` that it logs in with."""


class _Section(BaseModel):
    """What all sections have in common."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=False,
    )


class KafkaSecuritySettings(_Section):
    """How to connect to the brokers."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Encryption (SSL) and login (SASL), as the brokers' listener has them."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    """How to log in; needed by the SASL protocols."""
    username: v.Text | None = None
    """User for PLAIN and SCRAM; client id for OAUTHBEARER with `oauth_token_url`."""
    password: v.Secret | None = None
    """Password for PLAIN and SCRAM; for OAUTHBEARER the client secret, or without `oauth_token_url` the token itself,
    then best given as a file that somebody else keeps fresh."""
    oauth_token_url: v.TokenUrl | None = None
    """Authorization server that gives tokens for client credentials."""
    oauth_scope: v.Text | None = None
    """Scope to ask the authorization server for."""
    ca_file: v.Text | None = None
    """PEM file of the CA that signed the brokers' certificates; without it the system's CAs count."""
    cert_file: v.Text | None = None
    """PEM file of our certificate, for brokers that want one (mTLS)."""
    key_file: v.Text | None = None
    """PEM file of its key, unencrypted."""


class KafkaSettings(_Section):
    """Where to read from, and how."""

    bootstrap_servers: v.Servers = ("localhost:9092",)
    """Brokers to ask first, host:port; a list, or text with commas."""
    topics: v.Topics = ("segment-events",)
    """Topics with Segment events; a list, or text with commas."""
    group_id: v.Text = "pendo-consumer"
    """Consumer group; all pods of one deployment share it."""
    start_from: v.StartFrom = "earliest"
    """Where a partition without a commit starts: earliest, latest, or an ISO time with its zone."""
    commit_interval_s: v.Seconds = 1.0
    """Longest time between a settled event and its commit, in seconds."""
    session_timeout_s: Annotated[v.Seconds, Field(ge=1, le=1800)] = 30.0
    """A pod that is silent for so long, in seconds, loses its partitions; brokers take 6 to 1800 by default."""
    rebalance_drain_s: v.Seconds = 2.0
    """How long a rebalance may wait for requests in flight, in seconds; below `session_timeout_s`."""
    client_id: v.Text | None = None
    """Name in the brokers' logs and quotas; without it `pendo-consumer`."""
    consumer_options: v.ClientOptions = Field(default_factory=dict)
    """Further options of the Kafka client (aiokafka), by its names; those that the service rests on are refused."""
    security: KafkaSecuritySettings = KafkaSecuritySettings()
    """How to connect to the brokers."""

    @property
    def replay_group(self) -> str:
        """The group in which it is kept which dead letters were sent again."""
        return f"{self.group_id}-replay"


class SegmentSettings(_Section):
    """How events stand on the topic."""

    envelope_path: v.DottedPath | None = None
    """Dotted path to the event inside the record's value, like httpPayload."""
    anonymous: Literal["skip", "visitor"] = "skip"
    """Events without a userId: skip them, or make each anonymousId a visitor (which may cost Pendo MAU)."""

    @property
    def envelope_keys(self) -> tuple[str, ...]:
        """The steps of `envelope_path`; none without an envelope."""
        return tuple(self.envelope_path.split(".")) if self.envelope_path else ()


class PendoSettings(_Section):
    """Where to deliver to."""

    region: Literal["us", "eu", "us1", "jp", "au"] = "us"
    """Where the subscription lives; a key is valid in its own region only."""
    data_url: v.BaseUrl | None = None
    """Base URL that overrides the region's data host."""
    api_url: v.BaseUrl | None = None
    """Base URL that overrides the region's API host."""
    ca_file: v.Text | None = None
    """PEM file of a private CA, beside the system's."""
    proxy: v.Proxy | None = None
    """Proxy's URL; without it the environment's HTTPS_PROXY and NO_PROXY count."""
    transport: Literal["auto", "session"] = "auto"
    """The leanest that the settings allow (a proxy needs the session), or always aiohttp's session."""
    api_key: v.Secret | None = None
    """Pendo's API key (Settings, Subscription or App settings); needed by the route segmentio."""
    track_event_secret: v.Secret | None = None
    """Track Event shared secret (App details); needed by the route track."""
    integration_key: v.Secret | None = None
    """Integration key with write access; needed by metadata and bulkdelete; `check --connect` verifies it."""
    track_event_header: v.HeaderName = "x-pendo-integration-key"
    """The header that carries `track_event_secret`."""
    metadata_group: Literal["agent", "custom"] = "agent"
    """Of the route metadata: the group of fields that is written, agent or custom; custom fields must exist."""
    metadata_create: bool = True
    """Of the route metadata: whether visitors and accounts that Pendo does not know are created."""


StateRoute = Annotated[Literal["segmentio", "metadata", "off"], BeforeValidator(v.off)]
FactRoute = Annotated[Literal["segmentio", "track", "off"], BeforeValidator(v.off)]


class RoutesSettings(_Section):
    """Which of Pendo's ways in each event type takes; `off` skips it."""

    identify: StateRoute = "segmentio"
    """Route of identify events: segmentio, metadata or off."""
    group: StateRoute = "segmentio"
    """Route of group events: segmentio, metadata (account fields only) or off."""
    track: FactRoute = "segmentio"
    """Route of track events: segmentio, track or off."""
    page: FactRoute = "segmentio"
    """Route of page events, which become track events first: segmentio, track or off."""
    screen: FactRoute = "segmentio"
    """Route of screen events, which become track events first: segmentio, track or off."""
    alias: Annotated[Literal["off"], BeforeValidator(v.off)] = "off"
    """Pendo cannot merge ids by request: off."""
    delete: Annotated[Literal["bulkdelete", "off"], BeforeValidator(v.off)] = "off"
    """Route of delete events: off, or bulkdelete, which deletes the visitor at Pendo for good."""

    def table(self) -> Mapping[EventType, str | None]:
        """The route's name of every event type; None for `off`."""
        routes: dict[str, str] = self.model_dump()
        return {EventType(name): None if route == "off" else route for name, route in routes.items()}


class MappingSettings(_Section):
    """Rules of your own."""

    file: v.Text | None = None
    """YAML file with rules: what is filtered, left out, renamed, named; `schema --mapping` describes it."""
    handlers: v.Handlers = ()
    """Functions of your own, package.module:function, which change or filter events; a list, or text with commas."""


class RateLimitSettings(_Section):
    """Requests a second for the whole group, by route."""

    segmentio: v.PerSecond | None = None
    """Requests a second on the Segment endpoint."""
    track: v.PerSecond | None = None
    """Requests a second on the Track Events API."""
    metadata: v.PerSecond | None = None
    """Calls a second on the Metadata API."""


class DeliverySettings(_Section):
    """How much at once, how long, and when an event is given up."""

    max_concurrency: v.Count = 128
    """Most requests in flight in one pod; the routes in use share it evenly."""
    max_open_events: v.Count = 20_000
    """Most events that are read and not settled; with so many, reading pauses."""
    max_open_bytes: v.Size = 64 * 1024 * 1024
    """Most bytes of such events; a number, or like 64 MiB."""
    max_batch: Annotated[v.Count, Field(le=500)] = 500
    """Most ids in one call of the routes metadata and bulkdelete."""
    request_timeout_s: v.Seconds = 10.0
    """Longest time for one request, in seconds."""
    metadata_timeout_s: v.Seconds = 60.0
    """Longest time for one call of the routes metadata and bulkdelete, in seconds; Pendo itself stops after 300."""
    retry_window_s: v.Seconds = 900.0
    """An event that keeps failing for so long, in seconds, while others pass is
    dead-lettered; in an outage none is."""
    max_retry_delay_s: v.Seconds = 60.0
    """Longest pause between two attempts, in seconds; Pendo's Retry-After goes before, up to 300."""
    min_attempts: v.Count = 5
    """Fewest attempts before an event is given up, whatever the time."""
    rate_limit: RateLimitSettings = RateLimitSettings()
    """Requests a second for the whole group, by route."""
    shutdown_timeout_s: v.Seconds = 25.0
    """One deadline for all of a stop, in seconds; keep it below the orchestrator's grace period (Kubernetes: 30)."""
    memory_ids: v.CountOrOff = 20_000
    """Ids whose newest fields are remembered."""
    memory_message_ids: v.CountOrOff = 200_000
    """Delivered messageIds that are remembered at most, and half as many at least; 0 turns it off."""
    suppress_unchanged: bool = False
    """Whether identify and group that change nothing are left out."""
    paused: bool = False
    """Whether delivery is stopped, for the whole group; read again when the file changes."""


class DeadLetterSettings(_Section):
    """Where events go that can never be delivered."""

    topic: v.Topic = "segment-events-dead-letter"
    """Topic for dead letters; it must exist, the service creates none."""
    flood_share: v.Share = 0.5
    """It stops when more than this share of answers were refusals."""
    flood_min_events: v.Count = 200
    """How many of the last answers are looked at."""


class HttpSettings(_Section):
    """Probes, metrics and the page."""

    host: v.Text = "0.0.0.0"  # noqa: S104  # probes come from outside the pod
    """Address to listen on."""
    port: v.Port = 8080
    """Port to listen on; 0 picks a free one and logs it."""
    admin_token: v.Secret | None = None
    """Bearer token of the admin API (pause, resume, skip); without one nobody may use it."""
    peers: v.Peers | None = None
    """Headless DNS name of all pods, host or host:port, which the page sums over; without a port `http.port`."""


class LogSettings(_Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is shown; ids of visitors and messages appear at debug only."""
    format: Literal["json", "text"] | None = None
    """json, one object a line, or text; without it text on a terminal, else json."""


class Settings(_Section):
    """Everything that can be configured."""

    kafka: KafkaSettings = KafkaSettings()
    """Where to read from, and how."""
    segment: SegmentSettings = SegmentSettings()
    """How events stand on the topic."""
    pendo: PendoSettings = PendoSettings()
    """Where to deliver to."""
    routes: RoutesSettings = RoutesSettings()
    """Which of Pendo's ways in each event type takes."""
    mapping: MappingSettings = MappingSettings()
    """Rules of your own."""
    delivery: DeliverySettings = DeliverySettings()
    """How much at once, how long, and when an event is given up."""
    dead_letter: DeadLetterSettings = DeadLetterSettings()
    """Where events go that can never be delivered."""
    http: HttpSettings = HttpSettings()
    """Probes, metrics and the page."""
    log: LogSettings = LogSettings()
    """What is logged, to standard error."""
