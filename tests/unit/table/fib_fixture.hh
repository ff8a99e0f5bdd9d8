// What the FIB tests share: an arena with a FIB of one family in it, and a naive model.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <vector>

#include "dataplane/table/fib.hh"
#include "dataplane/table/fib_lookup.hh"
#include "dataplane/table/fib_trie.hh"

namespace wye::table {

inline ArenaLimits fib_limits(std::uint64_t heap_bytes) {
    ArenaLimits limits;
    limits.tenants = limits.vrfs = limits.vports = limits.tunnels = 16;
    limits.nexthops = limits.groups = 16;
    limits.heap_bytes = heap_bytes;
    return limits;
}

struct FibUnderTest {
    net::IpFamily family;
    ArenaWriter arena;
    std::atomic<std::uint32_t> root{0};
    FibWriter writer;
    std::uint64_t epoch = 0;

    [[nodiscard]] FibForm form() const { return arena.view().at(Ref<FibRoot>{root.load()})->form; }

    explicit FibUnderTest(net::IpFamily f, std::uint64_t heap_bytes = 64 << 20)
        : family(f),
          arena(*ArenaWriter::create_anonymous(fib_limits(heap_bytes))),
          writer(arena, f, root) {}

    /// No reader is about: what was retired is free.
    void reclaim() {
        arena.seal(++epoch);
        arena.release_through(epoch);
    }
    /// All stages, as before a change that is near.
    void ask_ahead(const net::IpPrefix& prefix) const {
        for (const auto stage : {FibStage::node, FibStage::routes, FibStage::leaves}) {
            writer.prefetch(prefix, stage);
        }
    }
    [[nodiscard]] Leaf lookup(const net::IpAddress& address) const {
        const std::uint32_t unit = root.load(std::memory_order_acquire);
        return family == net::IpFamily::ipv4
                   ? lookup_fib4(arena.view(), Ref<Fib4Root>{unit}, address.ipv4())
                   : lookup_fib6(arena.view(), Ref<Fib6Root>{unit}, address.ipv6());
    }
    [[nodiscard]] std::vector<Leaf> lookup_all(const std::vector<net::IpAddress>& addresses) const {
        const std::uint32_t unit = root.load(std::memory_order_acquire);
        std::vector<Leaf> leaves(addresses.size());
        for (std::size_t first = 0; first < addresses.size(); first += kFibBurst) {
            const std::size_t count = std::min(kFibBurst, addresses.size() - first);
            const auto to = std::span(leaves).subspan(first, count);
            if (family == net::IpFamily::ipv4) {
                const std::vector<Ref<Fib4Root>> roots(count, Ref<Fib4Root>{unit});
                std::vector<net::Ipv4Address> from;
                for (std::size_t i = 0; i < count; ++i) from.push_back(addresses[first + i].ipv4());
                lookup_fib4(arena.view(), roots, from, to);
            } else {
                const std::vector<Ref<Fib6Root>> roots(count, Ref<Fib6Root>{unit});
                std::vector<net::Ipv6Address> from;
                for (std::size_t i = 0; i < count; ++i) from.push_back(addresses[first + i].ipv6());
                lookup_fib6(arena.view(), roots, from, to);
            }
        }
        return leaves;
    }
};

/// Goes through all routes for each lookup.
struct NaiveFib {
    std::map<net::IpPrefix, Leaf> routes;

    [[nodiscard]] Leaf lookup(const net::IpAddress& address) const {
        Leaf best;
        int best_length = -1;
        for (const auto& [prefix, leaf] : routes) {
            if (prefix.length > best_length && prefix.contains(address)) {
                best = leaf;
                best_length = prefix.length;
            }
        }
        return best;
    }
};

/// Addresses and prefixes that crowd together: nested, adjacent, on stride borders, of every
/// length.
class Crowd {
  public:
    Crowd(net::IpFamily family, unsigned seed) : family_(family), random_(seed) {}

    std::mt19937& engine() { return random_; }
    std::uint32_t random() { return static_cast<std::uint32_t>(random_()); }
    net::IpAddress address() {
        net::IpAddress a;
        a.family = family_;
        const unsigned bytes = net::address_bits(family_) / 8u;
        const std::uint8_t shape = static_cast<std::uint8_t>(random() % 4);
        for (unsigned i = 0; i < bytes; ++i) {
            // Few distinct values in each byte, so that prefixes share long beginnings.
            static constexpr std::uint8_t kValues[] = {0x00, 0xff, 0x20, 0x21, 0x0a, 0x80};
            a.bytes[i] = shape == 0 ? static_cast<std::uint8_t>(random())
                                    : kValues[random() % (shape == 1 ? 6 : 2)];
        }
        return a;
    }
    net::IpPrefix prefix() {
        const unsigned bits = net::address_bits(family_);
        static constexpr unsigned kBorders[] = {0, 1, 5, 6, 7, 12, 13, 17, 18, 19, 24, 25};
        unsigned length = random() % 3 == 0   ? kBorders[random() % 12]
                          : random() % 8 == 0 ? bits - random() % 3
                                              : random() % (bits + 1);
        length = std::min(length, bits);
        const auto l = static_cast<std::uint8_t>(length);
        return {net::mask(address(), l), l};
    }
    Leaf leaf() {
        // Now and then one that takes more than 16 bits in the arena.
        if (random() % 16 == 0) return Leaf::of(NextHopId{40000 + random() % 3});
        return random() % 8 == 0 ? Leaf::of(GroupId{random() % 5})
                                 : Leaf::of(NextHopId{random() % 5});
    }
    /// First, last, the one before and the one behind a prefix, and one within it.
    std::vector<net::IpAddress> around(const net::IpPrefix& prefix) {
        net::IpAddress last = prefix.address, inside = address();
        const unsigned bits = net::address_bits(family_);
        for (unsigned bit = 0; bit < bits; ++bit) {
            const auto mask = static_cast<std::uint8_t>(0x80u >> bit % 8);
            if (bit >= prefix.length) {
                last.bytes[bit / 8] |= mask;
            } else {
                inside.bytes[bit / 8] = static_cast<std::uint8_t>(
                    (inside.bytes[bit / 8] & ~mask) | (prefix.address.bytes[bit / 8] & mask));
            }
        }
        return {prefix.address, last, inside, step(prefix.address, -1), step(last, 1)};
    }

  private:
    [[nodiscard]] net::IpAddress step(net::IpAddress a, int by) const {
        for (unsigned i = net::address_bits(family_) / 8u; i-- > 0;) {
            a.bytes[i] = static_cast<std::uint8_t>(a.bytes[i] + by);
            if (a.bytes[i] != (by > 0 ? 0x00 : 0xff)) break;
        }
        return a;
    }
    net::IpFamily family_;
    std::mt19937 random_;
};

}  // namespace wye::table
