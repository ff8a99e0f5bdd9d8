// Any datagrams, from anywhere, must leave the BFD engine and its sessions in a good state, and what the
// parser lets through must mean the same when it is written and read again. Each input is a list of
// datagrams: how long to wait, where it seems to come from, how long it claims to be, its bytes.
#include <algorithm>
#include <cstdlib>

#include "tests/unit/bfd/engine_rig.hh"

namespace {

using namespace wye;
using namespace wye::bfd;

void require(bool condition) {
    if (!condition) std::abort();
}

void check_round_trip(std::span<const std::byte> payload) {
    net::BfdControl once, again;
    if (net::parse_bfd(payload, once) != net::BfdFault::none) return;
    once.authentication = false;  // never written
    const net::BfdHeader header = net::make_bfd(once);
    const auto bytes = std::as_bytes(std::span(&header, 1));
    require(net::parse_bfd(bytes, again) == net::BfdFault::none && once == again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Router router(1, 16);
    static Nanoseconds now{0};
    constexpr std::uint32_t kSlots = 4;
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
        Order remove;
        remove.kind = Order::Kind::remove;
        remove.slot = slot;
        require(router.orders.push(remove));
        Parameters parameters;
        parameters.passive = slot == 1;
        parameters.admin_down = slot == 2;
        router.add(slot, 2, parameters);
    }
    router.turn(now);
    constexpr std::size_t kBytes = 4 + kKeptPayload;
    for (; size >= kBytes; data += kBytes, size -= kBytes) {
        Datagram datagram;
        datagram.vrf = VrfId{kVrf.value + (data[1] >> 7)};
        datagram.vport = kVport;
        datagram.multihop = (data[1] & 0x40) != 0;
        datagram.source = address(20'000 + data[1] % kSlots);
        datagram.destination = address(10'000 + data[1] % kSlots);
        datagram.hop_limit = data[2];
        datagram.length = data[3];
        std::memcpy(datagram.payload.data(), data + 4, kKeptPayload);
        check_round_trip(std::span(datagram.payload).first(std::min<std::size_t>(data[3], 26)));
        (void)router.inbox.push(datagram);
        now += std::chrono::milliseconds(data[0]);
        router.turn(now);
        std::array<std::uint32_t, 16> events;
        (void)router.events.pop(events);
        for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
            const auto& record = router.file.record(slot);
            require(record.state.load() <= 3);
            require((record.path_failed.load() == 0) == router.alive(slot));
        }
        for (const Departure& departure : router.sent) {
            const auto bytes = std::as_bytes(std::span(&departure.header, 1));
            net::BfdControl packet;
            require(net::parse_bfd(bytes, packet) == net::BfdFault::none);
            require(!(packet.poll && packet.final));
        }
    }
    return 0;
}
