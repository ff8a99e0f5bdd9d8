// Streams of the zebra plugin written byte by byte, apart from the structs that the decoder uses,
// and a sink that writes down what it is told.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane-shim/frr/route_source.hh"

namespace wye::frr::test {

class Stream {
  public:
    Stream& u8(unsigned value) {
        bytes.push_back(static_cast<std::uint8_t>(value));
        return *this;
    }
    Stream& u16(unsigned value) { return u8(value & 0xff).u8(value >> 8); }
    Stream& u32(std::uint32_t value) { return u16(value & 0xffff).u16(value >> 16); }
    Stream& u64(std::uint64_t value) {
        return u32(static_cast<std::uint32_t>(value)).u32(static_cast<std::uint32_t>(value >> 32));
    }
    Stream& text(const std::string& value, std::size_t width) {
        for (std::size_t i = 0; i < width; ++i) {
            u8(i < value.size() ? static_cast<unsigned char>(value[i]) : 0U);
        }
        return *this;
    }
    Stream& raw(std::initializer_list<unsigned> values, std::size_t width) {
        for (const unsigned value : values) u8(value);
        for (std::size_t i = values.size(); i < width; ++i) u8(0);
        return *this;
    }
    Stream& frame(unsigned length, unsigned type) { return u16(length).u8(type).u8(0); }

    Stream& hello(std::uint32_t version = 1) {
        return frame(48, 1).text("wyez", 4).u32(version).u32(4711).text("8.4.4", 32);
    }
    Stream& begin(std::uint64_t generation = 1) { return frame(16, 5).u32(0).u64(generation); }
    Stream& end(std::uint64_t generation = 1) { return frame(16, 6).u32(0).u64(generation); }
    Stream& vrf(std::uint32_t id, const std::string& name) {
        return frame(72, 3).u32(id).text(name, 64);
    }
    /// The fixed part of a route; `hops` next hops must follow, of 28 bytes in version 1.
    Stream& route(std::uint32_t vrf, std::uint64_t id, unsigned family, unsigned length,
                  std::initializer_list<unsigned> prefix, unsigned hops, unsigned kind = 0,
                  unsigned hop_size = 28) {
        frame(48 + hop_size * hops, 4).u32(vrf).u64(id);
        u8(1).u8(family).u8(length).u8(kind).u8(3).u8(20).u16(hops).u32(77).u32(0);
        return raw(prefix, 16);
    }
    Stream& removal(std::uint32_t vrf, std::uint64_t id, unsigned family, unsigned length,
                    std::initializer_list<unsigned> prefix) {
        frame(48, 4).u32(vrf).u64(id).u8(2).u8(family).u8(length).u8(0).u8(0).u8(0).u16(0);
        return u32(0).u32(0).raw(prefix, 16);
    }
    Stream& by_interface(std::uint32_t vrf, std::uint32_t index) {
        return u32(vrf).u32(index).u8(1).u8(0).u8(1).u8(0).raw({}, 16);
    }
    Stream& by_gateway(std::uint32_t vrf, std::uint32_t index, unsigned family,
                       std::initializer_list<unsigned> gateway, unsigned weight = 1,
                       unsigned flags = 0) {
        return u32(vrf).u32(index).u8(2).u8(family).u8(weight).u8(flags).raw(gateway, 16);
    }
    /// Of 32 bytes, in version 2.
    Stream& by_evpn(std::uint32_t vrf, std::uint32_t index, unsigned family,
                    std::initializer_list<unsigned> end, std::uint32_t vni, unsigned weight = 1,
                    unsigned flags = 0) {
        u32(vrf).u32(index).u8(3).u8(family).u8(weight).u8(flags).raw(end, 16);
        return u32(vni);
    }

    std::vector<std::uint8_t> bytes;
};

inline std::string to_string(const RouteNextHop& hop) {
    std::string text;
    if (hop.kind == RouteNextHop::Kind::gateway) text = "via " + net::to_string(hop.gateway) + " ";
    if (hop.kind == RouteNextHop::Kind::evpn)
        text = "vni " + std::to_string(hop.vni) + " to " + net::to_string(hop.gateway) + " ";
    text += "dev " + std::to_string(hop.vrf_id) + ":" + std::to_string(hop.interface_index);
    if (hop.weight != 1) text += " weight " + std::to_string(hop.weight);
    if (hop.onlink) text += " onlink";
    return text;
}

class RecordingSink : public RouteSink {
  public:
    void vrf_named(std::uint32_t id, const std::string& name) override {
        events.push_back("vrf " + std::to_string(id) + " " + name);
    }
    void route_installed(Operation operation, const RouteKey& key, Route&& route) override {
        operations.push_back(operation);
        static const char* const kKinds[] = {"unicast", "blackhole", "unreachable", "prohibit"};
        std::string text = "install " + std::to_string(operation.id) + " " +
                           std::to_string(key.vrf_id) + " " + net::to_string(key.prefix) + " " +
                           kKinds[static_cast<unsigned>(route.kind)] + " " +
                           std::to_string(route.zebra_type) + "/" + std::to_string(route.distance) +
                           "/" + std::to_string(route.metric);
        for (const auto& hop : route.nexthops) text += ", " + to_string(hop);
        events.push_back(text);
    }
    void route_removed(Operation operation, const RouteKey& key) override {
        operations.push_back(operation);
        events.push_back("remove " + std::to_string(operation.id) + " " +
                         std::to_string(key.vrf_id) + " " + net::to_string(key.prefix));
    }
    void snapshot_begin() override { events.emplace_back("begin"); }
    void snapshot_end() override { events.emplace_back("end"); }
    void disconnected() override { events.emplace_back("disconnected"); }

    std::vector<std::string> events;
    std::vector<Operation> operations;
};

/// One of everything.
inline Stream full_stream() {
    Stream s;
    s.hello().begin().vrf(0, "default").vrf(7, "red");
    s.route(7, 100, 4, 8, {10}, 2).by_gateway(7, 3, 4, {192, 0, 2, 1}, 5, 1).by_interface(7, 4);
    s.route(0, 101, 6, 32, {0x20, 0x01, 0x0d, 0xb8}, 1).by_gateway(0, 0, 6, {0xfe, 0x80}, 1);
    s.route(0, 102, 4, 0, {}, 0, 1);
    s.end().removal(7, 103, 4, 8, {10});
    return s;
}

inline std::vector<std::string> full_events() {
    return {"begin",
            "vrf 0 default",
            "vrf 7 red",
            "install 100 7 10.0.0.0/8 unicast 3/20/77, via 192.0.2.1 dev 7:3 weight 5 onlink, "
            "dev 7:4",
            "install 101 0 2001:db8::/32 unicast 3/20/77, via fe80:: dev 0:0",
            "install 102 0 0.0.0.0/0 blackhole 3/20/77",
            "end",
            "remove 103 7 10.0.0.0/8"};
}

}  // namespace wye::frr::test
