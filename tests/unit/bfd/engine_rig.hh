// Engines that talk to one another on a virtual clock, without frames.
#pragma once

#include <array>
#include <vector>

#include "dataplane/base/check.hh"
#include "dataplane/bfd/engine.hh"

namespace wye::bfd {

constexpr VrfId kVrf{3};
constexpr VportId kVport{5};

inline net::IpAddress address(std::uint32_t host) {
    return net::Ipv4Address::from_host(host);
}

/// What arrives where a departure was sent to.
inline Datagram arrival(const Departure& departure) {
    Datagram datagram;
    datagram.vrf = departure.end.vrf;
    datagram.vport = departure.end.vport;
    datagram.source = departure.end.local;
    datagram.destination = departure.end.remote;
    datagram.hop_limit = 255;
    datagram.multihop = departure.end.multihop();
    datagram.length = sizeof departure.header;
    std::memcpy(datagram.payload.data(), &departure.header, sizeof departure.header);
    return datagram;
}

struct Router {
    explicit Router(std::uint32_t number, std::size_t inbox_size = 8192)
        : first(number * 10'000), inbox(inbox_size), file(*table::BfdFile::create_anonymous()) {}

    void add(std::uint32_t slot, std::uint32_t peer, const Parameters& parameters) {
        Order order;
        order.kind = Order::Kind::add;
        order.slot = slot;
        order.discriminator = first + slot + 1;
        order.end.vrf = kVrf;
        order.end.vport = kVport;
        order.end.local = address(first + slot);
        order.end.remote = address(peer * 10'000 + slot);
        order.end.nexthop = NextHopId{slot};
        order.end.nexthop_generation = 7;
        order.parameters = parameters;
        WYE_CHECK(orders.push(order), "room for an order");
    }

    void turn(Nanoseconds now) {
        sent.clear();
        std::array<Departure, 64> out;
        std::size_t count = 0;
        do {
            count = engine.turn(now, out);
            sent.insert(sent.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count));
        } while (count + 1 >= out.size());
    }

    [[nodiscard]] net::BfdState state(std::uint32_t slot) const {
        return static_cast<net::BfdState>(file.record(slot).state.load());
    }
    [[nodiscard]] bool alive(std::uint32_t slot) const {
        return liveness.alive(NextHopId{slot}, 7);
    }
    [[nodiscard]] std::uint64_t dropped(table::BfdDrop reason) const {
        std::uint64_t sum = file.totals().drops[static_cast<std::size_t>(reason)].get();
        for (std::uint32_t slot = 0; slot < table::kMaxBfdSessions; ++slot) {
            sum += file.record(slot).drops[static_cast<std::size_t>(reason)].get();
        }
        return sum;
    }

    std::uint32_t first;
    Orders orders{1024};
    Inbox inbox;
    Events events{2048};
    table::Liveness liveness{table::kMaxBfdSessions};
    table::BfdFile file;
    std::vector<Departure> sent;
    Engine engine{{orders, {&inbox}, events, liveness, file}};
};

}  // namespace wye::bfd
