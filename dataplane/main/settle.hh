// What a predecessor that crashed left open in the ledger is closed before the first packet.
//
// Packets that were on hold, in a burst or in a queue when it ended are gone: they are booked as
// dropped (restart_lost), the level `held` begins at zero, and every row balances again.
#pragma once

#include <cstdint>

#include "dataplane/table/counter_file.hh"

namespace wye::dataplane {

/// Of one row; how many packets were lost.
std::uint64_t settle_row(table::LedgerRow& row);

/// Of all blocks. Before any worker runs. How many packets were lost, by port.
std::uint64_t settle_ledger(table::CounterFile& file);

}  // namespace wye::dataplane
