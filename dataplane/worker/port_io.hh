// PortIo: the seam between a worker and whatever moves frames in and out. Implemented under
// drivers/ only; a port back end states there what it does that a step may not (system calls, …).
//
// One PortIo is one queue pair of a port, used by one worker.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/pipeline/frame.hh"

namespace wye::worker {

class PortIo {
  public:
    virtual ~PortIo() = default;
    /// Fills up to out.size() frames that the caller then owns; returns how many. VLAN tags are in
    /// the bytes, checksums as on the wire, at least kMinHeadroom before the data.
    virtual std::size_t receive(std::span<pipeline::Frame> out) noexcept = 0;
    /// Takes frames from the front, returns how many; the caller keeps the others.
    virtual std::size_t transmit(std::span<const pipeline::Frame> frames) noexcept = 0;
    /// True when receive() may have work right after returning nothing (adaptive idling skips
    /// the sleep); a descriptor to wait on, or -1.
    [[nodiscard]] virtual int wait_descriptor() const noexcept { return -1; }
};

}  // namespace wye::worker
