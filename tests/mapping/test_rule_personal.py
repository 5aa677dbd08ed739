"""Personal data: dropped or hashed wherever they stand, by whatever spelling."""

from hashlib import sha256
from typing import Any

import pytest

from tests.support.rules import ruled

ANN = sha256(b"ann@example.com").hexdigest()


def edited(personal: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    changed = ruled({"personal_data": personal}, {"type": "track", **fields})
    assert changed is not None
    return changed


@pytest.mark.parametrize("name", ["email", "Email", "EMAIL"])
def test_the_case_of_a_name_is_no_way_out(name: str) -> None:
    """Whoever wrote the rule meant the address, not the spelling."""
    assert edited({"drop": {"properties": ["eMail"]}}, {"properties": {name: "x", "a": 1}})["properties"] == {"a": 1}


def test_globs_and_paths_are_dropped() -> None:
    """In objects, and in the objects of a list."""
    before = {"home_phone": "1", "address": {"street": "s", "city": "c"}, "items": [{"sku": 1, "mail": "m"}, 5]}
    changed = edited({"drop": {"properties": ["*PHONE*", "address.street", "items.mail"]}}, {"properties": before})
    assert changed["properties"] == {"address": {"city": "c"}, "items": [{"sku": 1}, 5]}


def test_a_path_is_also_a_name_with_dots_and_may_have_globs() -> None:
    """Flattened data comes like that."""
    before = {"address.street": "s", "address": {"street": "s"}, "addresses": {"street_2": "s", "zip": 1}}
    changed = edited({"drop": {"properties": ["address.street", "addr*.street*"]}}, {"properties": before})
    assert changed["properties"] == {"address": {}, "addresses": {"zip": 1}}


def test_traits_are_also_those_of_the_context() -> None:
    """Segment copies them there, and the whole event goes out."""
    traits = {"email": "ann@example.com", "a": 1}
    changed = edited(
        {"drop": {"traits": "email"}}, {"type": "identify", "traits": traits, "context": {"traits": traits}}
    )
    assert changed["traits"] == changed["context"]["traits"] == {"a": 1}


def test_the_context_has_paths_of_its_own() -> None:
    """Addresses of machines, pages and users."""
    context = {"ip": "1.2.3.4", "page": {"url": "u", "title": "t"}, "traits": {"phone": "1"}}
    changed = edited({"drop": {"context": ["ip", "page.url", "traits.phone"]}}, {"context": context})
    assert changed["context"] == {"page": {"title": "t"}, "traits": {}}


def test_a_hash_is_that_of_the_warehouse() -> None:
    """SHA-256 in hexadecimal of the text as it stands, of a number as JSON writes it."""
    before = {
        "email": "ann@example.com",
        "id": 12,
        "ok": True,
        "none": None,
        "blank": " ",
        "all": ["ann@example.com", {}],
    }
    changed = edited({"hash": {"properties": ["email", "id", "ok", "none", "blank", "all"]}}, {"properties": before})
    assert changed["properties"] == {
        "email": ANN,
        "id": sha256(b"12").hexdigest(),
        "ok": True,
        "none": None,
        "blank": " ",
        "all": [ANN],
    }


def test_an_object_cannot_be_hashed_and_does_not_go_out() -> None:
    """Nobody meant it to."""
    assert edited({"hash": {"properties": "email"}}, {"properties": {"email": {"work": "x"}}})["properties"] == {}


def test_what_is_dropped_and_hashed_is_dropped() -> None:
    """The stricter wish counts."""
    both = {"drop": {"properties": "email"}, "hash": {"properties": "*mail*"}}
    assert edited(both, {"properties": {"email": "x", "mail": "ann@example.com"}})["properties"] == {"mail": ANN}


@pytest.mark.parametrize("odd", [None, [], "x", 5])
def test_what_is_no_object_stays(odd: Any) -> None:
    """Its shape is judged later."""
    event = {"type": "track", "properties": odd, "context": odd, "traits": odd}
    assert edited({"drop": {"properties": "a", "context": "a", "traits": "a"}}, event) == event


def test_no_other_rule_brings_it_back() -> None:
    """Neither as an account, nor by another name, nor as a page's."""
    rules = {
        "personal_data": {"drop": {"properties": "email", "context": "traits.email"}},
        "account": ["properties.email", "context.traits.email"],
        "names": {"page": "{properties.email}"},
        "fields": {"page": {"rename": {"email": "mail"}}},
    }
    context = {"traits": {"email": "ann@example.com"}}
    page = {"type": "page", "name": "N", "properties": {"email": "ann@example.com"}, "context": context}
    assert "ann@" not in str(ruled(rules, page))
