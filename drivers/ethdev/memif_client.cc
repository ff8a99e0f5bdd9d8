// A memif port that connects: DPDK's driver tries once, in its start, and never again. So the port waits
// for the other end to listen, and starts its device anew whenever the other end was gone.
#include <rte_ethdev.h>

#include "drivers/ethdev/local_socket.hh"
#include "drivers/ethdev/port.hh"

namespace wye::drivers {
namespace {

constexpr std::chrono::milliseconds kBetweenTries{500};
constexpr std::chrono::milliseconds kToAgree{1000};  // on buffers and queues, once connected

}  // namespace

bool EthdevPort::connects_memif() const {
    return specification_.kind == PortKind::memif && !specification_.socket.listens;
}

/// DPDK's number of the error where somebody listens and it does not start all the same.
int EthdevPort::connect_memif() {
    next_try_ = monotonic_now() + kBetweenTries;
    condition_ = Condition::away;
    if (!is_listened_on(specification_.socket.path)) return 0;
    const int failed = rte_eth_dev_start(id_);
    if (failed != 0) return failed;
    started_ = true;
    next_try_ = monotonic_now() + kToAgree;
    open_gates();
    return 0;
}

std::vector<std::string> EthdevPort::keep_memif_connected() {
    switch (condition_) {
        case Condition::running:
            if (link_up()) return say_once("its other end is connected");
            if (monotonic_now() < next_try_) return {};
            close_gates();
            return say_once("its other end is not connected; goes on trying");
        case Condition::closing:
            if (!gates_closed()) return {};
            stop();
            condition_ = Condition::away;
            return {};
        case Condition::away:
            if (monotonic_now() >= next_try_) (void)connect_memif();
            return {};
    }
    return {};
}

}  // namespace wye::drivers
