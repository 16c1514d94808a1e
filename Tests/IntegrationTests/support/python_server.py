"""A real python-socketio server with clients of its own, in the environment of one release."""
import subprocess
import urllib.request

from .processes import HERE, ROOT, Running
from .waiting import PATIENCE, eventually, free_port


def python(release):
    """The interpreter of a release's environment."""
    venv = subprocess.run([ROOT / "scripts/venv", f"emitter-{release}"], capture_output=True, text=True)
    assert venv.returncode == 0, f"the Python environment of release {release} is missing: {venv.stderr}"
    return venv.stdout.strip() + "/bin/python"


class PythonServer:
    """What a Bridge is to clients, in Python."""

    def __init__(self, release, redis_server):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        already = redis_server.subscribers()
        self.running = Running([python(release), HERE / "python_server_program.py", redis_server.url, self.port])
        self.running.wait_for_line("ready")
        # It subscribes when its first client comes.
        # Old releases have no websockets in their threads.
        protocol = 3 if release.startswith("4.") else 4
        urllib.request.urlopen(f"{self.url}/socket.io/?EIO={protocol}&transport=polling", timeout=PATIENCE).close()
        eventually(lambda: redis_server.subscribers() > already, "the Python server subscribes")

    def websocket_url(self, query="EIO=4&transport=websocket", path="/socket.io/"):
        return f"ws://127.0.0.1:{self.port}{path}?{query}"

    def stop(self):
        return self.running.stop()

    close = stop
