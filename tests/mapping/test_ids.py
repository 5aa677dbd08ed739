"""What Pendo takes as an id."""

import json
from typing import Any

import orjson
import pytest

from consumer.mapping.ids import flaw, is_absent, kind, pendo_id


@pytest.mark.parametrize(
    ("value", "id_"),
    [
        ("u-1", "u-1"),
        ("678", "678"),
        (" u ", " u "),
        ("U", "U"),
        ("parent::sub", "parent::sub"),
        (678, "678"),
        (0, "0"),
        (-5, "-5"),
        (2**64 - 1, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (678.0, "678"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (9.0e18, "9000000000000000000"),
    ],
)
def test_text_and_numbers_are_ids(value: Any, id_: str) -> None:
    """Pendo turns numbers into text, so 678, 678.0 and "678" are one visitor."""
    assert pendo_id(value) == id_


@pytest.mark.parametrize("value", [None, "", " ", "\t\u00a0\n", "::", " :: ", "VISITOR-UNIQUE-ID", "ACCOUNT-UNIQUE-ID"])
def test_nothing_blanks_and_placeholders_say_that_there_is_no_id(value: Any) -> None:
    """Such a value leaves the word to the anonymousId."""
    assert pendo_id(value) is None
    assert is_absent(value)


@pytest.mark.parametrize("value", [True, False, {}, {"id": "u"}, [], ["u"], 2.0**63, -(2.0**63), 1e300])
def test_other_types_and_lost_digits_are_no_ids(value: Any) -> None:
    """Such a value is wrong rather than absent; an anonymousId does not help."""
    assert pendo_id(value) is None
    assert not is_absent(value)


@pytest.mark.parametrize("number", [2**64, 2**64 + 1, -(2**63) - 1, 10**30])
def test_a_number_beyond_64_bits_is_no_id(number: int) -> None:
    """Two users whose numbers differ in the last digit would become one visitor: the decoder makes floats of them."""
    assert pendo_id(orjson.loads(str(number))) is None


@pytest.mark.parametrize("value", [" ", "::", True, {"secret": "secret"}, ["secret"], 1e30, None])
def test_a_flaw_quotes_nothing_of_the_value(value: Any) -> None:
    """Ids are personal data: they stand in no error text."""
    assert "secret" not in flaw(value)
    assert "e+30" not in flaw(value)


def test_every_json_type_has_a_name() -> None:
    """Dead letters say what was found instead of what Pendo takes."""
    values = json.loads('[null, true, 1, 1.5, "a", [], {}]')
    names = ["null or missing", "a boolean", "a number", "a number", "text", "a list", "an object"]
    assert [kind(value) for value in values] == names
