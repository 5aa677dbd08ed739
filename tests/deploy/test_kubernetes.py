"""The Kubernetes manifests: valid, restricted, and true to what the service needs and does."""

import copy
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
from kubernetes_validate.utils import ValidationError, validate

from consumer import __version__
from consumer.cli import execute
from consumer.config.checks import require_credentials
from consumer.config.load import Loaded, load
from consumer.process import EXIT_MARGIN_S
from tests.support.kubernetes import OVERLAYS, Object, not_restricted, of_kind, pods, rendered, the
from tests.support.promql import flaws

REPOSITORY: Final = Path(__file__).parents[2]
RESULTS: Final = (REPOSITORY / "benchmarks" / "RESULTS.md").read_text()
VERSIONS: Final = ("1.29", "1.34")
"""The oldest that we look at, and a new one."""
OPERATORS: Final[dict[str, Any]] = {
    "ScaledObject": ScaledObject,
    "PodMonitor": PodMonitor,
    "PrometheusRule": PrometheusRule,
}
"""Models of what is no part of Kubernetes, made by others from the published schemas."""


def deployment(overlay: str = "plain") -> Object:
    return the(overlay, "Deployment")


def container(pod: Object) -> Object:
    [one] = pod["containers"]
    assert isinstance(one, dict)
    return one


