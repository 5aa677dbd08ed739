"""The stack and the image promise what the service keeps: its keys, its command lines, its addresses.

No container is started here; what stands in the files is held against the code that it will run.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from consumer.config.checks import require_credentials
from consumer.config.load import Loaded, load
from tests.support.tools import tool

REPOSITORY: Final = Path(__file__).parents[2]
SERVICES: Final[dict[str, dict[str, Any]]] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
ONE_SHOT: Final = {"topics"}
WITHOUT_AN_ANSWER: Final = {"topics", "traffic"}
DOCKERFILE: Final = (REPOSITORY / "Dockerfile").read_text()


REAL: Final = REPOSITORY / "config" / "compose" / "real.yaml"
EXAMPLE: Final = (REPOSITORY / ".env.example").read_text()


def variables(text: str) -> dict[str, str]:
    """The variables that a compose file takes from its environment, with their defaults."""
    return dict(re.findall(r"\$\{([A-Z_]+):[-?]([^}]*)\}", text))


def settings() -> Loaded:
    return load(None, SERVICES["pendo-consumer"]["environment"])


def test_the_services_environment_is_a_valid_configuration() -> None:
    """A key that was renamed would end the container with 78."""
    loaded = settings()
    require_credentials(loaded.settings)
    assert loaded.warnings == ()


def test_the_service_talks_to_the_parts_of_the_stack() -> None:
    loaded = settings().settings
    assert loaded.kafka.bootstrap_servers == ("kafka:9092",)
    assert loaded.pendo.data_url == loaded.pendo.api_url == "http://pendo:9000"
    assert loaded.pendo.api_key is not None
    assert f"--api-key={loaded.pendo.api_key.get_secret_value()}" in SERVICES["pendo"]["command"]


def test_the_topics_of_the_service_are_created() -> None:
    """The service creates none, and this broker neither."""
    (script,) = SERVICES["topics"]["command"]
    created = set(re.findall(r"--topic (\S+)", script))
    loaded = settings().settings
    assert created == {*loaded.kafka.topics, loaded.dead_letter.topic}
    assert SERVICES["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_part_waits_for_exists_and_can_happen(name: str) -> None:
    """A healthy one has a health check, a completed one ends."""
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        match wait["condition"]:
            case "service_healthy":
                assert "healthcheck" in SERVICES[other]
            case "service_completed_successfully":
                assert other in ONE_SHOT
            case condition:
                pytest.fail(f"{name} waits for {condition}, which says little")


@pytest.mark.parametrize("name", SERVICES)
def test_every_part_is_pinned_watched_and_restarted(name: str) -> None:
    part = SERVICES[name]
    assert re.fullmatch(r"[a-z][a-z0-9/-]*:[A-Za-z0-9][\w.-]*", part["image"])
    assert not part["image"].endswith(":latest")
    assert part["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert ("healthcheck" in part) == (name not in WITHOUT_AN_ANSWER)


@pytest.mark.parametrize("name", SERVICES)
def test_no_port_is_open_to_other_machines(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", ["pendo-consumer", "pendo", "traffic"])
def test_our_own_parts_are_built_here_and_hardened(name: str) -> None:
    part = SERVICES[name]
    assert re.search(rf"^FROM \S+ AS {part['build']['target']}$", DOCKERFILE, re.MULTILINE)
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]


def test_without_a_profile_there_is_the_core_alone() -> None:
    """Kafka and the service; what is made up, and what watches, is asked for."""
    profiles = {name: part.get("profiles", []) for name, part in SERVICES.items()}
    assert {name for name, asked in profiles.items() if not asked} == {"kafka", "topics", "pendo-consumer"}
    assert {name for name, asked in profiles.items() if asked == ["sandbox"]} == {"pendo", "traffic"}
    assert {name for name, asked in profiles.items() if asked == ["watch"]} == {"prometheus", "grafana"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_part_waits_only_for_parts_that_are_started_with_it(name: str) -> None:
    for other in SERVICES[name].get("depends_on", {}):
        assert set(SERVICES[other].get("profiles", [])) <= set(SERVICES[name].get("profiles", []))


def test_each_of_two_containers_has_a_port() -> None:
    part = SERVICES["pendo-consumer"]
    first, _, last = variables(part["ports"][0])["CONSUMER_PORTS"].partition("-")
    assert int(last) - int(first) + 1 == part["scale"] == 2


def test_the_example_of_an_environment_names_every_variable() -> None:
    """With the defaults that they have; those for a real Pendo stand as comments."""
    taken = variables((REPOSITORY / "docker-compose.yml").read_text())
    set_here = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert set_here.pop("COMPOSE_PROFILES") == "sandbox,watch"
    assert set_here == taken
    commented = set(re.findall(r"^# ([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert commented == set(variables(REAL.read_text()))


def test_a_real_pendo_takes_two_variables() -> None:
    """And nothing of the simulated one is left: its URLs are taken away."""
    over = yaml.safe_load(REAL.read_text())["services"]
    assert over.keys() == {"pendo-consumer"}
    asked = variables(REAL.read_text())
    assert asked.keys() == {"PENDO_API_KEY", "PENDO_REGION"}
    environment = SERVICES["pendo-consumer"]["environment"] | over["pendo-consumer"]["environment"]
    values = {"PENDO_API_KEY": "a-key", "PENDO_REGION": "eu"}
    filled = {
        name: re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda found: values[found[1]], value)
        for name, value in environment.items()
        if value is not None
    }
    loaded = load(None, filled)
    require_credentials(loaded.settings)
    assert loaded.settings.pendo.region == "eu"
    assert loaded.settings.pendo.data_url is loaded.settings.pendo.api_url is None


def test_prometheus_finds_the_service_and_its_rules() -> None:
    """By the name that the containers share; and promtool takes it all."""
    file = REPOSITORY / "config" / "prometheus" / "prometheus.yaml"
    [job] = yaml.safe_load(file.read_text())["scrape_configs"]
    [found] = job["dns_sd_configs"]
    assert found["names"] == ["pendo-consumer"]
    assert found["port"] == settings().settings.http.port
    part = SERVICES["prometheus"]
    assert part["volumes"] == ["./config/prometheus:/etc/prometheus:ro"]
    assert f"--config.file=/etc/prometheus/{file.name}" in part["command"]
    checked = subprocess.run(
        [tool("promtool", "Debian's prometheus"), "check", "config", file], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    provisioning = REPOSITORY / "config" / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "pendo-consumer.yaml").read_text())["providers"]
    mounts = dict(one.split(":")[:2] for one in SERVICES["grafana"]["volumes"])
    assert mounts["./config/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert mounts["./config/grafana/dashboard.json"].startswith(provider["options"]["path"])


def test_a_stop_is_given_more_time_than_the_service_takes() -> None:
    grace_s = int(SERVICES["pendo-consumer"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings().settings.delivery.shutdown_timeout_s


def test_the_images_command_is_known() -> None:
    """`pendo-consumer run`, asked to explain itself."""
    entry, command = (
        json.loads(found) for found in re.findall(r"(?:ENTRYPOINT|CMD) (\[\"(?:pendo|run).*\])", DOCKERFILE)
    )
    assert entry == ["pendo-consumer"]
    subprocess.run([sys.executable, "-m", "consumer", *command, "--help"], check=True, capture_output=True)


def test_the_simulator_takes_its_command_line() -> None:
    """It runs as it will in the stack, but for its address, and answers the stack's health check."""
    _, *arguments = SERVICES["pendo"]["command"]
    here = [*arguments, "--host=127.0.0.1", "--port=0"]
    with subprocess.Popen([sys.executable, *here], stdout=subprocess.PIPE, text=True) as simulator:
        try:
            assert simulator.stdout is not None
            url = simulator.stdout.readline().strip()
            _, _, *check = SERVICES["pendo"]["healthcheck"]["test"]
            check[1] = check[1].replace("http://127.0.0.1:9000", url)
            assert url in check[1]
            subprocess.run([sys.executable, *check], check=True, timeout=20)
        finally:
            simulator.terminate()


