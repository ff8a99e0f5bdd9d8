// A burst: the packets that a worker works on at once, and which of them are still on their way.
// Owner: the worker's Context; nothing in it outlives a run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/pipeline/frame.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/table/acl.hh"
#include "dataplane/table/fib.hh"

namespace wye::table {
struct NextHop;
}

namespace wye::pipeline {

/// Frames to give back to the pool, collected so that the pool is called once, not for each packet.
class Discarded {
  public:
    void add(const Frame& frame, FramePool& pool) noexcept {
        if (count_ == frames_.size()) flush(pool);
        frames_[count_++] = frame;
    }
    void flush(FramePool& pool) noexcept {
        if (count_ != 0) pool.release({frames_.data(), count_});
        count_ = 0;
    }

  private:
    std::array<Frame, 2 * kMaxBurst> frames_;
    std::size_t count_ = 0;
};

/// Packets that are still on their way: a list of indexes, cut by the passes.
struct Live {
    std::size_t count = 0;
    std::array<std::uint8_t, kMaxBurst> index;
    void add(std::size_t i) noexcept { index[count++] = static_cast<std::uint8_t>(i); }
    [[nodiscard]] const std::uint8_t* begin() const noexcept { return index.data(); }
    [[nodiscard]] const std::uint8_t* end() const noexcept { return index.data() + count; }
};

struct Burst {
    std::array<Packet, kMaxBurst> packets;
    std::array<const table::NextHop*, kMaxBurst> nexthops;
    std::array<table::Acl4Query, kMaxBurst> acls4;
    std::array<table::Acl6Query, kMaxBurst> acls6;
    std::array<table::Ref<table::Fib4Root>, kMaxBurst> roots4;
    std::array<net::Ipv4Address, kMaxBurst> addresses4;
    std::array<table::Ref<table::Fib6Root>, kMaxBurst> roots6;
    std::array<net::Ipv6Address, kMaxBurst> addresses6;
    std::array<table::Leaf, kMaxBurst> leaves;
    Discarded discarded;
};

}  // namespace wye::pipeline
