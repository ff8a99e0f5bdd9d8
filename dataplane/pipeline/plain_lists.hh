// What the lane's files share: which family it is, and how a packet enters a list.
// Private to plain_*.cc.
#pragma once

#include <type_traits>

#include "dataplane/net/ethernet.hh"
#include "dataplane/pipeline/plain_lane.hh"

namespace wye::pipeline {

constexpr std::size_t kShortestFrame = sizeof(net::EthernetHeader) + PlainIpv4::kLeast;

template <class Family>
constexpr bool is_ipv4 = std::is_same_v<Family, PlainIpv4>;

/// This family's of two things.
template <class Family, class A, class B>
constexpr decltype(auto) of_family(A& ipv4, B& ipv6) noexcept {
    if constexpr (is_ipv4<Family>) {
        return (ipv4);
    } else {
        return (ipv6);
    }
}

/// Source in the upper half.
template <class Family>
std::uint32_t ports_of(const std::byte* l3) noexcept {
    return byteswap(load<std::uint32_t>(l3 + Family::kHeader));
}

/// `size` bytes from entry.l3() on are the frame's.
template <class Family>
[[gnu::always_inline]] inline bool PlainLane::enter_as(const Entry& entry, std::uint32_t size,
                                                       List<Family>& list) noexcept {
    if (size < Family::kLeast) [[unlikely]]
        return false;
    const std::byte* const l3 = entry.l3();
    const std::uint32_t length = Family::length(l3, size);
    if (length == 0) [[unlikely]]
        return false;
    PlainRun& run = *entry.run;
    ++of_family<Family>(run.ipv4, run.ipv6);
    run.bytes += size + run.l3_offset;
    if (length != size) entry.frame->trim_to(entry.frame->length - (size - length));
    if constexpr (is_ipv4<Family>) table::prefetch_in_table(run.table4, Family::destination(l3));
    list.add(entry, length, Family::destination(l3));
    return true;
}

}  // namespace wye::pipeline
