"""How the simulator misbehaves when it is told to: rules come in, for each request an answer or none goes out.

Chance is seeded: the same rules and the same requests in the same order give the same answers. Nothing here knows
what Pendo would have answered, nor how an answer is sent.
"""

import math
import random
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, Self

# The standard normal distribution's 99th percentile: turns a p99 into a lognormal's sigma.
_Z99: Final = 2.3263


Failure = Literal["errors", "missing", "untold"]
"""How Pendo fails at one id of a call: it is named in either list of the answer, or only counted."""
Failures = Mapping[str, Failure]
"""At which ids of a call it fails, and how."""


class FaultError(ValueError):
    """A rule or an answer that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered instead of, or beside, what Pendo would have answered.

    Attributes:
        status: None, or one of the 2xx without `html`: the event is checked and kept as ever.
        headers: Added to the answer.
        body: Of the answer.
        delay_s: Waited before the answer.
        reset: The connection is cut without an answer.
        hang: There is never an answer; it ends when the client goes.
        html: The body is a web page: something other than Pendo answered.
        retry_after: Seconds, or an HTTP date.
        applied: Whether the event is kept although the answer says otherwise: an answer that got lost.
        fail: Of a call of many ids: how it fails at the id of its rule, while the others pass.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    delay_s: float = 0.0
    reset: bool = False
    hang: bool = False
    html: bool = False
    retry_after: float | str | None = None
    applied: bool = False
    fail: Failure | None = None

    @property
    def is_normal(self) -> bool:
        """Whether Pendo's own answer follows, after the delay."""
        if self.reset or self.hang or self.html:
            return False
        return self.status is None or 200 <= self.status < 300  # noqa: PLR2004 - HTTP: success

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the answer that an object of the control API describes; a bare number is a status.

        Raises:
            FaultError: For what is no object, or has a key that no answer has.
        """
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(status=value)
        if not isinstance(value, dict):
            raise FaultError("an answer is an object or a status")
        _check_keys(value, {each.name for each in fields(cls)}, "answer")
        return cls(**value)


@dataclass(kw_only=True)
class Rule:
    """Which requests are answered how.

    Attributes:
        message_id: Only requests with this `messageId`.
        id: Only requests of this visitor or account, and calls that carry it.
        route: Only requests to this route, by the log's name.
        script: Answers used in turn, one a request; when they are used up the rule no longer acts.
        rate: Without a script: the share of the requests that get `answer`.
        answer: See `rate`.
        seed: Of the chance in `rate`.
        number: Given by `Faults.add`; `remove` takes it.
        used: How many requests it has answered.
    """

    message_id: str | None = None
    id: str | None = None
    route: str | None = None
    script: Sequence[Answer] = ()
    rate: float = 1.0
    answer: Answer | None = None
    seed: int = 0
    number: int = 0
    used: int = 0

    def __post_init__(self) -> None:
        """Refuse a rule that says nothing, or two things."""
        if bool(self.script) == (self.answer is not None):
            raise FaultError("a rule has either a script or an answer")
        if self.id is None and any(each is not None and each.fail for each in (*self.script, self.answer)):
            raise FaultError("a rule that fails at an id names it")
        self._left = deque(self.script)
        self._random = random.Random(self.seed)  # noqa: S311 - faults need no secrecy, they need a seed

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the rule that an object of the control API describes.

        Raises:
            FaultError: For what is no object, an unknown key, or both or neither of script and answer.
        """
        if not isinstance(value, dict):
            raise FaultError("a rule is an object")
        value = {("message_id" if key == "messageId" else key): each for key, each in value.items()}
        _check_keys(value, {"message_id", "id", "route", "script", "rate", "answer", "seed"}, "rule")
        if "script" in value:
            value["script"] = [Answer.from_json(each) for each in value["script"]]
        if "answer" in value:
            value["answer"] = Answer.from_json(value["answer"])
        return cls(**value)

    def to_json(self) -> dict[str, Any]:
        """Return it as `GET /_sim/faults` lists it, with how many answers of its script are left."""
        return asdict(self) | {"left": len(self._left)}

    @property
    def fails_next(self) -> bool:
        """Whether its next answer is about an id alone, not about the whole request."""
        answer = self._left[0] if self._left else self.answer
        return answer is not None and answer.fail is not None

    def next_answer(self) -> Answer | None:
        """Return the answer to a request that this rule is about, or None for none."""
        if self.script:
            answer = self._left.popleft() if self._left else None
        else:
            answer = self.answer if self.rate >= 1 or self._random.random() < self.rate else None
        self.used += answer is not None
        return answer


