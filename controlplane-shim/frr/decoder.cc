#include "controlplane-shim/frr/decoder.hh"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "controlplane-shim/frr/zebra-plugin/protocol.h"

namespace wye::frr {

static_assert(std::endian::native == std::endian::little, "the protocol is little-endian");

namespace {

using Bytes = std::span<const std::uint8_t>;

/// More VRFs than any zebra has: beyond it a stream is garbage that would only fill memory.
constexpr std::size_t kMaxVrfs = 65536;

template <class T>
T load(Bytes bytes) noexcept {
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

/// The text of a zero-padded field: printable, terminated, nothing after the end.
template <std::size_t size>
std::optional<std::string> text_of(const char (&field)[size]) {
    const char* const end = std::find(field, field + size, '\0');
    if (end == field + size) return std::nullopt;
    if (std::any_of(end, field + size, [](char c) { return c != '\0'; })) return std::nullopt;
    if (std::any_of(static_cast<const char*>(field), end,
                    [](char c) { return c <= ' ' || c > '~'; })) {
        return std::nullopt;
    }
    return std::string(static_cast<const char*>(field), end);
}

std::optional<net::IpAddress> address_of(std::uint8_t family, const std::uint8_t (&bytes)[16]) {
    net::IpAddress address;
    if (family == 6) {
        address.family = net::IpFamily::ipv6;
    } else if (family != 4 || std::any_of(bytes + 4, bytes + 16, [](auto b) { return b != 0; })) {
        return std::nullopt;
    }
    std::copy(bytes, bytes + 16, address.bytes.begin());
    return address;
}

Result<RouteKey> key_of(const wye_zebra_route& wire) {
    const auto address = address_of(wire.family, wire.prefix);
    if (!address) return fail("a route whose prefix is neither IPv4 nor IPv6");
    if (wire.prefix_length > net::address_bits(address->family)) {
        return fail("a route with the prefix length " + std::to_string(wire.prefix_length));
    }
    if (net::mask(*address, wire.prefix_length) != *address) {
        return fail("a route to " + net::to_string(*address) + "/" +
                    std::to_string(wire.prefix_length) + ", which has host bits");
    }
    return RouteKey{wire.vrf_id, {*address, wire.prefix_length}};
}

Result<RouteNextHop> tunnel_of(const wye_zebra_nexthop& wire, RouteNextHop hop) {
    const auto end = address_of(wire.family, wire.gateway);
    if (!end) return fail("a next hop whose tunnel end is neither IPv4 nor IPv6");
    if (wire.interface_index == 0 || wire.flags != 0 || wire.vni == 0 || wire.vni >= 1U << 24) {
        return fail("a next hop of EVPN without an interface or with the VNI " +
                    std::to_string(wire.vni));
    }
    hop.kind = RouteNextHop::Kind::evpn;
    hop.gateway = *end;
    hop.vni = wire.vni;
    return hop;
}

Result<RouteNextHop> nexthop_of(const wye_zebra_nexthop& wire, std::uint32_t version) {
    RouteNextHop hop;
    hop.interface_index = wire.interface_index;
    hop.vrf_id = wire.vrf_id;
    hop.weight = wire.weight;
    hop.onlink = (wire.flags & WYE_ZEBRA_ONLINK) != 0;
    if (wire.weight == 0) return fail("a next hop of weight 0");
    if ((wire.flags & ~WYE_ZEBRA_ONLINK) != 0) return fail("a next hop with an unknown flag");
    if (wire.kind == WYE_ZEBRA_EVPN && version >= 2) return tunnel_of(wire, hop);
    if (wire.vni != 0) return fail("a next hop with a VNI that is not of EVPN");
    if (wire.kind == WYE_ZEBRA_INTERFACE) {
        if (wire.interface_index == 0 || wire.family != 0 ||
            std::any_of(wire.gateway, wire.gateway + 16, [](auto b) { return b != 0; })) {
            return fail("a next hop by interface that has no interface or has a gateway");
        }
        return hop;
    }
    if (wire.kind != WYE_ZEBRA_GATEWAY) return fail("a next hop of an unknown kind");
    const auto gateway = address_of(wire.family, wire.gateway);
    if (!gateway) return fail("a next hop whose gateway is neither IPv4 nor IPv6");
    hop.kind = RouteNextHop::Kind::gateway;
    hop.gateway = *gateway;
    return hop;
}

/// The count of next hops fits the operation, the kind and the message.
Status check_shape(const wye_zebra_route& wire, std::size_t bytes, std::size_t hop_size) {
    if (wire.operation != WYE_ZEBRA_INSTALL && wire.operation != WYE_ZEBRA_REMOVE) {
        return fail("a route with the unknown operation " + std::to_string(wire.operation));
    }
    if (wire.kind > WYE_ZEBRA_PROHIBIT) {
        return fail("a route of the unknown kind " + std::to_string(wire.kind));
    }
    if (wire.reserved != 0) return fail("a route with reserved bytes that are not zero");
    const bool installs = wire.operation == WYE_ZEBRA_INSTALL;
    const bool wants_hops = installs && wire.kind == WYE_ZEBRA_UNICAST;
    if ((wire.nexthops > 0) != wants_hops || wire.nexthops > WYE_ZEBRA_MAX_NEXTHOPS) {
        return fail("a route with " + std::to_string(wire.nexthops) + " next hops");
    }
    if (!installs && (wire.kind | wire.origin | wire.distance | wire.metric) != 0) {
        return fail("a removal with more than a prefix");
    }
    if (bytes != sizeof wire + wire.nexthops * hop_size) {
        return fail("a route whose length does not fit its " + std::to_string(wire.nexthops) +
                    " next hops");
    }
    return {};
}

/// The length of the message that begins here, whose first two bytes are there.
Result<std::size_t> length_of(Bytes bytes) {
    const std::size_t length = load<std::uint16_t>(bytes);
    if (length < sizeof(wye_zebra_frame) || length > WYE_ZEBRA_MAX_MESSAGE) {
        return fail("a message of " + std::to_string(length) + " bytes");
    }
    return length;
}

}  // namespace

Status Decoder::feed(Bytes bytes) {
    if (failed_) return fail("more after an error");
    while (!bytes.empty()) {
        const auto used = partial_.empty() ? take_from(bytes) : complete_partial(bytes);
        if (!used) {
            failed_ = true;
            return tl::unexpected(used.error());
        }
        bytes = bytes.subspan(*used);
    }
    return {};
}

Result<std::size_t> Decoder::take_from(Bytes bytes) {
    if (bytes.size() >= 2) {
        const auto length = length_of(bytes);
        if (!length) return length;
        if (bytes.size() >= *length) {
            if (Status status = message(bytes.first(*length)); !status) {
                return tl::unexpected(status.error());
            }
            return length;
        }
    }
    partial_.assign(bytes.begin(), bytes.end());
    return bytes.size();
}

Result<std::size_t> Decoder::complete_partial(Bytes bytes) {
    if (partial_.size() < 2) {
        partial_.push_back(bytes.front());
        const auto length = length_of(partial_);
        if (!length) return length;
        return 1;
    }
    const std::size_t length = *length_of(partial_);
    const std::size_t take = std::min(bytes.size(), length - partial_.size());
    partial_.insert(partial_.end(), bytes.begin(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(take));
    if (partial_.size() < length) return take;
    const auto whole = std::exchange(partial_, {});
    if (Status status = message(whole); !status) return tl::unexpected(status.error());
    return take;
}

Status Decoder::message(Bytes bytes) {
    const auto frame = load<wye_zebra_frame>(bytes);
    if (frame.reserved != 0) return fail("a message with a reserved byte that is not zero");
    if (!hello_ && frame.type != WYE_ZEBRA_HELLO) return fail("something else before its hello");
    switch (frame.type) {
        case WYE_ZEBRA_HELLO:
            return take_hello(bytes);
        case WYE_ZEBRA_VRF:
            return take_vrf(bytes);
        case WYE_ZEBRA_ROUTE:
            return take_route(bytes);
        case WYE_ZEBRA_SNAPSHOT_BEGIN:
            return begin_snapshot(bytes);
        case WYE_ZEBRA_SNAPSHOT_END:
            return end_snapshot(bytes);
        default:
            return fail("a message of the unknown type " + std::to_string(frame.type));
    }
}

Status Decoder::take_hello(Bytes bytes) {
    if (hello_) return fail("a second hello");
    if (bytes.size() != sizeof(wye_zebra_hello)) return fail("a hello of a wrong length");
    const auto wire = load<wye_zebra_hello>(bytes);
    if (wire.magic != WYE_ZEBRA_MAGIC) return fail("a hello that is not a wye plugin's");
    if (wire.version < WYE_ZEBRA_OLDEST_VERSION || wire.version > WYE_ZEBRA_VERSION) {
        return fail("a hello of protocol version " + std::to_string(wire.version) + ", not " +
                    std::to_string(WYE_ZEBRA_OLDEST_VERSION) + " to " +
                    std::to_string(WYE_ZEBRA_VERSION) +
                    ": install wye_dplane.so and wye-shim of one release");
    }
    auto version = text_of(wire.frr_version);
    if (!version || version->empty()) return fail("a hello without FRR's version");
    hello_ = Hello{wire.version, wire.process, std::move(*version)};
    return {};
}

Status Decoder::take_vrf(Bytes bytes) {
    if (bytes.size() != sizeof(wye_zebra_vrf)) return fail("a VRF name of a wrong length");
    const auto wire = load<wye_zebra_vrf>(bytes);
    const auto name = text_of(wire.name);
    if (!name || name->empty()) return fail("a VRF without a printable name");
    if (snapshot_ == Snapshot::awaited) return fail("a VRF before its snapshot");
    if (named_vrfs_.size() >= kMaxVrfs && !named_vrfs_.contains(wire.vrf_id)) {
        return fail("more than " + std::to_string(kMaxVrfs) + " VRFs");
    }
    named_vrfs_.insert(wire.vrf_id);
    sink_.vrf_named(wire.vrf_id, *name);
    return {};
}

Status Decoder::take_route(Bytes bytes) {
    if (bytes.size() < sizeof(wye_zebra_route)) return fail("a route that is too short");
    const auto wire = load<wye_zebra_route>(bytes);
    const std::uint32_t version = hello_->version;
    const std::size_t hop_size =
        version == 1 ? WYE_ZEBRA_NEXTHOP_SIZE_1 : sizeof(wye_zebra_nexthop);
    if (Status shape = check_shape(wire, bytes.size(), hop_size); !shape) return shape;
    const auto key = key_of(wire);
    if (!key) return tl::unexpected(key.error());
    if (snapshot_ == Snapshot::awaited) return fail("a route before its snapshot");
    if (!named_vrfs_.contains(wire.vrf_id)) {
        return fail("a route of VRF " + std::to_string(wire.vrf_id) + " before that VRF's name");
    }
    const Operation operation{wire.id, connection_};
    if (wire.operation == WYE_ZEBRA_REMOVE) {
        sink_.route_removed(operation, *key);
        return {};
    }
    Route route{static_cast<RouteKind>(wire.kind), wire.origin, wire.distance, wire.metric, {}};
    route.nexthops.reserve(wire.nexthops);
    for (Bytes rest = bytes.subspan(sizeof wire); !rest.empty(); rest = rest.subspan(hop_size)) {
        wye_zebra_nexthop hop_wire{};
        std::memcpy(&hop_wire, rest.data(), hop_size);
        const auto hop = nexthop_of(hop_wire, version);
        if (!hop) return tl::unexpected(hop.error());
        route.nexthops.push_back(*hop);
    }
    sink_.route_installed(operation, *key, std::move(route));
    return {};
}

Status Decoder::begin_snapshot(Bytes bytes) {
    if (bytes.size() != sizeof(wye_zebra_snapshot)) return fail("a snapshot of a wrong length");
    const auto wire = load<wye_zebra_snapshot>(bytes);
    if (wire.reserved != 0) return fail("a snapshot with reserved bytes that are not zero");
    if (snapshot_ != Snapshot::awaited) return fail("a second snapshot");
    snapshot_ = Snapshot::open;
    generation_ = wire.generation;
    sink_.snapshot_begin();
    return {};
}

Status Decoder::end_snapshot(Bytes bytes) {
    if (bytes.size() != sizeof(wye_zebra_snapshot)) return fail("a snapshot of a wrong length");
    const auto wire = load<wye_zebra_snapshot>(bytes);
    if (snapshot_ != Snapshot::open || wire.reserved != 0 || wire.generation != generation_) {
        return fail("the end of a snapshot that has not begun");
    }
    snapshot_ = Snapshot::ended;
    sink_.snapshot_end();
    return {};
}

}  // namespace wye::frr
