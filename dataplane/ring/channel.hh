// The shared-memory channel of one session: two command rings, two completion rings, an event ring.
//
// Lives in a memfd that the data plane makes anew for every session (a producer killed in the
// middle of an enqueue leaves a ring unusable, so none is ever reused). rte_ring, inline functions
// only: neither side needs EAL here. Each ring has one producer and one consumer.
//
// A batch is enqueued whole or not at all (`bulk`), so that an unfinished batch is never seen.
// Wake-ups: after an enqueue the producer writes to the eventfd of the consumer, but only when the
// consumer said that it is about to sleep. A producer that was refused for want of room (or was
// told a room of 0) is woken by the same eventfd as soon as the consumer has taken something out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/base/result.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::ring {

struct ChannelSizes {
    std::uint32_t commands = 8192;  // of each stream; powers of two
    std::uint32_t completions = 16384;
    std::uint32_t events = 4096;
    friend bool operator==(const ChannelSizes&, const ChannelSizes&) = default;
};

/// The mapping. Made by the data plane (create), mapped by the shim (attach). Descriptors are
/// owned: closed on destruction.
class Channel {
  public:
    static Result<Channel> create(const ChannelSizes& sizes);
    /// Checks magic, version, sizes and the seals of the memfd before anything is believed. Takes
    /// the three descriptors over, also when it fails.
    static Result<Channel> attach(int memfd, int control_wakeup, int shim_wakeup);

    Channel(Channel&&) noexcept;
    Channel& operator=(Channel&&) noexcept;
    ~Channel();

    [[nodiscard]] int memfd() const noexcept;
    [[nodiscard]] int control_wakeup() const noexcept;  // eventfd that the control thread polls
    [[nodiscard]] int shim_wakeup() const noexcept;     // eventfd that the shim polls
    [[nodiscard]] const ChannelSizes& sizes() const noexcept;

    // Shim side. All or nothing; false when there is no room (back-pressure: keep and retry). A
    // batch has at most one value less than its ring's size; a larger one would never fit.
    bool send(Stream stream, std::span<const Command> commands);
    std::size_t receive_completions(Stream stream, std::span<Completion> out);
    std::size_t receive_events(std::span<Event> out);
    [[nodiscard]] std::size_t command_room(Stream stream) const;

    // Data plane side.
    std::size_t receive_commands(Stream stream, std::span<Command> out);
    bool complete(Stream stream, std::span<const Completion> completions);
    bool publish(std::span<const Event> events);
    [[nodiscard]] std::size_t completion_room(Stream stream) const;

    // Sleeping. Call prepare_…, look at the rings once more, then poll the eventfd, then finish_…,
    // then look at all rings and retry what was refused: a wake-up does not say what it is for.
    void control_prepare_sleep() noexcept;
    void control_finish_sleep() noexcept;
    void shim_prepare_sleep() noexcept;
    void shim_finish_sleep() noexcept;

  private:
    struct Impl;
    explicit Channel(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace wye::ring
