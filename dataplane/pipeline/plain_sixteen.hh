// Sixteen frames at once: which of them are plain IPv4 packets (plain_headers.hh) of one run. The same
// conditions as PlainLane::enter, in the lanes of a vector: a transposition of the headers turns
// sixteen packets' fields into a register each, and from there a condition costs sixteen packets what
// it costs one. For bursts of which most frames are of one vport, as they nearly always are at a
// carrier's port or a large tenant's.
//
// Pure: reads frames, writes the result. Of a frame that is not among `plain` nothing is said.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "dataplane/net/address.hh"
#include "dataplane/pipeline/frame.hh"
#include "dataplane/pipeline/plain_runs.hh"

namespace wye::pipeline {

constexpr std::size_t kSixteen = 16;

struct alignas(64) Sixteen {
    std::array<std::uint32_t, kSixteen> lengths;  // of the IP packets
    std::array<net::Ipv4Address, kSixteen> destinations;
    std::uint32_t plain;     // bit i: frames[i] is one
    std::uint32_t is_whole;  // bit i: there is nothing behind its IP packet
    std::uint32_t bytes;     // of the frames that are plain
};

/// What the run's frames have in common, as the vectors compare it.
struct alignas(64) SixteenRun {
    /// Of the frame's first 16 bytes, and of the 16 before its IP packet: the bits that count, and
    /// what they are.
    std::array<std::uint64_t, 2> first_mask{}, first{}, last_mask{}, last{};
    std::uint32_t l3_offset = 0;
    bool is_tagged = false;

    SixteenRun() = default;
    explicit SixteenRun(const PlainRun& run) noexcept;
};

/// `frames` are sixteen.
using CheckSixteen = void (*)(const Frame* frames, const SixteenRun& run, Sixteen& result) noexcept;

/// Null where the CPU has no vectors for it: then frames are looked at one by one.
CheckSixteen check_sixteen() noexcept;
/// The instruction set that plain packets are admitted with, for people.
std::string_view admission_variant() noexcept;

}  // namespace wye::pipeline
