// A frame as the pipeline sees it: bytes in a buffer that somebody else owns.
//
// `buffer` is opaque here (a port back end keeps its own buffer there). A Frame is owned by exactly
// one holder at a time: the burst, an output queue, a hold slot, a host ring, the pool.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
    /// The same frame from `start` on, which is in it or in its headroom. One addition for length and
    /// headroom, which lie side by side, and what one gains the other loses.
    [[nodiscard]] Frame starting_at(std::byte* start) const noexcept {
        Frame frame;
        const std::int64_t gained = data - start;
        std::int64_t both;
        std::memcpy(&both, &length, sizeof both);
        both += gained - gained * (std::int64_t{1} << 32);
        frame.data = start;
        std::memcpy(&frame.length, &both, sizeof both);
        frame.buffer = buffer;
        return frame;
    }
    /// Shrinks at the back.
    void trim_to(std::uint32_t new_length) noexcept {
        tailroom = static_cast<std::uint16_t>(tailroom + (length - new_length));
        length = new_length;
    }
};

// Frame::starting_at
static_assert(offsetof(Frame, headroom) == offsetof(Frame, length) + 4 &&
              offsetof(Frame, buffer) == offsetof(Frame, length) + 8 &&
              std::endian::native == std::endian::little);

/// Where buffers come from and go to. Thread-safe: workers and the host thread use one pool.
class FramePool {
  public:
    virtual ~FramePool() = default;
    /// An empty frame (length 0) with at least kMinHeadroom; false: none left.
    virtual bool allocate(Frame& frame) noexcept = 0;
    virtual void release(std::span<const Frame> frames) noexcept = 0;
};

}  // namespace wye::pipeline
