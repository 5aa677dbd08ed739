"""The admin API: what a pod tells and does when it is asked over HTTP, put together from the parts that know."""

from consumer.web import Api
from consumer.worker.hand import Act, Hand
from consumer.worker.overview import Overview


def api_of(hand: Hand, overview: Overview) -> Api:
    """Everything below `/api/`."""
    return Api(
        partitions=overview.partitions,
        acts={
            Act.PAUSE: lambda _, who: hand.pause(who),
            Act.RESUME: lambda _, who: hand.resume(who),
            Act.SKIP: lambda asked, who: hand.skip(str(asked.get("position", "")), who),
        },
        unauthorized=lambda name: hand.unauthorized(Act(name)),
    )
