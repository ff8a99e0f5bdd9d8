// SharedTransmit: a transmit queue of a device that several workers use; or one whose device cannot
// receive and transmit at the same time, where these are two workers.
//
// Whoever finds the queue free transmits, first what others left; whoever does not leaves its frames
// in a bounded queue and goes on. Nobody waits: the flag is tried, not taken. Frames leave in the
// order in which they came here, so that a flow that moves from one worker to another keeps its
// order. A frame in the queue counts as transmitted; what the device does not take now is tried again
// at the next call, and at the poll of the worker that receives from the device (flush()).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/ring/mpsc.hh"
#include "dataplane/worker/port_io.hh"

namespace wye::worker {

class SharedTransmit {
  public:
    static constexpr std::size_t kWaiting = 1024;

    /// `apart`: the device may receive while it transmits. Else a poll at such a time finds nothing.
    SharedTransmit(PortIo& device, pipeline::FramePool& pool, bool apart = true)
        : device_(device), pool_(pool), apart_(apart) {}
    ~SharedTransmit();  // gives back what waits
    SharedTransmit(const SharedTransmit&) = delete;
    SharedTransmit& operator=(const SharedTransmit&) = delete;

    /// Any worker. As PortIo::transmit().
    std::size_t transmit(std::span<const pipeline::Frame> frames) noexcept;
    /// Any worker: sends what waits, if nobody else does.
    void flush() noexcept;
    /// What one worker adds to itself as the port: its transmit() goes there, it receives nothing.
    [[nodiscard]] std::unique_ptr<PortIo> end();
    /// The device as a receive queue that flushes at each poll.
    [[nodiscard]] std::unique_ptr<PortIo> receiver();

  private:
    class End;
    class Receiver;
    /// With the flag: everything that waits. False: the device is full.
    bool send_waiting() noexcept;

    PortIo& device_;
    pipeline::FramePool& pool_;
    const bool apart_;
    std::atomic<bool> busy_{false};
    ring::Mpsc<pipeline::Frame> waiting_{kWaiting};
    // With the flag: taken out of the queue, not yet by the device.
    std::array<pipeline::Frame, pipeline::kMaxBurst> next_;
    std::size_t next_begin_ = 0, next_end_ = 0;
    std::atomic<bool> next_waits_{false};  // there are some
};

}  // namespace wye::worker
