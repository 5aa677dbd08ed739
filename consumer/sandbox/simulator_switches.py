"""What Pendo's documentation leaves open, or what differs from one subscription to the next: a value for each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What Pendo's documentation leaves open; each default is the strictest or the most likely reading.

    Attributes:
        success_status: Of an accepted event. Any 2xx is success to Pendo's clients.
        success_body: Of an accepted event; clients must ignore it.
        unsupported_status: Of page, screen, alias, delete and unknown types; 200 would be "taken and dropped".
        accept_arrays: Whether an array of events is taken, each as if it came alone.
        keep_nulls: Whether a null trait is kept as metadata; else it is as if it were absent.
        require_json_type: Whether a `Content-Type` other than JSON is refused with 415.
        refuse_invalid_account: Whether a track event with an unusable account (`properties.groupId`, `accountId`) is
            refused; else it is kept without an account.
        track_header: Which header the Track Events API reads the shared secret from.
        require_context: Whether a body without `context` is refused there.
        file_future: Whether track events of the future are filed; else they are answered with success all the same.
        track_enabled: Whether the subscription has the setting that the Segment endpoint's track needs; else tracks are
            answered with success, and not shown.
        list_failures: Whether the Metadata API names the ids that it failed at; else it only counts them.
        empty_lists: Whether its `missing` and `errors` are there though empty; else they are absent.
        metadata_max_records: Ids that it takes in the time that it gives itself; more are answered with 408.
        delete_at_once: Whether a deletion is done when it is taken; else by `Store.run_deletions`: Pendo takes days.
        delete_per_s: Calls a second that bulk deletion takes; None for any.
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
    delete_at_once: bool = True
    delete_per_s: float | None = 1.0
    requests_per_s: float | None = None
    rate_limit_status: int = 429
