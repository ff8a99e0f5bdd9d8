// wye-two-ports: in place of a shim, makes a router of a running wye-dataplane with the ports p0
// and p1: one tenant, a vport on each, both with a TAP twin in this network namespace. For the
// end-to-end test of the data plane alone.
//
//   wye-two-ports RUN_DIR [MTU]
//                             makes twins, programs, prints "ready", then obeys lines on stdin:
//     ledger                  prints "balanced", or what does not balance, one fault a line
//     drops                   prints "<reason> <count>" for each reason with packets
//     sleeps                  prints how often worker 0 has slept
//     variants                prints "<step> <instruction set>" for what has variants
//     queues                  prints "<port> <queue> <worker> <packets>" for each receive queue
//     (end of input)          ends; the data plane keeps the twins
//   Each answer ends with a line ".".
//
// Host N is 10.N.0.10 and fd00:N::10 with the MAC 02:00:00:00:0N:10; the router is .1 and ::1. A
// neighbour is answered for when the data plane asks for it, as the kernel would.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

#include "dataplane/table/counter_file.hh"
#include "tests/programmer/programmer.hh"

namespace {

using namespace wye;
using testing::Handle;
using testing::Programmer;

void shell(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

std::string mac_of_router(int n) {
    return fmt::format("02:00:00:00:0{}:01", n);
}

/// A TAP of the name, with the router's MAC and addresses on that side, up.
Descriptor make_twin(const std::string& name, int n) {
    Descriptor tap(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    ifreq request{};
    std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (!tap.valid() || ioctl(tap.get(), TUNSETIFF, &request) != 0) {
        throw std::runtime_error(fmt::format("no TAP {}: {}", name, std::strerror(errno)));
    }
    shell(
        fmt::format("ip link set {0} addrgenmode none address {1} up && "
                    "ip address add 10.{2}.0.1/24 dev {0} && "
                    "ip -6 address add fd00:{2}::1/64 nodad dev {0}",
                    name, mac_of_router(n), n));
    return tap;
}

class Router {
  public:
    Router(const std::string& run_dir, std::uint16_t mtu)
        : programmer_(Programmer::connect(run_dir + "/dataplane.sock")),
          counters_path_(run_dir + "/counters"),
          mtu_(mtu) {}

    void program() {
        std::map<std::string, Descriptor> twins;
        for (auto& twin : programmer_.twins) {
            twins.emplace(twin.message.object.view(), std::move(twin.descriptor));
        }
        programmer_.begin_replay();
        const Handle tenant = programmer_.tenant("red");
        const Handle vrf = programmer_.vrf(tenant, "red");
        for (const int n : {1, 2}) {
            const std::string name = fmt::format("site{}", n);
            const Handle port = programmer_.port(fmt::format("p{}", n - 1));
            vports_[n] =
                programmer_.vport(tenant, vrf, port, name, mac_of_router(n), {.mtu = mtu_});
            const Handle connected = programmer_.group(programmer_.glean(vports_[n]));
            const Handle local = programmer_.group(programmer_.local(vports_[n]));
            programmer_.route(vrf, fmt::format("10.{}.0.0/24", n), connected);
            programmer_.route(vrf, fmt::format("10.{}.0.1/32", n), local);
            programmer_.route(vrf, fmt::format("fd00:{}::/64", n), connected);
            programmer_.route(vrf, fmt::format("fd00:{}::1/128", n), local);
            if (twins.contains(name)) continue;
            twins_[n] = make_twin(name, n);
            programmer_.attach_twin(ring::TwinKind::vport_tap, name, twins_[n].get(),
                                    if_nametoindex(name.c_str()));
        }
        programmer_.end_replay();
        programmer_.reach();
    }

    /// What the kernel and the shim would do: the hosts' MACs are known by rule.
    void answer_resolves() {
        for (const ring::Event& event : programmer_.take_events()) {
            if (event.kind != ring::EventKind::resolve) continue;
            for (const auto& [n, vport] : vports_) {
                const auto four = testing::ip(fmt::format("10.{}.0.10", n));
                const auto six = testing::ip(fmt::format("fd00:{}::10", n));
                if (event.object != vport) continue;
                if (event.address != four && event.address != six) continue;
                const char* address = event.address == four ? "10.{}.0.10" : "fd00:{}::10";
                programmer_.neighbor(vport, fmt::format(fmt::runtime(address), n),
                                     fmt::format("02:00:00:00:0{}:10", n));
            }
        }
    }

    void print_faults() const {
        const auto file = open_counters();
        const table::CounterLimits& limits = file.limits();
        bool balanced = true;
        for (std::uint32_t w = 0; w < limits.workers; ++w) {
            const auto block = file.block(WorkerId{w});
            for (std::uint32_t row = 0; row <= limits.ports; ++row) {
                balanced &= check(block.ports[row], fmt::format("block {} port row {}", w, row));
            }
            for (std::uint32_t row = 0; row < 4; ++row) {
                balanced &=
                    check(block.tenants[row], fmt::format("block {} tenant row {}", w, row));
            }
        }
        std::cout << (balanced ? "balanced\n.\n" : ".\n") << std::flush;
    }

    void print_drops() const {
        const auto file = open_counters();
        std::array<std::uint64_t, table::kReasons> sums{};
        for (std::uint32_t w = 0; w < file.limits().workers; ++w) {
            const auto block = file.block(WorkerId{w});
            for (std::uint32_t row = 0; row <= file.limits().ports; ++row) {
                for (std::size_t r = 0; r < sums.size(); ++r) {
                    sums[r] += block.ports[row].drops[r].get();
                }
            }
        }
        for (std::size_t r = 0; r < sums.size(); ++r) {
            if (sums[r] == 0) continue;
            std::cout << table::reason_name(static_cast<table::Reason>(r)) << " " << sums[r]
                      << "\n";
        }
        std::cout << ".\n" << std::flush;
    }

    /// Of worker 0.
    void print_sleeps() const {
        const auto file = open_counters();
        std::cout << file.block(WorkerId{0}).worker->sleeps.get() << "\n.\n" << std::flush;
    }

    void print_variants() const {
        const ring::Announced& announced = programmer_.announced();
        std::cout << fmt::format("admission {}\nfib4 {}\nfib6 {}\nacl {}\n.\n",
                                 announced.admission.view(), announced.fib4.view(),
                                 announced.fib6.view(), announced.acl.view())
                  << std::flush;
    }

    void print_queues() const {
        const auto file = open_counters();
        for (std::uint32_t i = 0; i < table::kMostQueues; ++i) {
            const table::QueueCounters& queue = file.queue(i);
            if (queue.kind.load() != table::QueueKind::queue) continue;
            std::cout << fmt::format("{} {} {} {}\n",
                                     file.name(table::SlotKind::port, queue.port.load()),
                                     queue.index.load(), queue.worker.load(), queue.packets.get());
        }
        std::cout << ".\n" << std::flush;
    }

  private:
    [[nodiscard]] table::CounterFile open_counters() const {
        auto file = table::CounterFile::open_read_only(counters_path_);
        if (!file) throw std::runtime_error(file.error().text);
        return std::move(*file);
    }
    static bool check(const table::LedgerRow& row, const std::string& where) {
        const std::uint64_t came =
            row.rx.get() + row.from_host.get() + row.generated.get() + row.moved_in.get();
        std::uint64_t drops = 0;
        for (const auto& drop : row.drops) drops += drop.get();
        const std::uint64_t went = row.tx.get() + drops + row.punted.get() + row.consumed.get() +
                                   row.moved_out.get() + row.held.get();
        if (came == went) return true;
        std::cout << fmt::format(
            "{}: rx {} from_host {} generated {} moved_in {} / tx {} drops {} punted {} consumed "
            "{} "
            "moved_out {} held {}\n",
            where, row.rx.get(), row.from_host.get(), row.generated.get(), row.moved_in.get(),
            row.tx.get(), drops, row.punted.get(), row.consumed.get(), row.moved_out.get(),
            row.held.get());
        return false;
    }

    Programmer programmer_;
    std::string counters_path_;
    std::uint16_t mtu_;
    std::map<int, Handle> vports_;
    std::map<int, Descriptor> twins_;
};

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 2 && argc != 3) throw std::runtime_error("usage: wye-two-ports RUN_DIR [MTU]");
    Router router(argv[1], argc == 3 ? static_cast<std::uint16_t>(std::stoi(argv[2])) : 1500);
    router.program();
    std::cout << "ready" << std::endl;
    while (true) {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        const int ready = poll(&input, 1, 1);
        router.answer_resolves();
        if (ready <= 0) continue;
        std::string line;
        if (!std::getline(std::cin, line)) return 0;
        if (line == "ledger") router.print_faults();
        if (line == "drops") router.print_drops();
        if (line == "sleeps") router.print_sleeps();
        if (line == "variants") router.print_variants();
        if (line == "queues") router.print_queues();
    }
} catch (const std::exception& error) {
    std::cerr << "wye-two-ports: " << error.what() << "\n";
    return 1;
}
