"""The troubles: what is said when something is in the way of all events. Pure.

Each function is handed the sum of all pods' reports, and gives the words for one trouble, or None when it is not there.
"""

from typing import Any, Final

from consumer.page.phrases import at_time, events, kept, reason_since, since_when, worst_gate
from consumer.page.words import Level, Words

Json = dict[str, Any]

NEW_S: Final = 60.0
"""After a start a pod waits for its group."""
SECRETS: Final = {
    "segmentio": "pendo.api_key",
    "track": "pendo.track_event_secret",
    "metadata": "pendo.integration_key",
    "bulkdelete": "pendo.integration_key",
}


def unaccounted(view: Json) -> Words | None:
    """Events vanished, or were settled twice."""
    count = view["ledger"]["unaccounted"]
    if not count:
        return None
    return Words(
        Level.TROUBLE,
        "The books do not add up",
        f"Events that {'vanished' if count > 0 else 'were settled twice'}: {abs(count):,}. It is a bug.",
        ("Keep the log of every pod and a copy of `/metrics`, and report it with both.",),
    )


def kafka(view: Json) -> Words | None:
    """Nothing is read."""
    since = reason_since(view, "kafka")
    if since is None:
        return None
    started_ms = view["started_ms"]
    if view["now_ms"] - started_ms < NEW_S * 1000:
        return Words(Level.NOTICE, "Just started: joining the group", f"Since {at_time(started_ms, view)}.")
    return Words(
        Level.TROUBLE,
        f"Kafka cannot be read{since_when(since, view)}",
        "Nothing is lost: what is not read stays in Kafka, and reading goes on where the last commit stands.",
        (
            "Are the brokers up, and does every partition have a leader?",
            "Run `pendo-consumer check --connect` where this pod runs: it names what is wrong.",
            "Do not restart the pods: that heals nothing here.",
        ),
    )


def stalled(view: Json) -> Words | None:
    """A route delivers nothing until somebody changes something."""
    gate = worst_gate(view, "stalled")
    if gate is None:
        return None
    since, route = since_when(gate["since_ms"], view), gate["route"]
    if gate["stall"] == "credentials":
        return Words(
            Level.TROUBLE,
            f"Pendo refuses our credential{since}",
            kept(view, f"nothing goes by {route}"),
            (
                f"Replace `{SECRETS.get(route, 'the secret')}`: is it the right one, and of this `pendo.region`?",
                "From a file of its own it is read again within 5 seconds, and tried at once. Set otherwise: restart.",
                "If it is Pendo that has to change: one request a minute at most is tried, and it goes on by itself.",
            ),
        )
    return Words(
        Level.TROUBLE,
        f"What answers is not Pendo{since}",
        kept(view, f"nothing goes by {route}"),
        (
            "Check `pendo.region`, `pendo.data_url`, `pendo.api_url` and any proxy or login page in between.",
            "One request at a time goes on being tried; it goes on by itself when Pendo answers.",
        ),
    )


def flood(view: Json) -> Words | None:
    """A flood stop is on."""
    gate = worst_gate(view, "flood")
    if gate is None:
        return None
    return Words(
        Level.TROUBLE,
        f"Pendo refuses most of what is sent{since_when(gate['since_ms'], view)}",
        kept(view, "delivery is stopped but for probes, so that the dead-letter topic does not fill up"),
        (
            "Look at the newest dead letters below: the field and the reason say what changed at the source.",
            "Mend the source or add a rule to the mapping, and see with `map` what it would send.",
            "It goes on by itself as soon as what is tried is taken.",
            "Then send what had been refused: `pendo-consumer dlq replay --reason refused`.",
        ),
    )


def letters(view: Json) -> Words | None:
    """The dead-letter topic takes none."""
    since = reason_since(view, "dead_letter")
    if since is None:
        return None
    box = view["letters"]
    return Words(
        Level.TROUBLE,
        f"Dead letters cannot be published{since_when(since, view)}",
        f"Nothing is lost: {events(box['parked'])} waiting for it here, and nothing is committed past it. "
        f"{box['problem'] or ''}".strip(),
        (
            f"Does the topic `{box['topic']}` exist, and may this user write to it?",
            "It is tried again every few seconds: no restart is needed.",
        ),
    )


def outage(view: Json) -> Words | None:
    """Pendo is away."""
    gate = worst_gate(view, "circuit")
    if gate is None:
        return None
    routes = [each["route"] for each in view["gates"]]
    by = "" if len(routes) == 1 else f" on the route {gate['route']}"
    return Words(
        Level.NOTICE,
        f"Pendo has answered nothing{since_when(gate['since_ms'], view)}{by}",
        kept(view, "nothing is given up, however long it takes"),
        (
            "Nothing to do here: it is tried again and again, and goes on by itself.",
            "If it lasts: is Pendo's own status page quiet? Then look at the network and the proxy in between.",
            "Is the topic's retention longer than the outage may be? What Kafka deletes before it is read is lost.",
        ),
    )
