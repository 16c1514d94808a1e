"""How long the event loop keeps others waiting while much changes at once.

Two clients look: one gets a message from Redis without pause, the other pings without pause. A message waits for the loop's
turn to end. A ping waits behind the requests of those who asked before it, too: clients are served in the order they came.
"""
import os
import select
import socket
import struct
import time

from load import CHANNEL, Load, command, message

PING = bytes([0x89, 0x84]) + bytes(4) + b"ping"
PONG = bytes([0x8A, 0x04]) + b"ping"


def go_first(pid):
    """Lets a process run as soon as it has something to do, where that is allowed."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        pass


class Probe:
    """A process of its own that asks until it is told to stop.

    What the server's thread worked between question and answer is the pause, whatever else the machine did meanwhile; the time
    on the clock is the pause and the machine's other load.
    """

    def __init__(self, load, client, asker, question, answer):
        parent, child = os.pipe()
        stop, self.stop = os.pipe()
        self.results = parent
        self.process = os.fork()
        if self.process == 0:
            # Ends with its parent, too: it would keep a core.
            os.close(self.stop)
            try:
                go_first(0)
                os.write(child, struct.pack("ddq", *self.run(client.socket, asker, question, answer, load.process.pid, stop)))
            finally:
                os._exit(0)
        os.close(child)
        os.close(stop)

    @staticmethod
    def run(connection, asker, question, answer, pid, stop):
        stat = os.open(f"/proc/{pid}/task/{Probe.loop_thread(pid)}/schedstat", os.O_RDONLY)
        connection.setblocking(True)
        longest, longest_cpu, count = 0.0, 0.0, 0
        stopped = select.poll()
        stopped.register(stop, select.POLLIN)
        while not stopped.poll(0):
            before = int(os.pread(stat, 64, 0).split()[0])
            start = time.monotonic()
            asker.sendall(question)
            received = b""
            while answer not in received:
                part = connection.recv(65536)
                if not part:
                    raise SystemExit("the probe was disconnected")
                received += part
            longest = max(longest, time.monotonic() - start)
            longest_cpu = max(longest_cpu, (int(os.pread(stat, 64, 0).split()[0]) - before) / 1e9)
            count += 1
            time.sleep(0.0005)
        return longest, longest_cpu, count

    @staticmethod
    def loop_thread(pid):
        """The thread that has worked most: with one event loop, that one."""
        def work(task):
            with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
                return int(stat.read().split()[0])
        return max(os.listdir(f"/proc/{pid}/task"), key=work)

    def end(self):
        """Longest answer by the clock, longest work before an answer, in milliseconds."""
        os.write(self.stop, b"x")
        longest, cpu, _ = struct.unpack("ddq", os.read(self.results, 64))
        os.waitpid(self.process, 0)
        os.close(self.results)
        os.close(self.stop)
        return longest * 1000, cpu * 1000


def pauses(program, count):
    """(operation, CPU microseconds for each client, longest work and longest wait of a message, longest work of a ping)
    for a room of `count`."""
    with Load(program) as load:
        load.connect(count + 2)
        by_message, by_ping, *members = load.clients
        by_message.join(["probe"])
        for client in (by_message, by_ping):
            # Only its probe reads from it.
            load.epoll.unregister(client.socket.fileno())
        # Redis' waiting for the clients' process to leave it the core is no pause of the server's.
        go_first(load.redis.process.pid)
        redis = socket.create_connection(("127.0.0.1", load.redis.port))
        payload, _ = message("probe", 10)
        publish = b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(CHANNEL), CHANNEL, len(payload), payload)

        def measure(operation, work, is_done):
            message_probe = Probe(load, by_message, redis, publish, b'"xxxxxxxxxx"]')
            ping_probe = Probe(load, by_ping, by_ping.socket, PING, PONG)
            time.sleep(0.2)
            before = load.cpu()
            work()
            is_done()
            used = load.cpu() - before
            longest, cpu = message_probe.end()
            _, ping_cpu = ping_probe.end()
            return operation, used / count * 1e6, cpu, longest, ping_cpu

        def ask(event):
            for client in members:
                client.socket.setblocking(True)
                client.ask(event, ["large"])

        def answered():
            for client in members:
                client.expect(b"43%d[" % client.last_ack)
                client.expect(b"]")

        def closed():
            # What is published later arrives later.
            load.round([message("marked", 10)], [members[:1]])

        def gone():
            while load.sessions() > 2:
                time.sleep(0.05)

        yield measure("nothing", lambda: None, lambda: time.sleep(0.5))
        yield measure("join", lambda: ask(b"join"), answered)
        yield measure("leave", lambda: ask(b"leave"), answered)
        ask(b"join")
        answered()
        members[0].join(["marked"])
        yield measure("close the room", lambda: load.publish([command("close_room", room="large")]), closed)

        def vanish():
            # Closing takes the kernel's time in this process; another holds nothing of it.
            for client in members:
                client.socket.shutdown(socket.SHUT_RDWR)

        yield measure("disconnect", vanish, gone)
