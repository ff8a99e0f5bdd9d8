// A frame as the pipeline sees it: bytes in a buffer that somebody else owns.
//
// `buffer` is opaque here (a port back end keeps its own buffer there). A Frame is owned by exactly
// one holder at a time: the burst, an output queue, a hold slot, a host ring, the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace wye::pipeline {

/// Free bytes before the data of every received frame, for outer headers and tags.
constexpr std::uint16_t kMinHeadroom = 256;
constexpr std::size_t kMaxBurst = 32;

struct Frame {
    std::byte* data = nullptr;
    std::uint32_t length = 0;
    std::uint16_t headroom = 0;  // free bytes before data
    std::uint16_t tailroom = 0;  // free bytes behind data + length
    void* buffer = nullptr;

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data, length}; }
    /// Grows at the front; the caller has checked headroom.
    void prepend(std::uint16_t n) noexcept {
        data -= n;
        headroom = static_cast<std::uint16_t>(headroom - n);
        length += n;
    }
    /// Shrinks at the front; the caller has checked length.
    void strip(std::uint32_t n) noexcept {
        data += n;
        headroom = static_cast<std::uint16_t>(headroom + n);
        length -= n;
    }
    /// Both in one: shrinks at the front by n, or grows where n is negative.
    void move_start(int n) noexcept {
        data += n;
        headroom = static_cast<std::uint16_t>(headroom + n);
        length -= static_cast<std::uint32_t>(n);
    }
    /// Shrinks at the back.
    void trim_to(std::uint32_t new_length) noexcept {
        tailroom = static_cast<std::uint16_t>(tailroom + (length - new_length));
        length = new_length;
    }
};

/// Where buffers come from and go to. Thread-safe: workers and the host thread use one pool.
class FramePool {
  public:
    virtual ~FramePool() = default;
    /// An empty frame (length 0) with at least kMinHeadroom; false: none left.
    virtual bool allocate(Frame& frame) noexcept = 0;
    virtual void release(std::span<const Frame> frames) noexcept = 0;
};

}  // namespace wye::pipeline
