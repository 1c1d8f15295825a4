# SPDX-License-Identifier: Apache-2.0
"""Terraform and the unmodified provider apply the handbook's HCL; afterwards the plan is empty, destroy is clean.

Needs Terraform 1.5 (`terraform` on PATH, or $YAGURA_TERRAFORM, or a Go tool chain to build it with) and the provider:
YAGURA_TF_PROVIDER=<binary>, or YAGURA_TF_INIT=1 to let `terraform init` fetch it.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
from receiver import Receiver
from server import API_KEY, APP_KEY, ROOT, eventually

VERSION = "1.5.7"
HERE = pathlib.Path(__file__).parent
VARIABLES = {"env": "prod", "service_name": "x", "team_channel": "ops-alerts", "limit": 5}


def version_of(program):
    try:
        out = subprocess.run([program, "version", "-json"], capture_output=True, text=True, timeout=60).stdout
        return json.loads(out)["terraform_version"]
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return None


@pytest.fixture(scope="session")
def terraform():
    for program in (os.environ.get("YAGURA_TERRAFORM"), shutil.which("terraform"), str(ROOT / "build/conformance/terraform")):
        if program and version_of(program):
            return program
    go = shutil.which("go")
    if not go:
        pytest.skip("neither terraform nor go is here")
    target = ROOT / "build" / "conformance"
    print(f"building Terraform {VERSION} into {target} (a few minutes)")
    done = subprocess.run([go, "install", f"github.com/hashicorp/terraform@v{VERSION}"], env={**os.environ, "GOBIN": str(target)},
                          capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        pytest.skip(f"terraform could not be built: {done.stderr[-300:]}")
    return str(target / "terraform")


class Workspace:
    def __init__(self, folder, program, node, variables):
        self.folder, self.program, self.variables = folder, program, dict(variables)
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith(("DD_", "DATADOG_", "TF_"))},
                    "DD_API_KEY": API_KEY, "DD_APP_KEY": APP_KEY, "DD_HOST": f"http://{node.api}",
                    "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        for source in (HERE / "terraform").glob("*.tf"):
            shutil.copy(source, folder)
        provider = os.environ.get("YAGURA_TF_PROVIDER")
        if provider:
            bin_dir = folder / "provider"
            bin_dir.mkdir()
            os.symlink(pathlib.Path(provider).resolve(), bin_dir / "terraform-provider-datadog")
            config = folder / "terraformrc"
            config.write_text('provider_installation {\n  dev_overrides { "datadog/datadog" = "%s" }\n  direct {}\n}\n' % bin_dir)
            self.env["TF_CLI_CONFIG_FILE"] = str(config)
        elif os.environ.get("YAGURA_TF_INIT") == "1":
            done = self.run("init", "-input=false")
            if done.returncode != 0:
                pytest.skip(f"terraform init: {done.stderr[-300:]}")
        else:
            pytest.skip("no provider: set YAGURA_TF_PROVIDER=<binary>, or YAGURA_TF_INIT=1 with internet")

    def run(self, command, *args):
        chosen = [f"-var={k}={v}" for k, v in self.variables.items()] if command in ("plan", "apply", "destroy", "import") else []
        return subprocess.run([self.program, command, *chosen, *args], cwd=self.folder, env=self.env, capture_output=True,
                              text=True, timeout=300, stdin=subprocess.DEVNULL)

    def apply(self):
        done = self.run("apply", "-auto-approve", "-input=false", "-no-color")
        assert done.returncode == 0, done.stdout + done.stderr

    def plan_is_empty(self):
        done = self.run("plan", "-detailed-exitcode", "-input=false", "-no-color")
        assert done.returncode in (0, 2), done.stdout + done.stderr
        return done.returncode == 0, done.stdout

    def destroy(self):
        done = self.run("destroy", "-auto-approve", "-input=false", "-no-color")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def hook():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def space(terraform, make_yagura, hook, tmp_path):
    node = make_yagura(env={"YAGURA_MONITOR_INTERVAL_MS": "1000"})
    folder = tmp_path / "tf"
    folder.mkdir()
    made = Workspace(folder, terraform, node, {**VARIABLES, "hook_url": hook.url})
    res = node.post("/api/v1/integration/slack", {"service_hooks": [{"account": "team", "url": hook.url}]})
    assert res.status == 204, res
    made.node = node
    return made


def monitors(node):
    return {m["name"]: m for m in node.get("/api/v1/monitor").json}


def test_apply_plan_change_destroy(space, hook):
    space.apply()
    empty, said = space.plan_is_empty()
    assert empty, said
    stored = monitors(space.node)
    assert len(stored) == 3
    handbook = stored["[prod] Lambda Error Rate High: {{service.name}}"]
    assert handbook["type"] == "query alert" and handbook["query"].endswith("> 0.05")
    assert handbook["tags"] == ["env:prod", "service:x", "terraform:true"] or set(handbook["tags"]) == {
        "env:prod", "service:x", "terraform:true"}

    space.variables["limit"] = 7
    empty, said = space.plan_is_empty()
    assert not empty and "errors_by_service" in said
    space.apply()
    empty, said = space.plan_is_empty()
    assert empty, said
    assert monitors(space.node)["Errors in the logs of {{service.name}}"]["options"]["thresholds"]["critical"] == 7

    space.destroy()
    assert monitors(space.node) == {}
    assert space.node.get("/api/v1/integration/webhooks/configuration/webhooks/tf-ops").status == 404


def test_a_change_made_elsewhere_is_seen(space):
    space.apply()
    ident = next(m["id"] for m in monitors(space.node).values() if m["name"].startswith("[prod]"))
    assert space.node.call("PUT", f"/api/v1/monitor/{ident}", {"message": "changed by hand"}).status == 200
    empty, said = space.plan_is_empty()
    assert not empty and "lambda_error_rate" in said
    assert space.node.call("DELETE", f"/api/v1/monitor/{ident}").status == 200
    space.apply()
    assert len(monitors(space.node)) == 3
    space.destroy()


def test_bad_query_is_refused_at_plan_time(space):
    text = (space.folder / "handbook.tf").read_text()
    (space.folder / "handbook.tf").write_text(text.replace("avg(last_5m):default_zero", "avg(last_0m):default_zero"))
    done = space.run("plan", "-input=false", "-no-color")
    assert done.returncode == 1 and re.search(r"error validating monitor|400 Bad Request", done.stderr), done


def test_the_applied_monitor_fires(space, hook):
    space.apply()
    now = int(time.time()) // 10 * 10
    space.node.post("/api/v2/series", {"series": [
        {"metric": f"aws.lambda.{m}", "type": 1, "interval": 10, "tags": ["env:prod", "service:x"],
         "points": [{"timestamp": now - b, "value": v} for b in range(20, 290, 10)]} for m, v in (("errors", 9), ("invocations", 100))]})
    eventually(lambda: hook.got, 30, what="the Slack message")
    attachment = hook.got[0]["attachments"][0]
    assert "Lambda Error Rate High" in attachment["title"] and "のエラー率が5%を超えました" in attachment["text"]
    space.destroy()
