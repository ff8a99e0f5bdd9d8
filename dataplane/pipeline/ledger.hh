// Booking: each packet in exactly one cell, on the row of its port and on the row of its tenant
// (dataplane/table/counters.hh has the equation).
#pragma once

#include "dataplane/pipeline/context.hh"
#include "dataplane/pipeline/packet.hh"
#include "dataplane/table/reason.hh"

namespace wye::pipeline {

/// Adds n to one cell of both rows.
inline void book(Context& context, const Packet& packet, table::Counter table::LedgerRow::*cell,
                 std::uint64_t n = 1) noexcept {
    (context.counters.ports[packet.port_row].*cell).add(n);
    (context.counters.tenants[packet.tenant_row].*cell).add(n);
}

inline void book_drop(Context& context, const Packet& packet, table::Reason reason) noexcept {
    const auto index = static_cast<std::size_t>(reason);
    context.counters.ports[packet.port_row].drops[index].add(1);
    context.counters.tenants[packet.tenant_row].drops[index].add(1);
    if (packet.in_vport.valid()) context.counters.vports[packet.in_vport.value].drops.add(1);
}

inline void book_punted(Context& context, const Packet& packet) noexcept {
    book(context, packet, &table::LedgerRow::punted);
    if (packet.in_vport.valid()) context.counters.vports[packet.in_vport.value].punted.add(1);
}

inline void book_held(Context& context, const Packet& packet) noexcept {
    book(context, packet, &table::LedgerRow::held);
}
inline void book_released(Context& context, const Packet& packet) noexcept {
    context.counters.ports[packet.port_row].held.subtract(1);
    context.counters.tenants[packet.tenant_row].held.subtract(1);
}

/// The packet is from now on one of `tenant`: decapsulation found out.
inline void book_moved(Context& context, Packet& packet, TenantId tenant) noexcept {
    context.counters.tenants[packet.tenant_row].moved_out.add(1);
    packet.tenant = tenant;
    packet.tenant_row = table::tenant_row(tenant);
    context.counters.tenants[packet.tenant_row].moved_in.add(1);
}

}  // namespace wye::pipeline
