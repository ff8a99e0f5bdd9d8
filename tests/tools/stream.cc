// wye-stream: sends and receives numbered UDP datagrams, to count what is lost on the way.
//
//   wye-stream send ADDRESS PORT RATE SECONDS   RATE datagrams a second; prints {"sent": n, …}
//   wye-stream receive PORT                     until SIGTERM
//
// Both print one JSON object at the end. Times are CLOCK_MONOTONIC nanoseconds, so that they compare
// between namespaces of one machine.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/net/address.hh"

namespace {

constexpr std::uint32_t kMagic = 0x77796573;

struct Datagram {
    std::uint32_t magic = kMagic;
    std::uint32_t reserved = 0;
    std::uint64_t sequence = 0;
    std::int64_t sent_ns = 0;
    char padding[40] = {};
};

volatile std::sig_atomic_t stop = 0;

std::int64_t now_ns() {
    return wye::monotonic_now().count();
}

int die(const char* what) {
    std::fprintf(stderr, "wye-stream: %s: %s\n", what, std::strerror(errno));
    return 1;
}

int send_stream(const char* address_text, const char* port, double rate, double seconds) {
    const auto address = wye::net::parse_ip(address_text);
    if (!address) {
        std::fprintf(stderr, "wye-stream: '%s' is no IP address\n", address_text);
        return 2;
    }
    sockaddr_storage to{};
    socklen_t length = 0;
    const auto port_number = htons(static_cast<std::uint16_t>(std::atoi(port)));
    if (address->is_ipv4()) {
        auto* v4 = reinterpret_cast<sockaddr_in*>(&to);
        v4->sin_family = AF_INET;
        v4->sin_port = port_number;
        std::memcpy(&v4->sin_addr, address->bytes.data(), 4);
        length = sizeof *v4;
    } else {
        auto* v6 = reinterpret_cast<sockaddr_in6*>(&to);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port_number;
        std::memcpy(&v6->sin6_addr, address->bytes.data(), 16);
        length = sizeof *v6;
    }
    const int fd = socket(to.ss_family, SOCK_DGRAM, 0);
    if (fd < 0) return die("socket");
    const std::int64_t start = now_ns();
    const auto total = static_cast<std::uint64_t>(rate * seconds);
    Datagram datagram;
    std::uint64_t refused = 0;
    for (; datagram.sequence < total && stop == 0; ++datagram.sequence) {
        const auto due =
            start + static_cast<std::int64_t>(static_cast<double>(datagram.sequence) * 1e9 / rate);
        for (std::int64_t wait = due - now_ns(); wait > 0; wait = due - now_ns()) {
            const timespec pause{wait / 1'000'000'000, wait % 1'000'000'000};
            nanosleep(&pause, nullptr);
        }
        datagram.sent_ns = now_ns();
        // What the sender's own kernel refuses never was on the way.
        if (sendto(fd, &datagram, sizeof datagram, 0, reinterpret_cast<sockaddr*>(&to), length) < 0)
            ++refused;
    }
    close(fd);
    std::printf("{\"sent\": %llu, \"refused\": %llu, \"start_ns\": %lld, \"end_ns\": %lld}\n",
                static_cast<unsigned long long>(datagram.sequence - refused),
                static_cast<unsigned long long>(refused), static_cast<long long>(start),
                static_cast<long long>(now_ns()));
    return 0;
}

struct Gap {
    std::int64_t length_ns, from_ns;
};

int receive_stream(const char* port) {
    const int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0) return die("socket");
    const int off = 0;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    const int buffer = 8 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    sockaddr_in6 here{};
    here.sin6_family = AF_INET6;
    here.sin6_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    if (bind(fd, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0) return die("bind");
    std::fprintf(stderr, "ready\n");

    std::vector<bool> seen;
    std::uint64_t received = 0, duplicates = 0, reordered = 0, highest = 0;
    std::int64_t first_ns = 0, last_ns = 0, worst_delay = 0;
    Gap longest{0, 0};
    while (stop == 0) {
        pollfd ready{fd, POLLIN, 0};
        if (poll(&ready, 1, 200) <= 0) continue;
        Datagram datagram;
        if (recv(fd, &datagram, sizeof datagram, 0) != sizeof datagram) continue;
        if (datagram.magic != kMagic || datagram.sequence > (1u << 26)) continue;
        const std::int64_t now = now_ns();
        if (received == 0) first_ns = now;
        if (received != 0 && now - last_ns > longest.length_ns) longest = {now - last_ns, last_ns};
        last_ns = now;
        worst_delay = std::max(worst_delay, now - datagram.sent_ns);
        if (seen.size() <= datagram.sequence) seen.resize(datagram.sequence + 1024);
        if (seen[datagram.sequence]) {
            ++duplicates;
            continue;
        }
        seen[datagram.sequence] = true;
        if (received != 0 && datagram.sequence < highest) ++reordered;
        highest = std::max(highest, datagram.sequence);
        ++received;
    }
    std::printf(
        "{\"received\": %llu, \"highest\": %llu, \"duplicates\": %llu, \"reordered\": %llu, "
        "\"first_ns\": %lld, \"last_ns\": %lld, \"longest_gap_ms\": %.3f, \"gap_from_ns\": %lld, "
        "\"worst_delay_ms\": %.3f}\n",
        static_cast<unsigned long long>(received), static_cast<unsigned long long>(highest),
        static_cast<unsigned long long>(duplicates), static_cast<unsigned long long>(reordered),
        static_cast<long long>(first_ns), static_cast<long long>(last_ns),
        static_cast<double>(longest.length_ns) / 1e6, static_cast<long long>(longest.from_ns),
        static_cast<double>(worst_delay) / 1e6);
    return 0;
}

int usage() {
    std::fprintf(stderr,
                 "usage: wye-stream send ADDRESS PORT RATE SECONDS\n"
                 "       wye-stream receive PORT\n");
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    struct sigaction action {};
    action.sa_handler = [](int) { stop = 1; };
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    const std::string verb = argc > 1 ? argv[1] : "";
    if (verb == "send" && argc == 6) {
        return send_stream(argv[2], argv[3], std::atof(argv[4]), std::atof(argv[5]));
    }
    if (verb == "receive" && argc == 3) return receive_stream(argv[2]);
    return usage();
}
