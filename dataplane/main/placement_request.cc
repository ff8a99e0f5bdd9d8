#include "dataplane/main/placement_request.hh"

#include <algorithm>

namespace wye::dataplane {

drivers::PlacementRequest placement_request(const Configuration& configuration) {
    drivers::PlacementRequest request;
    for (const std::uint32_t core : configuration.worker_cores) {
        // Where workers share a core it counts once.
        if (!configuration.share_cores ||
            std::find(request.cores.begin(), request.cores.end(), core) == request.cores.end()) {
            request.cores.push_back(core);
        }
    }
    request.megabytes = configuration.memory.megabytes;
    request.huge_pages = configuration.memory.hugepages != Hugepages::never;
    if (request.huge_pages && configuration.tables.folder.empty()) {
        request.table_bytes = configuration.limits.heap_bytes;
    }
    for (const drivers::PortSpecification& port : configuration.ports) {
        drivers::PlacementRequest::Port one;
        one.name = port.name.view();
        one.pci_address = port.pci_address;
        one.rx_descriptors = port.rx_descriptors;
        one.tx_descriptors = port.tx_descriptors;
        one.mtu = port.mtu.value_or(one.mtu);
        // Its NIC writes into the buffers (zero-copy). The other kinds are copied by a worker.
        if (port.kind == drivers::PortKind::af_xdp) one.interface = port.interface;
        // DPDK's driver knows one region of memory, the first one, whatever buffer it is to send.
        if (port.kind == drivers::PortKind::memif && port.socket.zero_copy) request.one_pool = true;
        request.ports.push_back(std::move(one));
    }
    return request;
}

}  // namespace wye::dataplane
