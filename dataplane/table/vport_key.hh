// (port, VLAN, inner VLAN) → vport: an open-addressing hash of single 64-bit words in the arena.
//
// One word holds the key and the value, so that a reader sees either all of an entry or none.
// Linear probing; a removed entry becomes a tombstone, reused by the writer. Writer: control
// thread; readers: workers. Shape: header().vport_key_slots words, a power of two, at most half full.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/base/ids.hh"
#include "dataplane/table/arena.hh"

namespace wye::table {

/// 6 bits port, 13 bits VLAN (kNoVlan as 0x1fff), 13 bits inner VLAN: 32 bits.
constexpr std::uint32_t vport_key(std::uint16_t port, std::uint16_t vlan,
                                  std::uint16_t inner_vlan) noexcept {
    return (std::uint32_t{port} & 0x3f) << 26 | (std::uint32_t{vlan} & 0x1fff) << 13 |
           (std::uint32_t{inner_vlan} & 0x1fff);
}

constexpr std::uint64_t kVportKeyEmpty = 0;
constexpr std::uint64_t kVportKeyTombstone = 1;

/// Layout of a word: key in the high half, (vport id + 2) in the low half.
constexpr std::uint64_t vport_key_word(std::uint32_t key, VportId vport) noexcept {
    return std::uint64_t{key} << 32 | (vport.value + 2);
}

constexpr std::uint32_t vport_key_hash(std::uint32_t key) noexcept {
    std::uint32_t h = key * 0x9e3779b1u;
    return h ^ (h >> 15);
}

/// The vport at this attachment, or an invalid id.
inline VportId find_vport(ArenaView arena, std::uint32_t key) noexcept {
    const auto& header = arena.header();
    const auto* words = arena.at(header.vport_keys);
    const std::uint32_t mask = header.vport_key_slots - 1;
    for (std::uint32_t i = vport_key_hash(key), probes = 0; probes <= mask; ++i, ++probes) {
        const std::uint64_t word = words[i & mask].load(std::memory_order_acquire);
        if (word == kVportKeyEmpty) return VportId{};
        if (word != kVportKeyTombstone && static_cast<std::uint32_t>(word >> 32) == key) {
            return VportId{static_cast<std::uint32_t>(word) - 2};
        }
    }
    return VportId{};
}
inline VportId find_vport(ArenaView arena, std::uint16_t port, std::uint16_t vlan,
                          std::uint16_t inner_vlan) noexcept {
    return find_vport(arena, vport_key(port, vlan, inner_vlan));
}

/// Fetches what find_vport will look at first.
inline void prefetch_vport(ArenaView arena, std::uint32_t key) noexcept {
    const auto& header = arena.header();
    const auto* words = arena.at(header.vport_keys);
    __builtin_prefetch(words + (vport_key_hash(key) & (header.vport_key_slots - 1)));
}

}  // namespace wye::table