class Faults:
    """All rules. One about a `messageId` comes first, then those about an id, then the rest, each in order of age."""

    def __init__(self) -> None:
        self._rules: dict[int, Rule] = {}
        self._by_message_id: dict[str, list[Rule]] = {}
        self._by_id: dict[str, list[Rule]] = {}
        self._others: list[Rule] = []
        self._added = 0

    def __len__(self) -> int:
        """How many rules are in force."""
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        """Go through the rules in force, the oldest first."""
        return iter(self._rules.values())

    def add(self, rule: Rule) -> int:
        """Put a rule in force; return its number."""
        self._added += 1
        rule.number = self._added
        self._rules[rule.number] = rule
        self._home(rule).append(rule)
        return rule.number

    def remove(self, number: int) -> bool:
        """Take one rule out of force; return whether there was one."""
        rule = self._rules.pop(number, None)
        if rule is not None:
            self._home(rule).remove(rule)
        return rule is not None

    def clear(self) -> None:
        """Take all rules out of force."""
        for kept in (self._rules, self._by_message_id, self._by_id, self._others):
            kept.clear()

    def failures(self, route: str, ids: Collection[str]) -> Failures:
        """Return at which ids of a call Pendo fails, and how."""
        found: dict[str, Failure] = {}
        for id_ in ids if self._by_id else ():
            for rule in self._by_id.get(id_, ()):
                if rule.route in (None, route) and rule.fails_next and (answer := rule.next_answer()) and answer.fail:
                    found[id_] = answer.fail
                    break
        return found

    def answer(self, route: str, message_id: str | None, ids: Collection[str | None]) -> Answer | None:
        """Return what a request is answered, or None when nothing is wrong with it as a whole."""
        if not self._rules:
            return None
        for rule in self._candidates(message_id, ids):
            if rule.route not in (None, route) or rule.fails_next or (rule.id is not None and rule.id not in ids):
                continue
            answer = rule.next_answer()
            if answer is not None:
                return answer
        return None

    def _candidates(self, message_id: str | None, ids: Collection[str | None]) -> Iterator[Rule]:
        if message_id is not None:
            yield from self._by_message_id.get(message_id, ())
        for id_ in dict.fromkeys(ids) if self._by_id else ():
            if id_ is not None:
                yield from self._by_id.get(id_, ())
        yield from self._others

    def _home(self, rule: Rule) -> list[Rule]:
        if rule.message_id is not None:
            return self._by_message_id.setdefault(rule.message_id, [])
        if rule.id is not None:
            return self._by_id.setdefault(rule.id, [])
        return self._others


class Latency:
    """How long every answer takes: constant, or lognormal when there is a 99th percentile."""

    def __init__(self, median_s: float = 0.0, p99_s: float | None = None, seed: int = 0) -> None:
        if median_s < 0 or (p99_s is not None and not 0 < median_s <= p99_s):
            raise FaultError("the median is not negative, and the p99 not below it")
        self._median_s = median_s
        self._sigma = math.log(p99_s / median_s) / _Z99 if p99_s is not None else 0.0
        self._random = random.Random(seed)  # noqa: S311 - latency needs no secrecy, it needs a seed

    def next_s(self) -> float:
        """Return how long the next answer takes."""
        if not self._sigma:
            return self._median_s
        return self._median_s * math.exp(self._random.gauss(0.0, self._sigma))


def _check_keys(value: Mapping[str, object], known: set[str], what: str) -> None:
    unknown = sorted(set(value) - known)
    if unknown:
        raise FaultError(f"no {what} has {', '.join(unknown)}; known: {', '.join(sorted(known))}")
