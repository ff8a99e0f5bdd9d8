// XdpSocket: one AF_XDP socket on one queue of an interface, with its four rings. Used by one worker.
//
// System calls: transmit() calls sendto() once for each burst of up to 32 frames, where the kernel
// wants to be woken for them. In copy mode that call is what sends: it makes a packet of each frame and
// takes it through the device's queue, all on the worker's time. With zero-copy it is rare. receive()
// makes none while frames come, but for a driver that has run out of buffers and asks to be told of
// new ones, and for frames of transmit() that the kernel has not taken yet.
//
// A frame that the kernel cannot send after it took it, and one that comes when the socket's ring or its
// buffers are used up, is counted by the kernel alone.
#pragma once

#include <xdp/xsk.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "dataplane/base/result.hh"
#include "dataplane/pipeline/frame.hh"
#include "drivers/ethdev/port_specification.hh"
#include "drivers/xdp/memory.hh"

namespace wye::drivers {

struct XdpSocketRequest {
    std::string interface;
    std::uint32_t queue = 0;
    std::uint32_t rx_descriptors = 512;  // powers of two
    std::uint32_t tx_descriptors = 512;
    ZeroCopy zero_copy = ZeroCopy::automatic;
};

class XdpSocket {
  public:
    /// Bound, with buffers to receive into. `rings`: those of the memory for the first socket, else
    /// empty ones to be made.
    static Result<std::unique_ptr<XdpSocket>> open(const XdpSocketRequest& request,
                                                   XdpMemory& memory, XdpBufferRings rings);
    ~XdpSocket();
    XdpSocket(const XdpSocket&) = delete;
    XdpSocket& operator=(const XdpSocket&) = delete;

    std::size_t receive(std::span<pipeline::Frame> out) noexcept;
    std::size_t transmit(std::span<const pipeline::Frame> frames) noexcept;
    [[nodiscard]] int descriptor() const noexcept { return xsk_socket__fd(socket_); }
    [[nodiscard]] bool zero_copy() const noexcept;

  private:
    XdpSocket(XdpMemory& memory, const XdpBufferRings& rings) : memory_(memory), rings_(rings) {}
    void refill() noexcept;
    void reap() noexcept;
    void push() noexcept;
    [[nodiscard]] bool unsent() const noexcept;

    XdpMemory& memory_;
    XdpBufferRings rings_;
    xsk_ring_cons rx_{};
    xsk_ring_prod tx_{};
    xsk_socket* socket_ = nullptr;
    std::uint32_t sending_ = 0;  // given to the kernel and not reaped
};

}  // namespace wye::drivers
