#include "drivers/memory/memory_port.hh"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "dataplane/base/check.hh"

namespace wye::drivers {

using pipeline::Frame;
using pipeline::kMinHeadroom;

struct MemoryPool::Buffer {
    bool out = false;
    std::vector<std::byte> bytes;
};

MemoryPool::MemoryPool(std::size_t buffers, std::uint16_t room) : room_(room) {
    for (std::size_t i = 0; i < buffers; ++i) {
        buffers_.push_back(std::make_unique<Buffer>());
        buffers_.back()->bytes.resize(std::size_t{kMinHeadroom} + room);
        free_.push_back(buffers_.back().get());
    }
}

MemoryPool::~MemoryPool() = default;

bool MemoryPool::allocate(Frame& frame) noexcept {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return false;
    Buffer* buffer = free_.back();
    free_.pop_back();
    buffer->out = true;
    frame = Frame{buffer->bytes.data() + kMinHeadroom, 0, kMinHeadroom, room_, buffer};
    return true;
}

void MemoryPool::release(std::span<const Frame> frames) noexcept {
    const std::lock_guard lock(mutex_);
    for (const Frame& frame : frames) {
        auto* buffer = static_cast<Buffer*>(frame.buffer);
        WYE_CHECK(buffer != nullptr && buffer->out, "a frame was released twice");
        buffer->out = false;
        free_.push_back(buffer);
    }
}

std::size_t MemoryPool::in_use() const {
    const std::lock_guard lock(mutex_);
    return buffers_.size() - free_.size();
}

bool MemoryPool::make(std::span<const std::byte> bytes, Frame& frame) {
    if (bytes.size() > room_ || !allocate(frame)) return false;
    std::copy(bytes.begin(), bytes.end(), frame.data);
    frame.length = static_cast<std::uint32_t>(bytes.size());
    frame.tailroom = static_cast<std::uint16_t>(room_ - bytes.size());
    return true;
}

MemoryPort::MemoryPort(MemoryPool& pool)
    : pool_(pool), arrived_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    WYE_CHECK(arrived_ >= 0, "no eventfd");
}

MemoryPort::~MemoryPort() {
    const std::vector<Frame> waiting(received_.begin(), received_.end());
    pool_.release(waiting);
    pool_.release(transmitted_);
    close(arrived_);
}

std::size_t MemoryPort::receive(std::span<Frame> out) noexcept {
    const std::lock_guard lock(mutex_);
    std::size_t n = 0;
    while (n < out.size() && !received_.empty()) {
        out[n++] = received_.front();
        received_.pop_front();
    }
    if (n > 0 && received_.empty()) {
        eventfd_t ignored = 0;
        (void)eventfd_read(arrived_, &ignored);
    }
    return n;
}

std::size_t MemoryPort::transmit(std::span<const Frame> frames) noexcept {
    const std::lock_guard lock(mutex_);
    const std::size_t n = std::min(frames.size(), transmit_room_);
    transmitted_.insert(transmitted_.end(), frames.begin(),
                        frames.begin() + static_cast<std::ptrdiff_t>(n));
    if (transmit_room_ != SIZE_MAX) transmit_room_ -= n;
    return n;
}

bool MemoryPort::arrive(std::span<const std::byte> bytes) {
    Frame frame;
    if (!pool_.make(bytes, frame)) return false;
    const std::lock_guard lock(mutex_);
    received_.push_back(frame);
    (void)eventfd_write(arrived_, 1);
    return true;
}

std::vector<std::vector<std::byte>> MemoryPort::take_transmitted() {
    const std::lock_guard lock(mutex_);
    std::vector<std::vector<std::byte>> taken;
    for (const Frame& frame : transmitted_) {
        const auto bytes = frame.bytes();
        taken.emplace_back(bytes.begin(), bytes.end());
    }
    pool_.release(transmitted_);
    transmitted_.clear();
    return taken;
}

void MemoryPort::set_transmit_room(std::size_t frames) {
    const std::lock_guard lock(mutex_);
    transmit_room_ = frames;
}

}  // namespace wye::drivers
