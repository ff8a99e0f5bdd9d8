// memif and vhost_user with several queue pairs: the two ends agree on them when they connect, and DPDK 22.11
// does not tell how many the other end has. A pair that it has not takes no frame, so that is how it is
// noticed.
#include <fmt/format.h>

#include "drivers/ethdev/port.hh"

namespace wye::drivers {
namespace {

/// So long the other end has to begin to read.
constexpr std::chrono::seconds kToBegin{2};

}  // namespace

std::vector<std::string> EthdevPort::look_at_pairs() {
    if (!link_up()) {
        for (const auto& gate : gates_) gate->forget_sent();
        pairs_due_.reset();
        pairs_told_ = false;
        return {};
    }
    if (!pairs_due_) pairs_due_ = monotonic_now() + kToBegin;
    if (pairs_told_ || tx_queues_ < 2 || monotonic_now() < *pairs_due_) return {};
    std::vector<std::size_t> silent;
    for (std::size_t i = 0; i < tx_queues_; ++i) {
        if (gates_[i]->takes_nothing()) silent.push_back(i);
    }
    if (silent.empty()) return {};
    pairs_told_ = true;
    return {error(fmt::format(
                      "the other end takes nothing of queue(s) {}, so what workers send by them "
                      "is dropped (port_transmit_full); give it {} queue pairs, or lower "
                      "receive_queues here",
                      fmt::join(silent, ", "), tx_queues_))
                .text};
}

}  // namespace wye::drivers
