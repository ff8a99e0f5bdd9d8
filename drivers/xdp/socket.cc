#include "drivers/xdp/socket.hh"

#include <fmt/format.h>
#include <rte_prefetch.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace wye::drivers {

using pipeline::Frame;
using pipeline::kMaxBurst;

namespace {

/// The kernel takes 32 frames a call in copy mode: of one burst, and of what an earlier one left.
constexpr int kMostCalls = 3;

std::string why_not(const XdpSocketRequest& request, int error) {
    const std::string words = std::strerror(error);
    switch (error) {
        case EBUSY:
            return words + ": another socket has the queue";
        case EOPNOTSUPP:
            if (request.zero_copy == ZeroCopy::required) {
                return words + ": zero_copy is required, but the driver has none";
            }
            return words;
        default:
            return words;
    }
}

}  // namespace

Result<std::unique_ptr<XdpSocket>> XdpSocket::open(const XdpSocketRequest& request,
                                                   XdpMemory& memory, XdpBufferRings rings) {
    std::unique_ptr<XdpSocket> made(new XdpSocket(memory, rings));
    xsk_socket_config config{};
    config.rx_size = request.rx_descriptors;
    config.tx_size = request.tx_descriptors;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    config.bind_flags = XDP_USE_NEED_WAKEUP;
    // Without a flag the kernel takes zero-copy where there is one.
    if (request.zero_copy == ZeroCopy::never) config.bind_flags |= XDP_COPY;
    if (request.zero_copy == ZeroCopy::required) config.bind_flags |= XDP_ZEROCOPY;
    const int failed = xsk_socket__create_shared(
        &made->socket_, request.interface.c_str(), request.queue, memory.umem(), &made->rx_,
        &made->tx_, &made->rings_.fill, &made->rings_.completion, &config);
    if (failed != 0) {
        made->socket_ = nullptr;
        return fail(fmt::format("queue {} takes no AF_XDP socket: {}", request.queue,
                                why_not(request, -failed)));
    }
    for (std::uint32_t n = 0; n < made->rings_.fill.size; n += kMaxBurst) made->refill();
    return made;
}

XdpSocket::~XdpSocket() {
    if (socket_ != nullptr) xsk_socket__delete(socket_);
}

bool XdpSocket::zero_copy() const noexcept {
    xdp_options options{};
    socklen_t length = sizeof options;
    return getsockopt(descriptor(), SOL_XDP, XDP_OPTIONS, &options, &length) == 0 &&
           (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
}

std::size_t XdpSocket::receive(std::span<Frame> out) noexcept {
    std::uint32_t index = 0;
    const std::uint32_t n =
        xsk_ring_cons__peek(&rx_, static_cast<std::uint32_t>(out.size()), &index);
    for (std::uint32_t i = 0; i < n; ++i) {
        out[i] = memory_.filled(*xsk_ring_cons__rx_desc(&rx_, index + i));
        rte_prefetch0(out[i].data);
    }
    if (n > 0) xsk_ring_cons__release(&rx_, n);
    refill();
    if (sending_ > 0) [[unlikely]] {
        if (n == 0) reap();
        if (unsent()) push();
    }
    return n;
}

/// In whole bursts, so that a bulk of the pool is one operation.
void XdpSocket::refill() noexcept {
    if (xsk_prod_nb_free(&rings_.fill, kMaxBurst) >= kMaxBurst) {
        std::array<std::uint64_t, kMaxBurst> addresses;
        if (memory_.take_empty(addresses)) [[likely]] {
            std::uint32_t index = 0;
            (void)xsk_ring_prod__reserve(&rings_.fill, kMaxBurst, &index);
            for (std::uint32_t i = 0; i < kMaxBurst; ++i) {
                *xsk_ring_prod__fill_addr(&rings_.fill, index + i) = addresses[i];
            }
            xsk_ring_prod__submit(&rings_.fill, kMaxBurst);
        }
    }
    if (xsk_ring_prod__needs_wakeup(&rings_.fill) != 0) [[unlikely]] {
        (void)recvfrom(descriptor(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
    }
}

void XdpSocket::reap() noexcept {
    std::array<std::uint64_t, kMaxBurst> addresses;
    while (sending_ > 0) {
        std::uint32_t index = 0;
        const std::uint32_t n = xsk_ring_cons__peek(&rings_.completion, kMaxBurst, &index);
        if (n == 0) return;
        for (std::uint32_t i = 0; i < n; ++i) {
            addresses[i] = *xsk_ring_cons__comp_addr(&rings_.completion, index + i);
        }
        xsk_ring_cons__release(&rings_.completion, n);
        memory_.sent({addresses.data(), n});
        sending_ -= n;
    }
}

std::size_t XdpSocket::transmit(std::span<const Frame> frames) noexcept {
    reap();
    const auto wanted = static_cast<std::uint32_t>(frames.size());
    const std::uint32_t room = std::min(wanted, xsk_prod_nb_free(&tx_, wanted));
    std::uint32_t n = 0;
    while (n < room &&
           memory_.give(frames[n], *xsk_ring_prod__tx_desc(&tx_, tx_.cached_prod + n))) {
        ++n;
    }
    if (n > 0) {
        tx_.cached_prod += n;
        xsk_ring_prod__submit(&tx_, n);
        sending_ += n;
    }
    push();
    return n;
}

bool XdpSocket::unsent() const noexcept {
    return __atomic_load_n(tx_.consumer, __ATOMIC_ACQUIRE) != *tx_.producer;
}

void XdpSocket::push() noexcept {
    for (int call = 0; call < kMostCalls && unsent(); ++call) {
        if (xsk_ring_prod__needs_wakeup(&tx_) == 0) return;
        // What it could not take is tried again with the next burst, or by receive().
        if (sendto(descriptor(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 && errno != EAGAIN)
            return;
    }
}

}  // namespace wye::drivers
