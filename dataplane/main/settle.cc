#include "dataplane/main/settle.hh"

namespace wye::dataplane {

using table::LedgerRow;
using table::Reason;
using table::SlotKind;

std::uint64_t settle_row(LedgerRow& row) {
    const std::uint64_t came =
        row.rx.get() + row.from_host.get() + row.generated.get() + row.moved_in.get();
    std::uint64_t went = row.tx.get() + row.punted.get() + row.consumed.get() + row.moved_out.get();
    for (const auto& drop : row.drops) went += drop.get();
    row.held.set(0);
    if (came < went) {
        // It ended between the booking of an exit and that of its entry.
        row.generated.add(went - came);
        return 0;
    }
    row.drops[static_cast<std::size_t>(Reason::restart_lost)].add(came - went);
    return came - went;
}

std::uint64_t settle_ledger(table::CounterFile& file) {
    const table::CounterLimits& limits = file.limits();
    std::uint64_t lost = 0;
    for (std::uint32_t worker = 0; worker < limits.workers; ++worker) {
        const table::CounterBlock block = file.block(WorkerId{worker});
        for (std::uint32_t row = 0; row <= limits.ports; ++row) {
            lost += settle_row(block.ports[row]);
        }
        (void)settle_row(block.tenants[table::kNoTenantRow]);
        for (std::uint32_t slot = 0; slot < limits.tenants; ++slot) {
            if (file.name(SlotKind::tenant, slot).empty()) continue;
            (void)settle_row(block.tenants[table::tenant_row(TenantId{slot})]);
        }
    }
    return lost;
}

}  // namespace wye::dataplane