def test_the_traffic_can_be_made() -> None:
    """Its program compiles, and what it takes from the sandbox is there."""
    _, _, program = SERVICES["traffic"]["command"]
    compile(program, "traffic", "exec")
    imports = "\n".join(line for line in program.splitlines() if re.match(r"(from|import) ", line))
    subprocess.run([sys.executable, "-c", imports], check=True, cwd=REPOSITORY, timeout=20)
    assert settings().settings.kafka.topics[0] in program


def stack_check() -> list[str]:
    _, _, *check = SERVICES["pendo-consumer"]["healthcheck"]["test"]
    return list(check)


def image_check() -> list[str]:
    found = re.search(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", DOCKERFILE)
    assert found is not None
    _, *check = json.loads(found[1])
    return list(check)


@contextmanager
def probe_answering(status: int) -> Iterator[int]:
    """Something that answers `/livez` with this status, and anything else with 404; gives its port."""

    class Probe(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Probe) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("check", [image_check(), stack_check()], ids=["image", "stack"])
@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_a_health_check_tells_alive_from_dead(check: list[str], status: int, *, healthy: bool) -> None:
    with probe_answering(status) as port:
        command = [sys.executable, check[0], check[1].replace("8080", str(port))]
        environ = {"HTTP_PROXY": "", "NO_PROXY": "127.0.0.1"}
        ended = subprocess.run(command, check=False, capture_output=True, timeout=20, env=environ)
    assert (ended.returncode == 0) == healthy


def test_the_images_health_check_goes_round_a_proxy() -> None:
    """A pod with HTTP_PROXY set would else ask the proxy whether it is alive."""
    with probe_answering(200) as port:
        environ = {"http_proxy": "http://127.0.0.1:9", "PENDO_CONSUMER_HTTP__PORT": str(port)}
        subprocess.run([sys.executable, *image_check()], check=True, timeout=20, env=environ)
