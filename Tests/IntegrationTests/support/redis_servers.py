"""Redis as it is run in production: with TLS, behind sentinels, as a cluster. Each takes the program of the server."""
import pathlib
import shutil
import signal
import subprocess
import tempfile

import redis

from .processes import REDIS_CHANNEL, Running, command, redis_program
from .waiting import PATIENCE, eventually, free_port


class Certificates:
    """A CA of our own and what it has signed; made by openssl into an empty folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca = self._authority("ca")
        self.other_ca = self._authority("other-ca")

    def _openssl(self, *arguments):
        done = subprocess.run([command("openssl"), *map(str, arguments)], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def _authority(self, name):
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                      f"{name}.key", "-out", f"{name}.pem", "-days", 2, "-subj", f"/CN={name}")
        return self.folder / f"{name}.pem"

    def signed(self, name, *, names="IP:127.0.0.1,DNS:localhost", days=2, ca="ca", password=None):
        """A certificate and its key: (pem, key)."""
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        protected = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *protected, "-keyout",
                      f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
                      "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


class Server:
    """One redis-server or sentinel with options of the test's own, which can be killed and brought back on its port."""

    def __init__(self, *options, port=None, tls=None, configuration=None, program=None):
        self.program = program or redis_program()
        self.port = port or free_port()
        self.folder = tempfile.mkdtemp(prefix="ws-emit-redis-")
        self.tls = tls
        self.running = None
        self.sentinel = configuration is not None
        if self.sentinel:
            path = pathlib.Path(self.folder, "sentinel.conf")
            path.write_text(configuration)
            self.arguments = [path, "--sentinel"]
        else:
            self.arguments = ["--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"]
        where = ["--tls-port", self.port, "--port", 0] if tls else ["--port", self.port]
        self.arguments += [*where, "--bind", "127.0.0.1", "--dir", self.folder, *options]
        if tls:
            certificate, key, ca = tls
            self.arguments += ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", ca]

    def start(self, **login):
        self.running = Running([self.program, *self.arguments])
        encrypted = dict(ssl=True, ssl_ca_certs=str(self.tls[2]), ssl_certfile=str(self.tls[0]),
                         ssl_keyfile=str(self.tls[1])) if self.tls else {}
        self.client = redis.Redis("127.0.0.1", self.port, socket_timeout=PATIENCE, **encrypted, **login)
        # Not by asking: with some certificates nobody would get an answer.
        if self.sentinel:
            eventually(self.answers, f"the sentinel on port {self.port} answers")
        else:
            self.running.wait_for_line("eady to accept connections")
        return self

    def answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.RedisError as problem:
            raise OSError(problem) from None

    def kill(self):
        self.running.stop(signal.SIGKILL)

    def send_signal(self, number):
        self.running.send_signal(number)

    def close(self):
        if self.running:
            # A stopped process takes no notice of SIGTERM.
            self.running.send_signal(signal.SIGCONT)
            self.running.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def subscribers(self, channel=REDIS_CHANNEL):
        return self.client.pubsub_numsub(channel)[0][1]

    def is_master(self):
        try:
            return self.client.role()[0] in (b"master", "master")
        except redis.exceptions.RedisError:
            return False


def fields(reply):
    """A reply of names and values in turn."""
    words = [word.decode() for word in reply]
    return dict(zip(words[::2], words[1::2]))


