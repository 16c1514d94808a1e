// Measures the recovery of many websockets after a cut of the network, with one epoll thread as all of their clients.
//
//   cc -O2 -o recovery recovery.c
//   ws-emit -a 127.0.0.1:8899 --redis redis://127.0.0.1:6379/0 --recovery 120 &
//   ./recovery 127.0.0.1 8899 6379 $! 10000 20        (host, port, Redis's port, pid of ws-emit, clients, missed messages)
//
// All clients join one room. Then all connections are reset, messages are published, and all clients come back at once, at
// most 1,000 handshakes at a time. Prints the time until everybody has its connection and each message once, and CPU and
// memory of the server.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HANDSHAKES = 1000, BUFFER = 32768 };
enum state { IDLE, OPENING, CONNECTING, JOINING, READY };

struct client {
    int fd;
    enum state state;
    char pid[24], offset[16];
    int events, recovered, count;
    char *buffer;
};

static int loop, target_port, ready, opening, asked;
static const char *target_host;
static struct client *clients;
static int client_count;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what) { perror(what); exit(1); }

static void send_text(struct client *c, const char *text) {
    unsigned char frame[512];
    size_t length = strlen(text), head = length < 126 ? 6 : 8;
    frame[0] = 0x81;
    if (length < 126) frame[1] = 0x80 | length;
    else { frame[1] = 0x80 | 126; frame[2] = length >> 8; frame[3] = length; }
    memset(frame + head - 4, 0, 4);  // the mask 0
    memcpy(frame + head, text, length);
    if (write(c->fd, frame, head + length) != (ssize_t)(head + length)) die("write");
}

static void open_client(int index) {
    struct client *c = clients + index;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) die("socket");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // A source address for each 10,000 connections' ports.
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002 + index % 16)};
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (void *)&source, sizeof source)) die("bind");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(target_port)};
    inet_pton(AF_INET, target_host, &address.sin_addr);
    if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) die("connect");
    struct epoll_event event = {.events = EPOLLOUT | EPOLLIN, .data.u32 = index};
    epoll_ctl(loop, EPOLL_CTL_ADD, c->fd, &event);
    c->state = OPENING;
    c->count = c->recovered = 0;
    opening++;
}

static void became_ready(struct client *c) {
    c->state = READY;
    opening--;
    ready++;
}

static void received(struct client *c, char *text, size_t length) {
    char packet[512];
    char *pid, *found;
    if (length && *text == '0') {
        if (*c->pid && *c->offset) snprintf(packet, sizeof packet, "40{\"pid\":\"%s\",\"offset\":\"%s\"}", c->pid, c->offset);
        else if (*c->pid) snprintf(packet, sizeof packet, "40{\"pid\":\"%s\"}", c->pid);
        else strcpy(packet, "40");
        send_text(c, packet);
        c->state = CONNECTING;
    } else if (length > 2 && !memcmp(text, "40", 2)) {
        if (!(pid = memmem(text, length, "\"pid\":\"", 7))) { fputs("--recovery is off\n", stderr); exit(1); }
        c->recovered = !memcmp(c->pid, pid + 7, 20);
        memcpy(c->pid, pid + 7, 20);
        if (c->recovered) became_ready(c);
        else { send_text(c, "420[\"join\",{\"room\":\"r\"}]"); c->state = JOINING; }
    } else if (length > 2 && !memcmp(text, "43", 2)) {
        became_ready(c);
    } else if (length > 14 && !memcmp(text, "42", 2)) {
        found = text + length - 12;
        memcpy(c->offset, found, 10);
        c->events++;
    } else if (length && *text == '2') {
        send_text(c, "3");
    }
}

static void read_client(struct client *c) {
    for (;;) {
        ssize_t n = read(c->fd, c->buffer + c->count, BUFFER - c->count);
        if (n == 0 || (n < 0 && errno != EAGAIN)) { fprintf(stderr, "a connection ended: %s\n", n ? strerror(errno) : "EOF"); exit(1); }
        if (n < 0) return;
        c->count += n;
        char *start = c->buffer, *end = c->buffer + c->count;
        if (c->state == OPENING) {
            char *body = memmem(start, end - start, "\r\n\r\n", 4);
            if (!body) continue;
            start = body + 4;
        }
        while (end - start >= 2) {
            size_t length = start[1] & 127, head = 2;
            if (length == 126) { if (end - start < 4) break; length = (unsigned char)start[2] << 8 | (unsigned char)start[3]; head = 4; }
            if ((size_t)(end - start) < head + length) break;
            received(c, start + head, length);
            start += head + length;
        }
        c->count = end - start;
        memmove(c->buffer, start, c->count);
    }
}

