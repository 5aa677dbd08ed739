"""The admin API: what a pod tells and does when it is asked over HTTP, put together from the parts that know."""

from collections.abc import Callable

from consumer.config.settings import Settings
from consumer.config.shown import shown
from consumer.page.peers import Peers, host_and_port
from consumer.page.site import Site
from consumer.page.view import Views
from consumer.web import Api, Token, Web
from consumer.worker.hand import Act, Hand
from consumer.worker.overview import Overview
from consumer.worker.probes import Probes
from consumer.worker.report import Report


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


def web_of(
    settings: Settings, probes: Probes, hand: Hand, report: Report, token: Token, metrics: Callable[[], bytes]
) -> Web:
    """The HTTP server of a pod, with its page."""
    web = Web(
        alive=probes.alive,
        not_ready=probes.not_ready,
        metrics=metrics,
        api=api_of(hand, report.overview),
        token=token,
        site=site_of(settings, report, lambda: web.port),
    )
    return web


def site_of(settings: Settings, report: Report, port: Callable[[], int]) -> Site:
    """The page, over this pod alone or over all that stand behind `http.peers`.

    Args:
        settings: All of them.
        report: This pod's.
        port: Where this pod listens, once it does.
    """
    name = settings.http.peers
    peers = None if name is None else lambda path: Peers(*host_and_port(name, port())).answers(path)
    return Site(Views(report.to_json, report.deliveries, peers), settings=shown(settings))