class Sentinels:
    """A master, a replica and three sentinels that watch them; failover within a second or two."""

    def __init__(self, *options, service="mymaster", tls=None, sentinel_password=None, password=None, program=None):
        self.service = service
        self.password = password
        self.program = program
        login = ["--requirepass", password, "--masterauth", password] if password else []
        replication = ["--tls-replication", "yes"] if tls else []
        self._login = {"password": password} if password else {}
        self.servers, self.sentinels = [], []
        try:
            self._start([*options, *login, *replication], tls, sentinel_password)
        except BaseException:
            self.close()
            raise

    def _start(self, options, tls, sentinel_password):
        service, password = self.service, self.password
        first = Server(*options, tls=tls, program=self.program)
        second = Server(*options, "--replicaof", "127.0.0.1", first.port, tls=tls, program=self.program)
        self.servers = [first, second]
        for server in self.servers:
            server.start(**self._login)
        eventually(lambda: second.client.info("replication")["master_link_status"] == "up", "the replica has its master")
        for _ in range(3):
            lines = [f"sentinel monitor {service} 127.0.0.1 {first.port} 2",
                     f"sentinel down-after-milliseconds {service} 500",
                     f"sentinel failover-timeout {service} 3000"]
            if password:
                lines.append(f"sentinel auth-pass {service} {password}")
            if sentinel_password:
                lines += [f"requirepass {sentinel_password}", f"sentinel sentinel-pass {sentinel_password}"]
            if tls:
                lines += ["tls-replication yes", "tls-auth-clients no"]
            sentinel = Server(configuration="\n".join(lines) + "\n", tls=tls, program=self.program)
            self.sentinels.append(sentinel)
            sentinel.start(**({"password": sentinel_password} if sentinel_password else {}))
        for sentinel in self.sentinels:
            eventually(lambda: self._knows_all(sentinel), "the sentinels know each other and the replica")

    def ask(self, sentinel, question):
        """The reply to `SENTINEL question service`; redis-py 6.4 can't read some of them."""
        return sentinel.client.execute_command("SENTINEL", question, self.service)

    def _knows_all(self, sentinel):
        state = fields(self.ask(sentinel, "MASTER"))
        return state["num-other-sentinels"] == "2" and state["num-slaves"] == "1" and self.sees_replica(sentinel)

    def sees_replica(self, sentinel):
        """Whether a failover could begin."""
        replica = fields(self.ask(sentinel, "REPLICAS")[0])
        return replica["flags"] == "slave" and replica["master-link-status"] == "ok"

    @property
    def hosts(self):
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    def url(self, *, scheme="redis+sentinel", login="", service=None, query=""):
        return f"{scheme}://{login}{self.hosts}/0/{self.service if service is None else service}{query}"

    @property
    def master(self):
        """The one that the first living sentinel names."""
        for sentinel in self.sentinels:
            try:
                _, port = self.ask(sentinel, "GET-MASTER-ADDR-BY-NAME")
            except redis.exceptions.RedisError:
                continue
            return next(server for server in self.servers if server.port == int(port))
        raise AssertionError("no sentinel answers")

    def fail_over(self):
        """Has a sentinel make the replica the master; returns (new master, old master) once it is one."""
        old = self.master
        new = next(server for server in self.servers if server is not old)
        def accepted():
            try:
                return self.ask(self.sentinels[0], "FAILOVER") is not None
            except redis.exceptions.ResponseError as problem:  # INPROG or NOGOODSLAVE: not yet
                raise OSError(problem) from None
        eventually(accepted, "the sentinel begins a failover")
        eventually(lambda: self.master is new, "the sentinels name the new master")
        return new, old

    def close(self):
        for server in self.sentinels + self.servers:
            server.close()


class Cluster:
    """Three masters and, where asked for, a replica of each."""

    def __init__(self, *options, replicas=0, tls=None, program=None):
        encrypted = ["--tls-cluster", "yes", "--tls-replication", "yes"] if tls else []
        self.nodes = [
            Server("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", *encrypted, *options,
                   port=free_port(also=10_000), tls=tls, program=program) for _ in range(3 * (replicas + 1))]
        try:
            self._form()
        except BaseException:
            self.close()
            raise

    def _form(self):
        for node in self.nodes:
            node.start()
        first = self.nodes[0]
        for node in self.nodes[1:]:
            first.client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port)
        masters = self.nodes[:3]
        for number, node in enumerate(masters):
            node.client.execute_command("CLUSTER", "ADDSLOTS", *range(16384 * number // 3, 16384 * (number + 1) // 3))
        eventually(lambda: all(len(self._known(node)) == len(self.nodes) for node in self.nodes), "the nodes have met")
        for number, node in enumerate(self.nodes[3:]):
            identity = masters[number % 3].client.execute_command("CLUSTER", "MYID").decode()
            node.client.execute_command("CLUSTER", "REPLICATE", identity)
        eventually(lambda: all(self.is_ok(node) for node in self.nodes), "the cluster is formed")

    @staticmethod
    def _known(node):
        lines = node.client.execute_command("CLUSTER NODES")
        return [entry for entry in lines if "handshake" not in lines[entry]["flags"]]

    @staticmethod
    def is_ok(node):
        return node.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"

    @property
    def url(self):
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def subscribed(self, channel=REDIS_CHANNEL):
        """The living nodes that somebody is subscribed at."""
        return [node for node in self.nodes if node.running.process.poll() is None and node.subscribers(channel)]

    def set(self, key, value):
        """Sets a key at the node that has its slot."""
        for node in self.nodes:
            try:
                if node.client.set(key, value):
                    return node
            except redis.exceptions.ResponseError as problem:
                assert "MOVED" in type(problem).__name__.upper() + str(problem).upper(), problem
        raise AssertionError(f"no node takes {key}")

    def close(self):
        for node in self.nodes:
            node.close()
