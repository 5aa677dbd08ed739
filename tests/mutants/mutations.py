"""The guards behind the promises of `docs/guarantees.md`, each as the change that takes it out.

`old` stands exactly once in `file`; in its place `new` makes a plausible program without the guard. One of `tests`
must then fail.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutation:
    """One guard.

    Attributes:
        name: What `docs/guarantees.md` calls it.
        guard: What it keeps from happening.
        file: Where it stands, below `consumer/`.
        old: The guard.
        new: What stands there without it.
        tests: Ids, below `tests/`, of those that must notice; the first to fail ends the run.
    """

    name: str
    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def _m(name: str, guard: str, file: str, old: str, new: str, *tests: str) -> Mutation:
    return Mutation(name, guard, file, old, new, tests)


_GATE = "delivery/gate.py"
_CONSEQUENCES = "delivery/consequences.py"
_SUSPECTS = "delivery/suspects.py"
_FLOOD_STORY = "delivery/test_flood_stop.py"
_MIXED = "delivery/test_mixed_signals.py"

MUTATIONS: Final[tuple[Mutation, ...]] = (
    # 1 · At least once, never lost
    _m(
        "watermark",
        "nothing is committed past an open record",
        "kafka/progress.py",
        "return next(iter(self._open), self.next_offset)",
        "return self.next_offset",
        "kafka/test_progress.py",
    ),
    _m(
        "map-for-another-offset",
        "an offset map counts only for the commit that it was written with",
        "kafka/offset_map.py",
        "    if written_for != base:\n        return None\n",
        "",
        "kafka/test_offset_map.py",
    ),
    _m(
        "map-fits",
        "reading stops while what is finished beyond the watermark still fits into a commit",
        "worker/pressure.py",
        "too_much = full or progress",
        "too_much = progress",
        "worker/test_pressure.py",
    ),
    _m(
        "map-checked",
        "a damaged offset map is not believed",
        "kafka/offset_map.py",
        ' or crc32(data).to_bytes(_CHECK_BYTES, "big") != check',
        "",
        "kafka/test_offset_map.py",
    ),
    _m(
        "letter-acknowledged",
        "a letter that its topic did not take is tried again, not settled",
        "kafka/letterbox.py",
        "            if answer is None:\n",
        "            if True:\n",
        "kafka/test_letterbox.py",
    ),
    _m(
        "array-waits-for-all",
        "a record is finished when its last event is settled, not its first",
        "delivery/ticket.py",
        "        if self.open == 0:\n",
        "        if True:\n",
        "delivery/test_ticket.py",
    ),
    _m(
        "seek-after-restore",
        "records that came before a partition was restored are read again",
        "worker/partitions.py",
        "        self._offsets.seek(partition, progress.last_read + 1)\n",
        "",
        "worker/test_partitions.py",
    ),
    _m(
        "added-partition",
        "`latest` loses nothing of a partition that is added later",
        "worker/beginnings.py",
        "first if self._is_new(partition) else end",
        "end",
        "worker/test_beginnings.py",
    ),
    _m(
        "kept-until-sought",
        "a seek that fails loses nothing of what was kept over a rebalance",
        "worker/partitions.py",
        "            self._take_on(partition, self._kept[partition])\n            del self._kept[partition]\n",
        "            self._take_on(partition, self._kept.pop(partition))\n",
        "worker/test_partitions.py",
    ),
    _m(
        "leaderless-alone",
        "a partition without a leader delays no other",
        "worker/beginnings.py",
        "await asyncio.wait(fresh, timeout=PATIENCE_S)",
        "await asyncio.wait(fresh)",
        "worker/test_beginnings.py",
    ),
    _m(
        "undecodable-is-an-answer",
        "a record that is no JSON stops nothing",
        "segment/decode.py",
        "except orjson.JSONDecodeError:",
        "except orjson.JSONEncodeError:",
        "worker/test_admission.py",
    ),
    _m(
        "timeout-is-tried-again",
        "a request that was not answered in time does not count as delivered",
        "pendo/verdicts.py",
        "NO_ANSWER: Final = Later()",
        "NO_ANSWER: Final = ACCEPTED",
        "delivery/test_senders.py",
    ),
    _m(
        "expired-under-a-reader",
        "what retention deletes under a reader is counted, though it is known only later",
        "worker/expiry.py",
        "        self._remember(partition, progress.missing_before(offset))\n",
        "",
        "worker/test_polling.py",
    ),
    _m(
        "old-answer-about-a-log",
        "an answer that was on its way when reading jumped is not the last word",
        "worker/expiry.py",
        "                self._passed_before[partition] = left\n",
        "                pass\n",
        "worker/test_expiry.py",
    ),
    # 2 · Order, and newest wins
    _m(
        "runs-in-order",
        "versions of an account's traits do not overtake each other",
        "delivery/runs.py",
        "return self._runs[run.account][0] is run",
        "return True",
        "delivery/test_lanes.py",
    ),
    _m(
        "stale-fields",
        "an older event overwrites nothing newer",
        "delivery/writes.py",
        "if stamps.get(field, stamp) > stamp}",
        "if False}",
        "delivery/test_memory.py",
    ),
    _m(
        "group-link",
        "a group's link is not lost with its fields",
        "delivery/memory.py",
        "request.account is None or _pair(request) in self._pairs",
        "True",
        "delivery/test_memory.py",
    ),
    _m(
        "clock-ahead",
        "a clock that runs ahead does not freeze a field",
        "delivery/memory.py",
        "min(at_ms, arrived_ms + MAX_AHEAD_MS)",
        "at_ms",
        "delivery/test_memory.py",
    ),
    # 3 · Bounded
    _m(
        "memory-of-fields",
        "names that are made up as they go do not fill the memory",
        "delivery/memory.py",
        "while len(self._writes) > self._ids or self._size > self._max_size:",
        "while len(self._writes) > self._ids:",
        "delivery/test_memory.py",
    ),
    _m(
        "prefetch-counts",
        "what the client reads ahead counts among the bytes",
        "worker/polling.py",
        "min(prefetched, self._max_open_bytes // 2)",
        "0",
        "worker/test_polling.py",
    ),
    _m(
        "partition-share",
        "one partition that stands still leaves room for the others",
        "worker/pressure.py",
        " or progress.open_records_count >= share",
        "",
        "worker/test_pressure.py",
    ),
    _m(
        "restored-map-is-read",
        "what a map calls open is read, however much it is",
        "worker/pressure.py",
        "too_much and not progress.unread",
        "too_much",
        "worker/test_pressure.py",
    ),
    _m(
        "repeats-give-way",
        "repeats by the ten thousand leave the loop its turns",
        "delivery/senders.py",
        "self._yielding = True\n                self._loop.call_soon(self._go_on)\n                break\n",
        "pass\n",
        _MIXED,
    ),
    _m(
        "full-is-no-standstill",
        "a process that reads nothing because its buffer is full is not restarted",
        "worker/lag.py",
        "if not self._full():",
        "if True:",
        "worker/test_lag.py",
    ),
    _m(
        "held-back-is-no-standstill",
        "a process is not restarted because a partition waits for others' records",
        "worker/lag.py",
        " and not progress.pressed and progress.crowd is None",
        "",
        "worker/test_lag.py",
    ),
    _m(
        "commit-is-repeated-soon",
        "a failed commit waits neither for a long interval, nor until the process is taken for dead",
        "worker/commits.py",
        "min(self._interval_s, RETRY_S)",
        "self._interval_s",
        "worker/test_commits.py",
    ),
    _m(
        "cancelled-question",
        "a client that did not answer in time is not asked again",
        "kafka/cluster.py",
        "            await self.close()\n            raise\n",
        "            raise\n",
        "kafka/test_cluster.py",
    ),
    _m(
        "nothing-asks-on",
        "no task outlives a service of which a part has died",
        "service.py",
        "            self._partitions.forget()\n",
        "",
        "test_service.py",
    ),
    # 4 · Poison, outage and misconfiguration
    _m(
        "others-must-pass",
        "a failure counts only while nine in ten others pass",
        "delivery/poison.py",
        "others > 0 and accepted - lane.accepted >= HEALTHY_SHARE * others",
        "others > 0",
        "delivery/test_poison.py",
    ),
    _m(
        "window-after-outage",
        "nobody's retry window runs in an outage",
        "delivery/poison.py",
        "self.since = now - max(began - self.since, 0.0)",
        "pass",
        "delivery/test_poison.py",
    ),
    _m(
        "own-attempts",
        "a head is given up only after attempts of its own",
        "delivery/poison.py",
        "head.counted >= self._min_attempts and ",
        "",
        "delivery/test_poison.py",
    ),
    _m(
        "hopeless-lane-is-read-on",
        "a visitor whose events keep failing does not stop its partition",
        "delivery/lanes.py",
        "return 0 if self.failing is not None and self.failing.hopeless else len(self.queue)",
        "return len(self.queue)",
        _MIXED,
    ),
    _m(
        "last-attempt-counts",
        "a head is given up by an attempt that counts, not by one that failed with all others",
        _CONSEQUENCES,
        "if not (counts and self.relief.gives_up(lane, now)):",
        "if not self.relief.gives_up(lane, now):",
        "delivery/test_consequences.py",
    ),
    _m(
        "nothing-given-up-while-probing",
        "in an outage nothing is dead-lettered, however long",
        "delivery/relief.py",
        "trouble is None or self._gate.probing:",
        "trouble is None:",
        "delivery/test_consequences.py",
    ),
    _m(
        "others-records-are-no-block",
        "a head blocks its own partition only",
        "delivery/relief.py",
        "progress.open_records_count - len(own)",
        "progress.open_records_count - len(lane.queue)",
        "delivery/test_consequences.py",
    ),
    _m(
        "retry-after-in-an-outage",
        "a ready head keeps the endpoint's Retry-After, too",
        "delivery/schedule.py",
        "self.went + MIN_PROBE_DELAY_S), self._asked_until)",
        "self.went + MIN_PROBE_DELAY_S), 0.0)",
        "delivery/test_gate.py",
    ),
    _m(
        "one-visitors-retry-after",
        "on a quiet topic one visitor's Retry-After does not hold the others",
        _GATE,
        " and len(self._failing) > 1:",
        ":",
        "delivery/test_gate.py",
    ),
    _m(
        "few-failures-are-no-outage",
        "the circuit needs ten failing lanes, or all",
        _GATE,
        " and len(self._failing) >= min(CIRCUIT_LANES, len(backlog))",
        "",
        "delivery/test_gate.py",
    ),
    _m(
        "probes-grow-apart",
        "only the last request on the wire sets the next probe's delay",
        "delivery/schedule.py",
        "        if last:\n",
        "        if True:\n",
        "delivery/test_gate.py",
    ),
    _m(
        "one-trial",
        "in doubt one request goes at a time",
        _GATE,
        "            if self.doubt.trial_out:\n                return inf\n",
        "",
        "delivery/test_gate.py",
    ),
    _m(
        "stall-heals-late",
        "a request from before a stall does not heal it",
        _GATE,
        "        if began >= self._stalled_at:\n            self.stall = None",
        "        self.stall = None",
        "delivery/test_gate.py",
    ),
    _m(
        "no-conviction-in-doubt",
        "nobody is forbidden while the credential is in question",
        _SUSPECTS,
        "locked_at is None or suspended or gate.passed_at",
        "locked_at is None or gate.passed_at",
        "delivery/test_consequences.py",
    ),
    _m(
        "forbidden-is-no-pass",
        "a forbidden event does not prove that the credential is good",
        _GATE,
        "if verdict.reason is not Reason.FORBIDDEN:",
        "if verdict.reason is not None:",
        "delivery/test_gate.py",
    ),
    _m(
        "flood-sets-aside",
        "in a flood nothing that is refused is dead-lettered",
        _CONSEQUENCES,
        "        if self._gate.flood.active:\n            self._lanes.set_aside(lane)\n            return\n",
        "",
        _FLOOD_STORY,
    ),
    _m(
        "flood-is-sampled",
        "probes in a flood are drawn from those set aside, too",
        _GATE,
        "return self._random() if self.flood.active and not self.doubt.active else 1.0",
        "return 1.0",
        "delivery/test_gate.py",
        _FLOOD_STORY,
    ),
    _m(
        "flood-round",
        "a round of probes opens the way only if few of it are refused",
        "delivery/flood.py",
        "self.active = self.round_refused > self._share * self._round",
        "self.active = False",
        "delivery/test_flood.py",
    ),
    _m(
        "flood-flag",
        "a change of flags is committed at once",
        "worker/commits.py",
        "flags != last_flags or ",
        "",
        "worker/test_commits.py",
    ),
    _m(
        "limit-floor",
        "failures do not starve a route",
        "delivery/limit.py",
        "max(int(self.value * DECREASE), min(FLOOR, self._maximum))",
        "int(self.value * DECREASE)",
        "delivery/test_limit.py",
    ),
    _m(
        "limit-reached",
        "a limit that nobody tried does not grow",
        "delivery/limit.py",
        "        elif self.reached:",
        "        else:",
        "delivery/test_limit.py",
    ),
    _m(
        "quota-in-every-state",
        "probes keep the quota, too",
        _GATE,
        "return wait_s if wait_s > 0 else self.bucket.wait_s(now)",
        "return max(wait_s, 0.0)",
        "delivery/test_gate.py",
    ),
    _m(
        "edit-is-no-pause",
        "a configuration file that is edited does not keep poison for ever",
        "service.py",
        "elif Hold.PAUSED in self._lease.held:",
        "else:",
        "test_service.py",
    ),
    _m(
        "rebalances-forgive-nothing",
        "rebalances that follow each other do not keep poison for ever",
        "delivery/routes.py",
        "            if _long(why):\n",
        "            if True:\n",
        "delivery/test_routes.py",
    ),
    # 5 · Duplicates are few
    _m(
        "writer-tag",
        "what was kept goes on only if nobody else has committed",
        "worker/partitions.py",
        "else offset_map.writer_of(commit[1]) == self._tag",
        "else True",
        "worker/test_partitions.py",
    ),
    _m(
        "never-committed-is-ours",
        "open work is kept when nothing was ever committed, by us or others",
        "worker/partitions.py",
        "return kept.committed is None if commit is None else ",
        "return commit is not None and ",
        "worker/test_partitions.py",
    ),
    _m(
        "hold-over-rebalance",
        "nothing is sent while partitions change hands",
        "worker/partitions.py",
        "        self._delivering.hold(Hold.REBALANCE)\n",
        "",
        "worker/test_partitions.py",
    ),
    _m(
        "no-member-no-commit",
        "who was thrown out of the group commits nothing",
        "kafka/source.py",
        "if coordinator is None or coordinator.generation < 0:",
        "if coordinator is None:",
        "kafka/test_source.py::test_a_process_that_is_no_member_commits_nothing",
    ),
    _m(
        "asleep",
        "after a standstill whoever runs first sends nothing",
        "delivery/lease.py",
        "not self.held and now <= self._until",
        "not self.held",
        "delivery/test_lease.py",
    ),
    _m(
        "proof-after-waking",
        "a commit from before a standstill proves nothing",
        "delivery/lease.py",
        "        if now > began + self._term_s:\n            return False\n",
        "",
        "delivery/test_lease.py",
    ),
    _m(
        "proof-of-something",
        "a commit of nothing proves nothing",
        "worker/commits.py",
        "                return Answer.NEEDLESS\n",
        "                return Answer.CONFIRMED\n",
        "worker/test_commits.py",
    ),
    _m(
        "repeat-delivered",
        "only what was delivered makes the next a repeat",
        "delivery/memory.py",
        "if delivered and identity and self._message_ids:",
        "if identity and self._message_ids:",
        "delivery/test_memory.py",
    ),
    _m(
        "fate-unknown",
        "after a failure of unknown fate nothing counts as unchanged",
        _CONSEQUENCES,
        "        if isinstance(verdict, Later):\n            self._memory.forget_values(sent)\n",
        "",
        "delivery/test_consequences.py",
    ),
    _m(
        "commit-reserve",
        "waiting for answers leaves time for their commit",
        "service.py",
        "self._routes.drain(deadline - loop.time() - reserve_s)",
        "self._routes.drain(deadline - loop.time())",
        "test_service.py",
    ),
    _m(
        "commit-again-at-a-stop",
        "a commit that a rebalance refuses at a stop is repeated",
        "service.py",
        "                    if loop.time() >= deadline:",
        "                    if True:",
        "test_service.py",
    ),
    _m(
        "stop-in-a-rebalance",
        "a stop that could not commit what was answered does not say that all is well",
        "service.py",
        "        confirmed = confirmed and not self._partitions.uncommitted\n",
        "",
        "test_service.py",
    ),
    # 6 · Conservation
    _m(
        "released-settles-nothing",
        "verdicts after a release settle nothing",
        "delivery/ticket.py",
        "        if self.progress.released:\n            return\n",
        "",
        "delivery/test_ticket.py",
    ),
    # 7 · No secret, no personal data
    _m(
        "no-url-in-errors",
        "no error text quotes a URL, which carries the key",
        "pendo/client.py",
        'raise UnreachableError("connection", error.__class__.__name__) from None',
        'raise UnreachableError("connection", str(error)) from error',
        "pendo/test_client.py",
    ),
    _m(
        "secrets-are-masked",
        "a secret is masked wherever it stands in a log line",
        "log.py",
        "            text = text.replace(secret, _MASKED)\n",
        "            pass\n",
        "test_log.py",
    ),
)
