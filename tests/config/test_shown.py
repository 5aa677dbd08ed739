"""Settings as they may be shown to anybody."""

from consumer.config.keys import KEYS
from consumer.config.settings import Settings
from consumer.config.shown import shown


def values(settings: Settings) -> dict[str, str]:
    return {one["key"]: one["value"] for one in shown(settings)}


def test_nothing_that_could_hold_a_secret_is_shown() -> None:
    """Secrets, the password in a proxy's URL, options of a client, a token in a query."""
    settings = Settings.model_validate(
        {
            "pendo": {"api_key": "hush-1", "proxy": "http://me:hush-2@proxy:3128"},
            "kafka": {
                "consumer_options": {"fetch_token": "hush-3"},
                "security": {"password": "hush-4", "oauth_token_url": "https://login.example/token?key=hush-5"},
            },
            "http": {"admin_token": "hush-6"},
        }
    )
    found = values(settings)
    assert "hush" not in str(found)
    assert found["pendo.api_key"] == found["http.admin_token"] == "(set, hidden)"
    assert found["pendo.proxy"] == "http://(hidden)@proxy:3128"
    assert found["kafka.consumer_options"] == "fetch_token: (hidden)"
    assert found["kafka.security.oauth_token_url"] == "https://login.example/token?(hidden)"


def test_every_key_is_there_and_what_differs_from_its_default_is_marked() -> None:
    """In the order of the file."""
    found = shown(Settings.model_validate({"kafka": {"topics": "a,b"}, "delivery": {"paused": True}}))
    assert [one["key"] for one in found] == list(KEYS)
    assert {one["key"]: one["value"] for one in found if not one["default"]} == {
        "kafka.topics": "a, b",
        "delivery.paused": "true",
    }
