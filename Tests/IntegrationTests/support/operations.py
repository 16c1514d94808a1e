"""What operators ask a ws-emit for."""
import json
import subprocess

from .clients import http_request
from .processes import HERE, ROOT
from .waiting import eventually


class Admin:
    """The listener for operators of a bridge that was started with `--admin-address`, or the public one."""

    def __init__(self, host, port):
        self.host, self.port = host, port

    def get(self, path, **headers):
        return http_request(self, "GET", path, headers=headers)

    def readiness(self):
        """(HTTP status, the body) of /readyz."""
        answer = self.get("/readyz")
        return answer.status, json.loads(answer.body)

    def wait_until_ready(self):
        eventually(lambda: self.readiness()[0] == 200, "ws-emit is ready")
        return self

    def wait_for_reason(self, code):
        """The reason with this code, once /readyz gives it."""
        def found():
            status, body = self.readiness()
            return status == 503 and next((r for r in body["reasons"] if r["code"] == code), None)
        return eventually(found, f"/readyz says {code}")

    def metrics(self):
        """{name: {labels as a sorted tuple of pairs: value}}, read by Prometheus's own parser."""
        return parse(self.get("/metrics").text)[1]

    def metric(self, name, **labels):
        """One value; None for a series that isn't there yet."""
        return self.metrics().get(name, {}).get(tuple(sorted(labels.items())))


def parse(text):
    """({family: (type, help)}, {sample: {labels: value}}) of a text in Prometheus's format."""
    venv = subprocess.run([ROOT / "scripts/venv", "prometheus"], capture_output=True, text=True)
    assert venv.returncode == 0, f"the environment with Prometheus's parser is missing: {venv.stderr}"
    parsed = subprocess.run([venv.stdout.strip() + "/bin/python", HERE / "prometheus_program.py"], input=text,
                            capture_output=True, text=True)
    assert parsed.returncode == 0, f"this is no Prometheus text: {parsed.stderr}\n{text}"
    families, samples = {}, {}
    for family in json.loads(parsed.stdout):
        families[family["name"]] = (family["type"], family["help"])
        for name, labels, value in family["samples"]:
            series = samples.setdefault(name, {})
            key = tuple(sorted(labels.items()))
            assert key not in series, f"{name}{labels} twice"
            series[key] = value
    return families, samples
