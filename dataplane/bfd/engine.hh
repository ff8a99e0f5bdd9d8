// Engine: all BFD sessions of the router, run by one worker at a time, once in each of its turns.
//
// In a turn: what the control thread ordered, what workers received, then timers. Detection is decided
// after everything that waited was looked at, on a clock that stands still while the worker does not
// run: time that it was not given (a gap between two turns of more than kStall) is not held against the
// peers, and for kDrain after such a gap no session goes down, so that what came meanwhile is read first.
//
// A session that goes down, or comes up again, writes one word: the liveness of the next hop to its
// neighbour (table/liveness.hh). Whatever number of prefixes lead there follows at once.
//
// Threads. Orders and events: queues from and to the control thread. Datagrams: one queue a worker.
// turn(): the worker that has the engine. Nothing here allocates, locks or makes a system call after the
// constructor.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/base/clock.hh"
#include "dataplane/bfd/datagram.hh"
#include "dataplane/bfd/session.hh"
#include "dataplane/bfd/session_map.hh"
#include "dataplane/bfd/timer_wheel.hh"
#include "dataplane/ring/spsc.hh"
#include "dataplane/table/bfd_file.hh"
#include "dataplane/table/liveness.hh"

namespace wye::bfd {

/// A longer gap between two turns is the machine's fault. An idle worker sleeps for 1 ms at most.
constexpr Nanoseconds kStall = std::chrono::milliseconds(3);
/// Enough to read what a receive queue of 4096 packets holds, at a slow 2 million a second.
constexpr Nanoseconds kDrain = std::chrono::milliseconds(2);
constexpr std::uint32_t kDatagramsInOneTurn = 256;  // of each worker

/// From the control thread. Slots are its own to give; an order for a slot follows those before it.
struct Order {
    enum class Kind : std::uint8_t { none, add, change, remove };
    Kind kind = Kind::none;
    std::uint32_t slot = 0;
    std::uint32_t discriminator = 0;  // add
    Endpoint end;                     // add
    Parameters parameters;            // add, change
};

using Orders = ring::Spsc<Order>;
/// To the control thread: something about the session in this slot has changed; its record says what.
using Events = ring::Spsc<std::uint32_t>;

class Engine {
  public:
    struct Wiring {
        Orders& orders;
        std::vector<Inbox*> inboxes;
        Events& events;
        table::Liveness& liveness;
        const table::BfdFile& file;
    };
    explicit Engine(Wiring wiring);

    /// `now` never goes back. Fills `out` with packets to be sent at once; a full `out` means that there
    /// may be more: call again. How many were filled in.
    std::size_t turn(Nanoseconds now, std::span<Departure> out) noexcept;

    [[nodiscard]] std::size_t sessions() const noexcept { return count_; }

  private:
    struct Slot {
        bool used = false;
        bool answers = false;       // a packet with F is due
        bool due = false;           // a periodic packet is due
        bool ready = false;         // it is in ready_
        bool untold = false;        // it is in untold_
        Nanoseconds last_heard{};   // on the detection clock
        Nanoseconds detects_at{};   // what its timer is set to, or zero
        Nanoseconds last_packet{};  // that was sent
        Nanoseconds interval{};     // to the next one; zero: none is to come
        Endpoint end;
        Session session;
    };
    // Timers: 2 * slot transmits, 2 * slot + 1 detects.
    void note_time(Nanoseconds now) noexcept;
    void take_orders() noexcept;
    void apply(const Order& order) noexcept;
    void add(const Order& order) noexcept;
    void remove(std::uint32_t slot) noexcept;
    void take_datagrams() noexcept;
    void take(const Datagram& datagram) noexcept;
    [[nodiscard]] std::uint32_t find(const Datagram& datagram,
                                     const net::BfdControl& packet) const noexcept;
    void drop(std::uint32_t slot, table::BfdDrop reason) noexcept;
    void fire(std::uint32_t timer) noexcept;
    void detect(std::uint32_t slot) noexcept;
    void plan_packet(std::uint32_t slot) noexcept;
    void hasten_packet(std::uint32_t slot) noexcept;
    void arm_detection(std::uint32_t slot) noexcept;
    void make_ready(std::uint32_t slot) noexcept;
    void note_change(std::uint32_t slot, net::BfdState before, bool failed_before) noexcept;
    void begin_record(std::uint32_t slot) noexcept;
    void publish(std::uint32_t slot) noexcept;
    void set_liveness(const Slot& slot) noexcept;
    void tell() noexcept;
    std::size_t depart(std::span<Departure> out) noexcept;
    void depart(std::uint32_t slot, bool final, Departure& out) noexcept;
    [[nodiscard]] Nanoseconds detection_now() const noexcept { return now_ - stalled_; }
    std::uint32_t random() noexcept;

    Wiring wiring_;
    std::vector<Slot> slots_;
    SessionMap by_discriminator_, by_addresses_;
    TimerWheel wheel_;
    std::array<std::uint32_t, table::kMaxBfdSessions> ready_{};  // have something to send: a ring
    std::size_t ready_first_ = 0, ready_end_ = 0;
    std::array<std::uint32_t, table::kMaxBfdSessions> untold_{};  // have something to tell
    std::size_t untold_count_ = 0;
    std::size_t count_ = 0;
    Nanoseconds now_{}, stalled_{}, drained_at_{};
    bool began_ = false;
    std::uint64_t random_state_ = 0x853c49e6748fea9bu;
};

}  // namespace wye::bfd