def settings(tmp_path: Path) -> Loaded:
    """The service's configuration as its pod finds it: the mounted files, and the variables."""
    files = the("plain", "ConfigMap")["data"] | {"pendo-api-key": "a-key"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    environ = {one["name"]: one["value"] for one in container(pods("plain")["pendo-consumer"])["env"]}
    environ = {name: re.sub(r"^/.*/", f"{tmp_path}/", value) for name, value in environ.items()}
    config = tmp_path / "consumer.yaml"
    config.write_text(config.read_text().replace("/etc/pendo-consumer/", f"{tmp_path}/"))
    return load(config, environ)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_every_object(overlay: str, version: str) -> None:
    """Strictly: a field with a typing error is refused, not left out."""
    for one in rendered(overlay):
        if one["kind"] not in OPERATORS:
            validate(one, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    wrong = copy.deepcopy(deployment())
    wrong["spec"]["template"]["spec"]["terminationGraceSeconds"] = 1
    with pytest.raises(ValidationError):
        validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_operators_take_their_objects(overlay: str) -> None:
    """Nothing is lost on the way through the model: it drops what it does not know."""
    found = [one for one in rendered(overlay) if one["kind"] in OPERATORS]
    assert bool(found) == (overlay != "plain")
    for one in found:
        model = OPERATORS[one["kind"]].model_validate(one)
        again = json.loads(model.model_dump_json(by_alias=True, exclude_none=True))
        assert again == json.loads(json.dumps(one))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_restricted(overlay: str) -> None:
    """And the namespace refuses any other."""
    assert {name: not_restricted(pod) for name, pod in pods(overlay).items()} == {
        "pendo-consumer": [],
        "pendo-consumer-check": [],
        "pendo-consumer-replay": [],
    }
    labels = the(overlay, "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("flaw", "change"),
    [
        ("hostNetwork", lambda pod: pod.update(hostNetwork=True)),
        ("runAsNonRoot", lambda pod: pod["securityContext"].pop("runAsNonRoot")),
        ("runAsUser", lambda pod: pod["securityContext"].update(runAsUser=0)),
        ("seccompProfile", lambda pod: pod["securityContext"].pop("seccompProfile")),
        ("volume hostPath", lambda pod: pod["volumes"].append({"name": "x", "hostPath": {"path": "/"}})),
        ("allowPrivilegeEscalation", lambda pod: container(pod)["securityContext"].pop("allowPrivilegeEscalation")),
        ("capabilities", lambda pod: container(pod)["securityContext"]["capabilities"].update(add=["SYS_ADMIN"])),
        ("privileged", lambda pod: container(pod)["securityContext"].update(privileged=True)),
        ("hostPort", lambda pod: container(pod)["ports"][0].update(hostPort=80)),
    ],
)
def test_what_is_not_restricted_is_found(flaw: str, change: Any) -> None:
    """The test of the test above."""
    pod = copy.deepcopy(pods("plain")["pendo-consumer"])
    change(pod)
    assert flaw in not_restricted(pod)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_ask_nothing_of_the_cluster(overlay: str) -> None:
    """No token; and no variables of services, which begin with our prefix."""
    account = the(overlay, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    for pod in pods(overlay).values():
        assert pod["serviceAccountName"] == account["metadata"]["name"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert container(pod)["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_grace_period_is_longer_than_the_longest_stop(tmp_path: Path) -> None:
    """The service's deadline, the margin after which it ends itself, and something for the runtime."""
    longest_s = settings(tmp_path).settings.delivery.shutdown_timeout_s + EXIT_MARGIN_S
    assert longest_s < pods("plain")["pendo-consumer"]["terminationGracePeriodSeconds"] <= longest_s + 10


def test_the_configuration_is_valid_and_holds_no_secret(tmp_path: Path) -> None:
    loaded = settings(tmp_path)
    require_credentials(loaded.settings)
    assert loaded.settings.pendo.api_key is not None
    assert of_kind("plain", "Secret") == []
    assert not re.search(r"^\s*(api_key|password|admin_token|\w*secret|integration_key):", _config(), re.MULTILINE)


def _config() -> str:
    text: str = the("plain", "ConfigMap")["data"]["consumer.yaml"]
    return text


def test_a_secret_is_renewed_in_place() -> None:
    """A file mounted by subPath never changes; a folder does, and the service looks at it."""
    for pod in pods("plain").values():
        mounts = {one["name"]: one for one in container(pod)["volumeMounts"]}
        assert not any("subPath" in one for one in mounts.values())
        [variable] = container(pod)["env"]
        assert variable["name"].endswith("_FILE")
        assert variable["value"].startswith(f"{mounts['secrets']['mountPath']}/")
        [secret] = [one["secret"] for one in pod["volumes"] if "secret" in one]
        assert secret == {"secretName": "pendo-consumer", "defaultMode": 0o440}


def test_a_rollout_and_a_drained_node_take_one_pod_at_a_time() -> None:
    strategy = deployment()["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 0, "maxUnavailable": 1}
    assert the("plain", "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    keys = [one["topologyKey"] for one in pods("plain")["pendo-consumer"]["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_probes_ask_what_they_are_for() -> None:
    """An outage is alive: liveness never asks whether it is ready."""
    pod = container(pods("plain")["pendo-consumer"])
    asked = {name: pod[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {name: one["path"] for name, one in asked.items()} == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    [port] = pod["ports"]
    assert {one["port"] for one in asked.values()} == {port["name"]}


def test_what_selects_pods_finds_them(tmp_path: Path) -> None:
    """Service, budget and spread find the Deployment's pods and no job's; the policy finds both."""
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    service, budget = the("plain", "Service"), the("plain", "PodDisruptionBudget")
    assert service["spec"]["clusterIP"] == "None"
    assert service["metadata"]["name"] == settings(tmp_path).settings.http.peers
    policy = the("plain", "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    for wanted in (service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"]):
        assert wanted.items() <= labels.items()
    assert policy.items() <= labels.items()
    for job in of_kind("plain", "CronJob"):
        of_job = job["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
        assert policy.items() <= of_job.items()
        assert not service["spec"]["selector"].items() <= of_job.items()
        assert job["spec"]["suspend"] is True


def test_the_policy_lets_through_what_the_service_needs(tmp_path: Path) -> None:
    """Names, Kafka, Pendo, peers."""
    loaded = settings(tmp_path).settings
    out = the("plain", "NetworkPolicy")["spec"]["egress"]
    open_ports = {port["port"] for rule in out for port in rule["ports"]}
    brokers = {int(one.rpartition(":")[2]) for one in loaded.kafka.bootstrap_servers}
    assert {53, 443, loaded.http.port} | brokers <= open_ports


def test_requests_and_limits_stand_on_what_was_measured() -> None:
    """Twice the most memory that was measured, and the request holds all of it."""
    measured = max(int(one) for one in re.findall(r"\| (\d+) MiB, [+-]", RESULTS))
    resources = container(pods("plain")["pendo-consumer"])["resources"]
    request, limit = (int(resources[kind]["memory"].removesuffix("Mi")) for kind in ("requests", "limits"))
    assert measured * 1.25 <= request
    assert measured * 2 <= limit
    text = (REPOSITORY / "config" / "kubernetes" / "base" / "deployment.yaml").read_text()
    assert f"{measured} MiB" in text
    rate = re.search(r"\(([\d,]+)/s\); endpoint", RESULTS)
    assert rate is not None
    assert f"{rate[1]} events/s" in text


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_command_is_known(overlay: str) -> None:
    commands = {tuple(container(pod)["args"]) for pod in pods(overlay).values()}
    assert {one[0] for one in commands} == {"run", "check", "dlq"}
    for arguments in commands:
        with pytest.raises(SystemExit) as ended:
            execute([*arguments, "--help"])
        assert ended.value.code == 0


def test_the_image_is_of_this_version() -> None:
    assert {container(pod)["image"] for pod in pods("plain").values()} == {f"pendo-consumer:{__version__}"}


def test_the_autoscaler_owns_the_number_of_pods() -> None:
    """By the backlog, which is a metric that exists."""
    scaled = the("keda", "ScaledObject")["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment("keda")["metadata"]["name"]
    assert "replicas" not in deployment("keda")["spec"]
    [trigger] = scaled["triggers"]
    assert flaws(trigger["metadata"]["query"].replace('{namespace="pendo-consumer"}', "")) == []
    assert "pendo_consumer_backlog_records" in trigger["metadata"]["query"]
    assert scaled["minReplicaCount"] == deployment()["spec"]["replicas"]


def test_the_operator_has_the_same_rules() -> None:
    """config/prometheus/rules.yaml is the one to change; then copy `groups` into prometheusrule.yaml."""
    rules = yaml.safe_load((REPOSITORY / "config" / "prometheus" / "rules.yaml").read_text())
    assert the("prometheus-operator", "PrometheusRule")["spec"] == rules


def test_the_operator_finds_the_pods() -> None:
    monitor = the("prometheus-operator", "PodMonitor")["spec"]
    labels = deployment()["spec"]["template"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    [endpoint] = monitor["podMetricsEndpoints"]
    assert endpoint["port"] == container(pods("plain")["pendo-consumer"])["ports"][0]["name"]