static void turn(void) {
    while (asked < client_count && opening < HANDSHAKES) open_client(asked++);
    struct epoll_event events[256];
    int count = epoll_wait(loop, events, 256, 100);
    for (int i = 0; i < count; i++) {
        struct client *c = clients + events[i].data.u32;
        if (events[i].events & EPOLLOUT && c->state == OPENING) {
            struct epoll_event event = {.events = EPOLLIN, .data.u32 = events[i].data.u32};
            epoll_ctl(loop, EPOLL_CTL_MOD, c->fd, &event);
            dprintf(c->fd, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                    target_host, target_port);
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_client(c);
    }
}

static int redis;

static void publish(int number) {
    char message[512], command[700], reply[64];
    snprintf(message, sizeof message, "{\"method\": \"emit\", \"event\": \"x\", \"data\": [%d, \"%0100d\"], \"binary\": false, \"namespace\": \"/\","
             " \"room\": \"r\", \"skip_sid\": null, \"callback\": null, \"host_id\": \"test\"}", number, 0);
    int n = snprintf(command, sizeof command, "*3\r\n$7\r\nPUBLISH\r\n$14\r\nflask-socketio\r\n$%zu\r\n%s\r\n", strlen(message), message);
    if (write(redis, command, n) != n || read(redis, reply, sizeof reply) <= 0) die("Redis");
}

static double cpu_of(int pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    unsigned long user = 0, system = 0;
    if (!file || !fgets(text, sizeof text, file)) die(path);
    fclose(file);
    sscanf(strrchr(text, ')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return (double)(user + system) / sysconf(_SC_CLK_TCK);
}

static long memory_of(int pid) {
    char path[64], line[256];
    long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    while (fgets(line, sizeof line, file)) if (sscanf(line, "Pss: %ld", &kilobytes) == 1) break;
    fclose(file);
    return kilobytes;
}

static void wait_for_events(int expected) {
    for (;;) {
        int behind = 0;
        turn();
        for (int i = 0; i < client_count; i++) {
            if (clients[i].events > expected) { fputs("an event came twice\n", stderr); exit(1); }
            behind += clients[i].events < expected;
        }
        if (!behind) return;
    }
}

int main(int argc, char **argv) {
    if (argc != 7) { fputs("usage: recovery HOST PORT REDIS-PORT PID CLIENTS MISSED\n", stderr); return 2; }
    target_host = argv[1];
    target_port = atoi(argv[2]);
    int pid = atoi(argv[4]), missed = atoi(argv[6]);
    client_count = atoi(argv[5]);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    clients = calloc(client_count, sizeof *clients);
    for (int i = 0; i < client_count; i++) clients[i].buffer = malloc(BUFFER);
    loop = epoll_create1(0);
    redis = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(redis, (void *)&address, sizeof address)) die("Redis");
    long empty = memory_of(pid);
    double start = now(), cpu = cpu_of(pid);
    while (ready < client_count) turn();
    printf("connected and joined: %.2f s, %.2f s CPU\n", now() - start, cpu_of(pid) - cpu);
    publish(0);
    wait_for_events(1);
    long connected = memory_of(pid);
    cpu = cpu_of(pid);
    start = now();
    struct linger reset = {.l_onoff = 1};
    for (int i = 0; i < client_count; i++) {
        setsockopt(clients[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(clients[i].fd);
    }
    for (int i = 1; i <= missed; i++) publish(i);
    sleep(2);
    printf("cut, %d messages missed: %.2f s CPU\n", missed, cpu_of(pid) - cpu);
    long parked = memory_of(pid);
    ready = opening = asked = 0;
    start = now();
    cpu = cpu_of(pid);
    while (ready < client_count) turn();
    double all = now() - start;
    wait_for_events(1 + missed);
    double total = now() - start;
    int recovered = 0;
    for (int i = 0; i < client_count; i++) recovered += clients[i].recovered;
    printf("back: %d of %d recovered after %.2f s, with every message after %.2f s, %.2f s CPU\n", recovered, client_count, all, total, cpu_of(pid) - cpu);
    printf("memory (PSS): empty %ld kB, connected %ld kB, away %ld kB, back %ld kB\n", empty, connected, parked, memory_of(pid));
}
