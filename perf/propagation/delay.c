// A switch that holds each frame for a while: it stands in for long links where the kernel lacks netem.
//
//   delay MILLISECONDS DEVICE...
//
// Learns on which device each address is, as a switch does, and sends frames for unknown addresses and for all to all other
// devices. Segments stay as large as the kernel hands them over. Prints a line when it is ready. Ends when it is killed, and if a
// device fails.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// A frame with the kernel's header for unfinished checksums and segments.
enum { HEADER = sizeof(struct virtio_net_hdr), LONGEST = HEADER + ETHER_HDR_LEN + 65536, PORTS = 64, ADDRESSES = 256 };
// A second of a link of 1 Gbit/s in full frames.
enum { FRAMES = 1 << 17 };

struct frame {
    int64_t due;
    int source;
    size_t length;
    uint8_t *bytes;
};

static int sockets[PORTS];
static int ports;
static struct {
    uint8_t address[ETHER_ADDR_LEN];
    int port;
} known[ADDRESSES];
static int addresses;
static struct frame frames[FRAMES];
static uint64_t first, last;

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int open_port(const char *device) {
    int on = 1;
    int port = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    if (port < 0) fail("socket");
    if (setsockopt(port, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on)) fail("PACKET_VNET_HDR");
    if (setsockopt(port, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on)) fail("PACKET_IGNORE_OUTGOING");
    int room = 8 << 20;
    setsockopt(port, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(port, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(device)};
    if (!address.sll_ifindex || bind(port, (struct sockaddr *)&address, sizeof address)) fail(device);
    return port;
}

static int find(const uint8_t *address) {
    for (int i = 0; i < addresses; i++)
        if (!memcmp(known[i].address, address, ETHER_ADDR_LEN)) return known[i].port;
    return -1;
}

static void learn(const uint8_t *address, int port) {
    if (find(address) >= 0 || addresses == ADDRESSES) return;
    memcpy(known[addresses].address, address, ETHER_ADDR_LEN);
    known[addresses++].port = port;
}

static void receive(int source, int64_t due) {
    static uint8_t buffer[LONGEST];
    for (;;) {
        ssize_t length = recv(sockets[source], buffer, sizeof buffer, MSG_DONTWAIT);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (length < 0) fail("recv");
        if (length < HEADER + ETHER_HDR_LEN) continue;
        learn(buffer + HEADER + ETHER_ADDR_LEN, source);
        // A full queue loses frames, as a switch's does.
        if (last - first == FRAMES) continue;
        uint8_t *bytes = malloc((size_t)length);
        if (!bytes) continue;
        memcpy(bytes, buffer, (size_t)length);
        frames[last++ % FRAMES] = (struct frame){due, source, (size_t)length, bytes};
    }
}

static void transmit(int port, const struct frame *frame) {
    // A device whose queue is full loses it.
    if (send(sockets[port], frame->bytes, frame->length, MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != ENOBUFS) fail("send");
}

static void forward(const struct frame *frame) {
    int port = find(frame->bytes + HEADER);
    if (port >= 0) {
        if (port != frame->source) transmit(port, frame);
        return;
    }
    for (port = 0; port < ports; port++)
        if (port != frame->source) transmit(port, frame);
}

int main(int count, char **arguments) {
    if (count < 4 || count - 2 > PORTS) {
        fprintf(stderr, "usage: delay MILLISECONDS DEVICE DEVICE...\n");
        return 2;
    }
    int64_t delay = (int64_t)(atof(arguments[1]) * 1e6);
    ports = count - 2;
    struct pollfd ready[PORTS];
    for (int port = 0; port < ports; port++) {
        sockets[port] = open_port(arguments[port + 2]);
        ready[port] = (struct pollfd){.fd = sockets[port], .events = POLLIN};
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        while (first < last && frames[first % FRAMES].due <= now()) {
            struct frame *frame = &frames[first++ % FRAMES];
            forward(frame);
            free(frame->bytes);
        }
        struct timespec wait = {0}, *until = NULL;
        if (first < last) {
            int64_t rest = frames[first % FRAMES].due - now();
            if (rest > 0) wait = (struct timespec){rest / 1000000000, rest % 1000000000};
            until = &wait;
        }
        if (ppoll(ready, (nfds_t)ports, until, NULL) < 0 && errno != EINTR) fail("ppoll");
        int64_t due = now() + delay;
        for (int port = 0; port < ports; port++)
            if (ready[port].revents) receive(port, due);
    }
}
