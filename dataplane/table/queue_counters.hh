// QueueCounters: what comes in by one receive queue of a port, or by one share of a port whose single
// queue is spread in software, and which worker has it: what rebalancing goes by.
//
// In the counter file, behind the records of workers. Writer of the names: the control thread.
// Writer of the counts: whoever polls the queue, one at a time. Readers: any process.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/table/counters.hh"

namespace wye::table {

enum class QueueKind : std::uint32_t {
    none = 0,
    queue,      // of the device
    share,      // of the flows of a port that is spread (worker/spread.hh)
    hand_over,  // what one worker gets of a spread port: it stays with that worker
};

struct alignas(64) QueueCounters {
    std::atomic<QueueKind> kind{QueueKind::none};
    std::atomic<std::uint32_t> port{0};    // its id
    std::atomic<std::uint32_t> index{0};   // of the queue or share in its port
    std::atomic<std::uint32_t> worker{0};  // that has it, or is about to
    Counter packets;
    Counter cycles;  // that its packets took in the pipeline and out; 0 of a share: not known
};

/// Places in the counter file.
constexpr std::uint32_t kMostQueues = 2048;

}  // namespace wye::table
