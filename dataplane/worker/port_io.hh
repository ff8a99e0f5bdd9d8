// PortIo: the seam between a worker and whatever moves frames in and out. Implemented under
// drivers/ only; a port back end states there what it does that a step may not (system calls, …).
//
// One PortIo is one queue pair of a port. receive() is called by one worker at a time
// (receive_queues.hh), transmit() by one; they may be two.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "dataplane/pipeline/frame.hh"

namespace wye::worker {

class PortIo {
  public:
    virtual ~PortIo() = default;
    /// Fills up to out.size() frames that the caller then owns; returns how many. VLAN tags are in
    /// the bytes, checksums as on the wire, at least kMinHeadroom before the data, whose first cache
    /// line it has asked for where it is not at hand.
    virtual std::size_t receive(std::span<pipeline::Frame> out) noexcept = 0;
    /// Takes frames from the front, returns how many; the caller keeps the others. Every frame is
    /// sendable() (the worker has looked).
    virtual std::size_t transmit(std::span<const pipeline::Frame> frames) noexcept = 0;
    /// True when receive() may have work right after returning nothing (adaptive idling skips
    /// the sleep); a descriptor to wait on, or -1.
    [[nodiscard]] virtual int wait_descriptor() const noexcept { return -1; }
    /// Something waits that no descriptor tells of: looked at before a sleep.
    [[nodiscard]] virtual bool ready() const noexcept { return false; }

    /// Frames received since the last call that the port could not hand over in one piece and has
    /// released already: the worker books them (rx, not_contiguous).
    std::uint32_t take_not_contiguous() noexcept { return std::exchange(not_contiguous_, 0); }
    /// Frames since the last call that were given to other workers, and those that had to be
    /// released because a worker's queue was full: the worker books these (rx, worker_queue_full).
    std::uint32_t take_passed_on() noexcept { return std::exchange(passed_on_, 0); }
    std::uint32_t take_queue_full() noexcept { return std::exchange(queue_full_, 0); }
    /// The device takes a frame of this length. Some devices stop for good at one that they do not
    /// take, so the worker asks first.
    [[nodiscard]] bool sendable(const pipeline::Frame& frame) const noexcept {
        if (frame.length <= longest_untagged_) return true;
        return frame.length <= longest_tagged_ && frame.data[12] == std::byte{0x81} &&
               frame.data[13] == std::byte{0x00};
    }

    [[nodiscard]] std::uint32_t longest_untagged() const noexcept { return longest_untagged_; }
    [[nodiscard]] std::uint32_t longest_tagged() const noexcept { return longest_tagged_; }

  protected:
    /// Of a whole frame without FCS; tagged: with one 802.1Q tag more.
    void limit_frames(std::uint32_t longest_untagged, std::uint32_t longest_tagged) noexcept {
        longest_untagged_ = longest_untagged;
        longest_tagged_ = longest_tagged;
    }
    std::uint32_t not_contiguous_ = 0;
    std::uint32_t passed_on_ = 0;
    std::uint32_t queue_full_ = 0;

  private:
    std::uint32_t longest_untagged_ = UINT32_MAX;
    std::uint32_t longest_tagged_ = UINT32_MAX;
};

}  // namespace wye::worker
