// Ports and buffers in plain memory, for tests: no EAL, no device, no kernel.
//
// A MemoryPool counts what is out and stops the process at a double release, so that a test of a
// whole worker is also a leak test. A MemoryPort is one queue pair whose wire is the test itself.
// Both take a mutex, which a test may and a router may not: never configured as a real port.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "dataplane/pipeline/frame.hh"
#include "dataplane/worker/port_io.hh"

namespace wye::drivers {

class MemoryPool final : public pipeline::FramePool {
  public:
    /// `buffers` frames with room for kMinHeadroom + `room` bytes each.
    explicit MemoryPool(std::size_t buffers, std::uint16_t room = 2048);
    ~MemoryPool() override;

    bool allocate(pipeline::Frame& frame) noexcept override;
    void release(std::span<const pipeline::Frame> frames) noexcept override;
    /// Buffers that somebody holds: 0 at the end of a test without leaks.
    [[nodiscard]] std::size_t in_use() const;
    /// A frame with these bytes in it; false: no buffer left, or too long.
    bool make(std::span<const std::byte> bytes, pipeline::Frame& frame);

  private:
    struct Buffer;
    mutable std::mutex mutex_;
    std::uint16_t room_;
    std::vector<std::unique_ptr<Buffer>> buffers_;
    std::vector<Buffer*> free_;
};

class MemoryPort final : public worker::PortIo {
  public:
    explicit MemoryPort(MemoryPool& pool);
    ~MemoryPort() override;
    MemoryPort(const MemoryPort&) = delete;
    MemoryPort& operator=(const MemoryPort&) = delete;

    // The worker's side.
    std::size_t receive(std::span<pipeline::Frame> out) noexcept override;
    std::size_t transmit(std::span<const pipeline::Frame> frames) noexcept override;
    [[nodiscard]] int wait_descriptor() const noexcept override { return arrived_; }

    // The test's side: the wire.
    bool arrive(std::span<const std::byte> bytes);
    /// What was transmitted since the last call; its buffers go back to the pool.
    std::vector<std::vector<std::byte>> take_transmitted();
    /// The transmit queue takes this many more frames, then none: a full queue.
    void set_transmit_room(std::size_t frames);
    void set_longest_frame(std::uint32_t untagged, std::uint32_t tagged) {
        limit_frames(untagged, tagged);
    }
    /// Reports frames as received in pieces (see PortIo::take_not_contiguous).
    void pretend_not_contiguous(std::uint32_t frames) { not_contiguous_ += frames; }

  private:
    MemoryPool& pool_;
    int arrived_;  // eventfd, readable while frames wait
    mutable std::mutex mutex_;
    std::deque<pipeline::Frame> received_;
    std::vector<pipeline::Frame> transmitted_;
    std::size_t transmit_room_ = SIZE_MAX;
};

}  // namespace wye::drivers
