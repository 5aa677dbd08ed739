"""What Pendo's documentation leaves open, or what differs from one subscription to the next: a value for each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What Pendo's documentation leaves open; each default is the strictest or the most likely reading.

    Attributes:
        success_status: Of an accepted event; 200. Any 2xx is success to Pendo's clients.
        success_body: Of an accepted event; empty. Clients must ignore it.
        unsupported_status: Of page, screen, alias, delete and unknown types; 400, for 200 would be "taken and dropped".
        accept_arrays: Whether an array of events is taken, each as if it came alone; no, for only one is documented.
        keep_nulls: Whether a null trait or value is kept as metadata; no, it is as if it were absent.
        require_json_type: Whether a `Content-Type` other than JSON is refused with 415; yes, for it is documented.
        refuse_invalid_account: Whether a track event with an unusable account (`properties.groupId`, `accountId`) is
            refused; no, it is kept without an account, for an account is only recommended.
        track_header: Which header the Track Events API reads the shared secret from; as documented. Clients of Pendo's
            own send another.
        require_context: Whether a body without `context` is refused there; yes, for the documentation sends it empty.
        file_future: Whether track events of the future are filed, on both ways in; yes. Else they are answered with
            success and not shown.
        track_enabled: Whether the subscription has the setting that the Segment endpoint's track needs; yes. Else
            tracks are answered with success, and not shown.
        list_failures: Whether the Metadata API names the ids that it failed at; yes. Else it only counts them: third
            parties saw either list absent.
        empty_lists: Whether its `missing` and `errors` are there though empty; no, for clients must bear that.
        metadata_max_records: Ids that it takes in the five minutes that it gives itself; more are answered with 408, at
            once. None, for no limit is documented.
        refuse_undefined_fields: Whether a field of `custom` that nobody made makes it refuse the whole call with 400;
            no, it fails at the ids that have it. Third parties speak of both.
        max_body_bytes: Of a body, more is answered with 413; None for `MAX_BODY_BYTES`, for Pendo names none.
        delete_at_once: Whether a deletion is done when it is taken; yes, which is simpler to test. Else by
            `Store.run_deletions`: Pendo takes up to 21 days.
        delete_per_s: Calls a second that bulk deletion takes; 1 as documented, None for any.
        delete_status: Of a deletion that is taken; 200. Of what is done later an API may say 202 as well.
        empty_groups: Whether the groups `agent` and `custom` are there without a field, in a schema and where somebody
            is read back; yes, as documented. Third parties saw a group absent.
        requests_per_s: Requests a second that all of Pendo takes; None for any, since Pendo publishes no limit.
        rate_limit_status: Of what comes faster: 429 with `Retry-After`, or 403 with `rateLimitExceeded` in its body.
    """

    success_status: int = 200
    success_body: str = ""
    unsupported_status: int = 400
    accept_arrays: bool = False
    keep_nulls: bool = False
    require_json_type: bool = True
    refuse_invalid_account: bool = False
    track_header: str = "x-pendo-integration-key"
    require_context: bool = True
    file_future: bool = True
    track_enabled: bool = True
    list_failures: bool = True
    empty_lists: bool = False
    metadata_max_records: int | None = None
    refuse_undefined_fields: bool = False
    max_body_bytes: int | None = None
    delete_at_once: bool = True
    delete_per_s: float | None = 1.0
    delete_status: int = 200
    empty_groups: bool = True
    requests_per_s: float | None = None
    rate_limit_status: int = 429
