"""The alerting rules of contrib/prometheus: Prometheus takes them, each fires when it should, and ws-emit has their metrics."""
import re
import subprocess

import pytest

from support.processes import HERE, ROOT, command

pytestmark = pytest.mark.ours
RULES = ROOT / "contrib/prometheus/ws-emit.rules.yml"
CASES = HERE / "alerts.test.yml"
ALERTS = re.findall(r"(?m)^ +- alert: (\w+)$", RULES.read_text())


def promtool(*arguments):
    done = subprocess.run([command("promtool"), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules():
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES)


def test_each_alert_fires_when_it_should_and_only_then():
    promtool("test", "rules", CASES)
    cases = CASES.read_text()
    for alert in ALERTS:
        assert re.search(rf"alertname: {alert}, eval_time", cases), f"no quiet case of {alert}"
        assert re.search(rf"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels", cases), f"{alert} never fires"


def test_ws_emit_has_the_metrics_that_the_rules_ask_for(redis_server, start_bridge):
    bridge = start_bridge(redis_server, admin=True)
    bridge.admin.wait_until_ready()
    text = bridge.admin.get("/metrics").text
    for selector in set(re.findall(r"(ws_emit_\w+(?:\{\w+=\"\w+\"\})?)", "\n".join(re.findall(r"expr: (.*)", RULES.read_text())))):
        name, _, label = selector.rstrip("}").partition("{")
        assert re.search(rf"(?m)^{name}(?:\{{.*{label}.*\}})? ", text), f"{selector} is no metric"


def test_the_document_names_every_alert_and_its_configuration_is_valid(tmp_path):
    text = (ROOT / "docs/operating.md").read_text()
    assert re.findall(r"(?m)^\| `(WsEmit\w+)`", text) == ALERTS
    block, = re.findall(r"(?ms)^```yaml\n(.*?)^```", text)
    assert f"/etc/prometheus/{RULES.name}" in block and re.search(rf'job="{re.search(r"job_name: (.*)", block)[1]}"', RULES.read_text())
    (tmp_path / "prometheus.yml").write_text(block.replace("/etc/prometheus", str(RULES.parent)))
    assert "SUCCESS" in promtool("check", "config", tmp_path / "prometheus.yml")
