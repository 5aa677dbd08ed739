"""The router put together from the settings: routes, the mapping file, custom handlers.

Settings come in, a router goes out: the plain one when there are no rules, so that rules cost nothing where there are
none.
"""

from collections.abc import Callable
from pathlib import Path
from time import time

from consumer.config.settings import Settings
from consumer.config.yaml_tree import Tree
from consumer.mapping.router import Router
from consumer.mapping.ruled import RuledRouter
from consumer.mapping.rules.compiled import Rules, compile_rules
from consumer.mapping.rules.file import parse_rules, read_rules
from consumer.mapping.rules.handlers import Handler, load_handler
from consumer.pendo.endpoints import route_table


def router_of(settings: Settings, rules: Rules | None = None, *, clock: Callable[[], float] = time) -> Router:
    """The router that the settings ask for.

    Args:
        settings: Routes, anonymous visitors and, unless rules are given, the mapping.
        rules: In place of those that the settings name.
        clock: Seconds since the epoch.

    Raises:
        ConfigError: The mapping file or a handler cannot be used.
    """
    rules = rules_of(settings) if rules is None else rules
    routes, anonymous = route_table(settings.routes), settings.segment.anonymous
    with_values = settings.delivery.suppress_unchanged
    if rules.is_empty():
        return Router(routes, anonymous, with_values=with_values, clock=clock)
    return RuledRouter(routes, anonymous, rules, with_values=with_values, clock=clock)


def rules_of(settings: Settings) -> Rules:
    """The rules that the settings name.

    Raises:
        ConfigError: The mapping file or a handler cannot be used.
    """
    file = settings.mapping.file
    source = read_rules(Path(file)) if file else parse_rules(Tree(""))
    return compile_rules(source, handlers_of(settings))


def handlers_of(settings: Settings) -> dict[str, Handler]:
    """The handlers that the settings name, by their names and in their order.

    Raises:
        ConfigError: One cannot be used.
    """
    return {name: load_handler(name) for name in settings.mapping.handlers}
