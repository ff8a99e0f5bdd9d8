// wye-device-under-test: forwards from DPDK port 0 to port 1 with a fault that is known, for the test of
// what measures routers (scripts/rfc2544).
//
//   wye-device-under-test EAL-OPTIONS -- [--rate R --bucket N] [--clock own|stamp]
//                         [--drop-every N] [--drop-probability P --seed S] [--descriptors N]
//                         [--longest N]
//
// --rate R --bucket N   at most R frames a second: a bucket of N tokens, full at the start, a token for
//                       each frame, none: dropped. So of a load L > R over T seconds N + R T pass, and
//                       the greatest rate without loss is R + N/T.
// --clock stamp         time is what the generator wrote into a frame when it sent it, not what this
//                       process's clock says when it comes to run: then a busy machine changes nothing
// --drop-every N        of N frames the last
// --drop-probability P  each with this probability, from the seed on the same ones in each run
// --longest N           frames have at most so many bytes (1518)
//
// Prints "ready"; on SIGTERM {"in", "out", "dropped", "full", "seconds"}: by its own clock, from the
// first frame to the last.
#include <fmt/format.h>
#include <rte_ethdev.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>

#include "bench/rfc2544/program.hh"
#include "bench/rfc2544/stamp.hh"

namespace {

using namespace wye::rfc2544;

constexpr std::uint16_t kBurst = 32;
constexpr std::array<std::uint16_t, 2> kPorts{0, 1};
std::atomic<bool> ending{false};

struct Options {
    double rate = 0, bucket = 1, probability = 0;
    std::uint64_t every = 0, seed = 1;
    bool by_stamp = false;
    std::uint16_t descriptors = 1024;
    std::size_t longest = 1518;
};

class Device {
  public:
    explicit Device(const Options& options)
        : options_(options), tokens_(options.bucket), chooser_(options.seed) {}

    void set_up() {
        rte_mempool* const buffers = make_buffers(options_.longest, kPorts, options_.descriptors);
        for (const std::uint16_t port : kPorts) {
            start_port(port, options_.longest, options_.descriptors, buffers);
        }
    }

    void forward() {
        std::array<rte_mbuf*, kBurst> burst;
        const std::uint16_t count = rte_eth_rx_burst(0, 0, burst.data(), kBurst);
        if (count == 0) {
            usleep(50);
            return;
        }
        const std::uint64_t now = now_ns();
        if (in_ == 0) first_ns_ = now;
        last_ns_ = now;
        std::uint16_t kept = 0;
        for (std::uint16_t at = 0; at < count; ++at) {
            ++in_;
            if (passes(*burst[at], now)) {
                burst[kept++] = burst[at];
            } else {
                rte_pktmbuf_free(burst[at]);
            }
        }
        dropped_ += static_cast<std::uint64_t>(count - kept);
        const std::uint16_t sent = rte_eth_tx_burst(1, 0, burst.data(), kept);
        out_ += sent;
        full_ += static_cast<std::uint64_t>(kept - sent);
        if (sent < kept) rte_pktmbuf_free_bulk(burst.data() + sent, kept - sent);
    }

    std::string report() const {
        return fmt::format(R"({{"in":{},"out":{},"dropped":{},"full":{},"seconds":{:.6f}}})", in_,
                           out_, dropped_, full_, static_cast<double>(last_ns_ - first_ns_) / 1e9);
    }

  private:
    bool passes(const rte_mbuf& frame, std::uint64_t now) {
        if (options_.every != 0 && in_ % options_.every == 0) return false;
        if (options_.probability > 0 && uniform_(chooser_) < options_.probability) return false;
        return options_.rate == 0 || has_token(frame, now);
    }

    bool has_token(const rte_mbuf& frame, std::uint64_t now) {
        Stamp stamp;
        if (options_.by_stamp) {
            if (!read_stamp(frame, stamp)) return false;
            now = stamp.sent_ns;
        }
        const double passed = filled_ns_ == 0 ? 0 : static_cast<double>(now - filled_ns_) / 1e9;
        tokens_ = std::min(options_.bucket, tokens_ + passed * options_.rate);
        filled_ns_ = now;
        if (tokens_ < 1) return false;
        tokens_ -= 1;
        return true;
    }

    Options options_;
    double tokens_;
    std::uint64_t filled_ns_ = 0;
    std::mt19937_64 chooser_;
    std::uniform_real_distribution<double> uniform_;
    std::uint64_t in_ = 0, out_ = 0, dropped_ = 0, full_ = 0, first_ns_ = 0, last_ns_ = 0;
};

Options parse(int count, char** words) {
    Options options;
    for (int at = 1; at + 1 < count; at += 2) {
        const std::string key = words[at], value = words[at + 1];
        if (key == "--rate") {
            options.rate = std::stod(value);
        } else if (key == "--bucket") {
            options.bucket = std::stod(value);
        } else if (key == "--clock") {
            options.by_stamp = value == "stamp";
        } else if (key == "--drop-every") {
            options.every = std::stoull(value);
        } else if (key == "--drop-probability") {
            options.probability = std::stod(value);
        } else if (key == "--seed") {
            options.seed = std::stoull(value);
        } else if (key == "--descriptors") {
            options.descriptors = static_cast<std::uint16_t>(std::stoul(value));
        } else if (key == "--longest") {
            options.longest = std::stoul(value);
        } else {
            throw std::runtime_error(fmt::format("{} is not understood", key));
        }
    }
    return options;
}

void run(int count, char** words) {
    Device device(parse(count, words));
    device.set_up();
    std::signal(SIGTERM, [](int) { ending.store(true); });
    std::cout << "ready" << std::endl;
    while (!ending.load(std::memory_order_relaxed)) device.forward();
    std::cout << device.report() << std::endl;
    close_ports(kPorts);
}

}  // namespace

int main(int count, char** words) {
    return run_program("wye-device-under-test", count, words, run);
}
