"""Kubernetes objects as kustomize renders them, and the rules of the Pod Security Standard `restricted`."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.tools import tool

FOLDER: Final = Path(__file__).parents[2] / "config" / "kubernetes"
OVERLAYS: Final = ("plain", "keda", "prometheus-operator")
_VOLUMES: Final = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"} | {
    "projected",
    "secret",
}

Object = dict[str, Any]


@cache
def rendered(overlay: str) -> tuple[Object, ...]:
    """All objects of an overlay, as a cluster would get them."""
    if shutil.which("kustomize") is None and shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    else:
        command = [tool("kustomize", "sigs.k8s.io/kustomize/kustomize/v5 by `go install`"), "build"]
    built = subprocess.run([*command, FOLDER / overlay], check=False, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return tuple(yaml.safe_load_all(built.stdout))


def of_kind(overlay: str, kind: str) -> list[Object]:
    """The objects of a kind."""
    return [one for one in rendered(overlay) if one["kind"] == kind]


def the(overlay: str, kind: str) -> Object:
    """The only object of a kind."""
    [one] = of_kind(overlay, kind)
    return one


def pods(overlay: str) -> dict[str, Object]:
    """The specs of all pods, by the name of what makes them."""
    return {one["metadata"]["name"]: spec for one in rendered(overlay) if (spec := _pod(one))}


def _pod(one: Object) -> Object | None:
    match one["kind"]:
        case "Deployment":
            spec: Object = one["spec"]["template"]["spec"]
        case "CronJob":
            spec = one["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        case _:
            return None
    return spec


def not_restricted(pod: Object) -> list[str]:
    """What the Pod Security Standard `restricted`, as of Kubernetes 1.31, would refuse in a pod."""
    return [*_not_baseline(pod), *_pod_flaws(pod), *(flaw for one in _containers(pod) for flaw in _flaws(one, pod))]


def _containers(pod: Object) -> list[Object]:
    return [one for key in ("containers", "initContainers", "ephemeralContainers") for one in pod.get(key, ())]


def _not_baseline(pod: Object) -> Iterator[str]:
    yield from (key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key))
    if pod.get("securityContext", {}).get("sysctls"):
        yield "sysctls"
    for one in _containers(pod):
        context = one.get("securityContext", {})
        if context.get("privileged"):
            yield "privileged"
        if context.get("procMount", "Default") != "Default":
            yield "procMount"
        if any(port.get("hostPort") for port in one.get("ports", ())):
            yield "hostPort"
        probes = [one[key] for key in ("startupProbe", "livenessProbe", "readinessProbe") if key in one]
        if any(handler.get("host") for probe in probes for handler in probe.values() if isinstance(handler, dict)):
            yield "host of a probe"


def _pod_flaws(pod: Object) -> Iterator[str]:
    for volume in pod.get("volumes", ()):
        yield from (f"volume {kind}" for kind in volume.keys() - {"name"} - _VOLUMES)
    if pod.get("securityContext", {}).get("runAsUser") == 0:
        yield "runAsUser"


def _flaws(one: Object, pod: Object) -> Iterator[str]:
    context, of_pod = one.get("securityContext", {}), pod.get("securityContext", {})
    both = of_pod | context
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if both.get("runAsUser") == 0:
        yield "runAsUser of a container"
    if both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccompProfile"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "capabilities"
