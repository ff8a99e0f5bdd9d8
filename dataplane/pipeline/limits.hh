// What a worker's pipeline is bounded by. Each worker has its own tokens and slots, so the limit of
// the whole data plane is this times the number of workers.
#pragma once

#include <cstdint>

#include "dataplane/pipeline/token_bucket.hh"

namespace wye::pipeline {

struct Limits {
    /// Punted packets of all tenants together, and of a tenant that has no rate of its own.
    TokenRate punt_total{50'000, 512};
    TokenRate punt_tenant{2'000, 256};
    /// ICMP errors of one VRF (RFC 1812 4.3.2.8, RFC 4443 2.4(f)).
    TokenRate icmp_errors{1'000, 64};
    /// Packets that wait for neighbours: in all, of one tenant, of one neighbour.
    std::uint32_t held_packets = 1024;
    std::uint32_t held_packets_of_tenant = 256;
    std::uint32_t held_packets_of_neighbor = 8;
    std::uint32_t hold_milliseconds = 3'000;
    std::uint32_t resolve_interval_milliseconds = 1'000;
};

}  // namespace wye::pipeline
