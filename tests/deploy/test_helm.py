"""The Helm chart, rendered by the real helm: Kubernetes knows every field, and what an operator relies on is there.

HELM names the program (`make test` gets one by tools/helm.sh), else it is the one on PATH. Without either nothing is run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import dragoman
from dragoman.cli.app import app
from dragoman.gateway import config

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "dragoman"
HELM = os.environ.get("HELM") or shutil.which("helm")
if HELM is None or not Path(HELM).exists():
    pytest.skip("there is no helm: HELM names none, nor is one on PATH", allow_module_level=True)

EVERYTHING = {
    "image": {"repository": "somewhere/dragoman", "tag": "1.2.3"},
    "config": "# as it is: 12345678901, off\nmodels:\n  - {name: a, model: openai/a}\nserver: {drain_seconds: 100}\n",
    "secret": {"DRAGOMAN_API_KEY": "sk-of-the-gateway", "OPENAI_API_KEY": "sk-of-openai"},
    "env": [{"name": "REGION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
    "journal": {"size": "5Gi", "storageClassName": "fast"},
    "pod": {"serviceAccountName": "models", "nodeSelector": {"kind": "quick"}, "imagePullSecrets": [{"name": "images"}]},
    "podAnnotations": {"team": "platform"},
    "service": {"type": "LoadBalancer", "port": 8080, "annotations": {"a": "b"}},
    "ingress": {
        "enabled": True,
        "className": "web",
        "annotations": {"a": "b"},
        "hosts": ["models.example.com", "llm.example.com"],
        "tlsSecret": "certificate",
    },
    "autoscaling": {"enabled": True, "maxReplicas": 20},
    "podDisruptionBudget": {"maxUnavailable": "30%"},
    "serviceMonitor": {"enabled": True, "labels": {"prometheus": "main"}},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"team": "apps"}}}],
        "egress": [{"ports": [{"port": 443}]}],
    },
}
PLAIN = {
    "existingSecret": "keys",
    "journal": {"persistent": False},
    "podDisruptionBudget": {"enabled": False},
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True, "secret": "viewer", "secretKey": "key"},
}
SETS = {"defaults": {}, "everything": EVERYTHING, "plain": PLAIN}
CUSTOM = {"ServiceMonitor"}
"""What Kubernetes itself does not define."""


def helm(*arguments: str, values: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HELM, *arguments, "--values", "-"], input=json.dumps(values), capture_output=True, text=True, timeout=60, check=False
    )


@cache
def rendered(values: str, release: str = "dragoman") -> dict[str, Any]:
    """The manifests of one of `SETS`, by their kinds."""
    done = helm("template", release, str(CHART), values=SETS[values])
    assert done.returncode == 0, done.stderr
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(done.stdout)}


def refused(values: Any) -> str:
    done = helm("template", "dragoman", str(CHART), values=values)
    assert done.returncode != 0
    return done.stderr


def pod(values: str) -> Any:
    return rendered(values)["StatefulSet"]["spec"]["template"]["spec"]


def container(values: str) -> Any:
    (found,) = pod(values)["containers"]
    return found


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_to_say(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), values=SETS[values])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.31", "1.34"])
@pytest.mark.parametrize("values", SETS)
def test_kubernetes_knows_every_field(values: str, version: str) -> None:
    for kind, manifest in rendered(values).items():
        if kind not in CUSTOM:
            assert kubernetes_validate.validate(manifest, version, strict=True) == version


def test_what_is_there_is_what_was_asked_for() -> None:
    always = {"ConfigMap", "Service", "StatefulSet"}
    assert set(rendered("defaults")) == always | {"PodDisruptionBudget"}
    assert set(rendered("plain")) == always | {"NetworkPolicy", "ServiceMonitor"}
    asked = {"Secret", "Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor"}
    assert set(rendered("everything")) == always | asked


def test_the_gateway_reads_the_default_configuration() -> None:
    env = {
        "DRAGOMAN_API_KEY": "sk-master",
        "DATABASE_URL": "postgresql://localhost/dragoman",
        "REDIS_URL": "redis://localhost",
        "OPENAI_API_KEY": "sk-none",
    }
    text = rendered("defaults")["ConfigMap"]["data"]["dragoman.yaml"]
    found, _ = config.read(text, file="dragoman.yaml", env=env)
    assert found.governance.database == env["DATABASE_URL"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container("defaults")["volumeMounts"]}
    assert found.governance.journal.startswith(mounts["journal"] + "/")


def test_the_configuration_is_passed_on_letter_by_letter() -> None:
    assert rendered("everything")["ConfigMap"]["data"] == {"dragoman.yaml": EVERYTHING["config"]}


def test_secrets_are_in_the_secret_alone() -> None:
    manifests = rendered("everything")
    assert manifests["Secret"]["stringData"] == EVERYTHING["secret"]
    others = json.dumps([manifest for kind, manifest in manifests.items() if kind != "Secret"])
    assert not [value for value in EVERYTHING["secret"].values() if value in others]


@pytest.mark.parametrize(("values", "secret"), [("everything", "dragoman"), ("plain", "keys"), ("defaults", None)])
def test_the_environment_is_the_secret_s(values: str, secret: str | None) -> None:
    assert container(values).get("envFrom") == ([{"secretRef": {"name": secret}}] if secret else None)


def test_the_container_starts_a_command_that_exists_on_the_port_that_is_asked() -> None:
    name, *options = container("defaults")["args"]
    parsed = app.commands[name].make_context(name, options, resilient_parsing=True).params
    mounts = {mount["name"]: mount["mountPath"] for mount in container("defaults")["volumeMounts"]}
    assert str(parsed["config"]) == mounts["config"] + "/dragoman.yaml"
    assert container("defaults")["ports"] == [{"name": "http", "containerPort": parsed["port"]}]
    assert {port["targetPort"] for port in rendered("defaults")["Service"]["spec"]["ports"]} == {"http"}


@pytest.mark.parametrize("values", SETS)
def test_the_probes_ask_what_needs_no_key(values: str) -> None:
    assert container(values)["readinessProbe"]["httpGet"] == {"path": "/health/ready", "port": "http"}
    assert container(values)["livenessProbe"]["httpGet"] == {"path": "/health/live", "port": "http"}


@pytest.mark.parametrize("values", SETS)
def test_the_pod_has_no_rights(values: str) -> None:
    of_pod, of_container = pod(values)["securityContext"], container(values)["securityContext"]
    assert of_pod["runAsNonRoot"]
    assert f"USER {of_pod['runAsUser']}\n" in (CHART.parents[1] / "Dockerfile").read_text()
    assert of_pod["fsGroup"] == of_pod["runAsUser"], "the journal's volume is the user's to write"
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert of_container["readOnlyRootFilesystem"]
    assert not of_container["allowPrivilegeEscalation"]
    assert of_container["capabilities"] == {"drop": ["ALL"]}
    assert pod(values)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("values", SETS)
def test_every_mount_has_its_volume(values: str) -> None:
    claims = rendered(values)["StatefulSet"]["spec"].get("volumeClaimTemplates", [])
    volumes = {volume["name"] for volume in pod(values)["volumes"]} | {claim["metadata"]["name"] for claim in claims}
    assert {mount["name"] for mount in container(values)["volumeMounts"]} == volumes
    assert bool(claims) == (values != "plain"), "a journal outlives its pod, unless that is not wanted"


@pytest.mark.parametrize(("values", "drain"), [("defaults", config.ServerEntry().drain_seconds), ("everything", 100)])
def test_a_stop_leaves_streams_the_time_that_the_gateway_gives_them(values: str, drain: int) -> None:
    before = container(values)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(values)["terminationGracePeriodSeconds"] > before + drain


@pytest.mark.parametrize("values", SETS)
def test_what_selects_pods_finds_them(values: str) -> None:
    manifests = rendered(values)
    labels = manifests["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["StatefulSet"]["spec"]["selector"]["matchLabels"] == labels
    for kind, field in [("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")]:
        if kind in manifests:
            assert manifests[kind]["spec"][field]["matchLabels"] == labels
    if "ServiceMonitor" in manifests:
        wanted = manifests["ServiceMonitor"]["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= manifests["Service"]["metadata"]["labels"].items()


def test_the_autoscaler_alone_says_how_many_pods_there_are() -> None:
    assert rendered("defaults")["StatefulSet"]["spec"]["replicas"] == 3
    assert "replicas" not in rendered("everything")["StatefulSet"]["spec"]
    target = rendered("everything")["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("StatefulSet", rendered("everything")["StatefulSet"]["metadata"]["name"])


@pytest.mark.parametrize(
    ("values", "credentials"),
    [("everything", {"name": "dragoman", "key": "DRAGOMAN_API_KEY"}), ("plain", {"name": "viewer", "key": "key"})],
)
def test_prometheus_shows_a_key(values: str, credentials: Any) -> None:
    (endpoint,) = rendered(values)["ServiceMonitor"]["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    assert endpoint["authorization"] == {"credentials": credentials}


def test_the_network_s_rules_are_those_given() -> None:
    ours = rendered("plain")["NetworkPolicy"]["spec"]
    assert (ours["policyTypes"], ours["ingress"]) == (["Ingress"], [{"ports": [{"port": "http"}]}])
    theirs = rendered("everything")["NetworkPolicy"]["spec"]
    assert theirs["policyTypes"] == ["Ingress", "Egress"]
    assert theirs["ingress"][0]["from"] == EVERYTHING["networkPolicy"]["from"]
    assert theirs["egress"] == EVERYTHING["networkPolicy"]["egress"]


@pytest.mark.parametrize(
    ("release", "name"), [("prod", "prod-dragoman"), ("7", "7-dragoman"), ("x" * 53, "x" * 52), ("my-dragoman", "my-dragoman")]
)
def test_names_come_from_the_release(release: str, name: str) -> None:
    manifests = rendered("everything", release)
    assert {manifest["metadata"]["name"] for manifest in manifests.values()} == {name}
    assert manifests["Service"]["spec"]["selector"]["app.kubernetes.io/instance"] == release


@pytest.mark.parametrize(
    ("before", "after"),
    [({"config": "models: []"}, {"config": "models: [] #"}), ({"secret": {"A": "1"}}, {"secret": {"A": "2"}})],
)
def test_a_change_of_what_a_pod_reads_replaces_it(before: Any, after: Any) -> None:
    def template(values: Any) -> Any:
        manifests = yaml.safe_load_all(helm("template", "dragoman", str(CHART), values=values).stdout)
        return next(each["spec"]["template"] for each in manifests if each["kind"] == "StatefulSet")

    assert template(before) == template(before)
    assert template(before) != template(after)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replica": 2}, "replica"),
        ({"config": {"models": []}}, "/config"),
        ({"config": "models: [a"}, "config is not YAML: "),
        ({"existingSecret": "a", "secret": {"B": "c"}}, "existingSecret and secret are both set"),
        ({"secret": {"NUMBER": 1}}, "/secret/NUMBER"),
        ({"ingress": {"enabled": True}}, "/ingress/hosts"),
        ({"pod": {"hostNetwork": True}}, "hostNetwork"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values: Any, said: str) -> None:
    assert said in refused(values)


def test_the_chart_is_that_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == dragoman.__version__
    assert container("defaults")["image"] == f"dragoman:{dragoman.__version__}"
    assert container("everything")["image"] == "somewhere/dragoman:1.2.3"


def test_every_value_is_in_the_schema_and_in_the_readme() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    known = json.loads((CHART / "values.schema.json").read_text())["properties"]
    rows = [line for line in (CHART / "README.md").read_text().splitlines() if line.startswith("| `")]
    for name, value in values.items():
        assert name in known
        (row,) = [row for row in rows if row.startswith((f"| `{name}`", f"| `{name}."))]
        inner = known[name].get("properties", {})
        assert set(inner) >= set(value if inner else ())
        assert not [each for each in inner if f".{each}`" not in row and f"`{each}`" not in row]
