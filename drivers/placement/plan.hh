// Where everything goes: workers, the other threads, packet buffers, huge pages; and what is not
// ideal about it, each with its fix. wye-dataplane checks its cores by this at start, and
// `wyectl host placement` draws it.
//
// How workers are proposed, when no cores are given: one for each physical core near the NICs, on
// isolated CPUs if there are any; CPU 0's core and, if there are more than four, one core near the
// NICs stay free for the other threads. NICs on several nodes share the workers. When more are
// asked for than that gives, other nodes are taken, then the cores that were kept free, then second
// hardware threads. One CPU always stays, if there is more than one.
//
// Packet buffers lie where the devices are that write to them (docs/adr/0019): a pool for each node
// with a port's NIC. A port of which no node is known receives into buffers of its workers' node.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "drivers/placement/machine.hh"

namespace wye::drivers {

struct PlacementRequest {
    struct Port {
        std::string name;
        std::string pci_address;  // empty: no PCI device
        std::uint32_t rx_descriptors = 512, tx_descriptors = 512;
        std::uint32_t mtu = 1500;
        std::string
            interface;  // of a port without address whose device is near the buffers: af_xdp
    };
    std::vector<std::uint32_t> cores;  // CPU of each worker, in order; empty: propose
    std::uint32_t workers = 0;         // to propose; 0: as many as have a good place, at most 8
    std::vector<Port> ports;           // each worker has a queue on each
    std::uint32_t megabytes = 128;     // for buffers and queues
    bool huge_pages = true;
    std::uint64_t table_bytes = 0;  // of huge pages for the tables; 0: they are elsewhere
    bool one_pool = false;          // a port can only send buffers of the lowest node with memory
};

struct Advice {
    enum class Severity : std::uint8_t {
        refusal,  // it cannot be started so
        warning,  // it works, and costs a lot
        hint,     // it could be better
    } severity = Severity::hint;
    std::string text;
    std::string fix;
};

struct Plan {
    struct Worker {
        std::uint32_t cpu = 0;
        std::uint32_t node = 0;
        std::vector<std::string> far_ports;  // their NICs are on another NUMA node
    };
    struct OtherThread {
        std::string name;
        std::uint32_t cpu = 0;
    };
    struct NodeMemory {
        std::uint32_t node = 0;
        std::uint32_t buffers_held = 0;  // of its pool's, that queues and workers hold at most
        std::uint32_t buffers = 0;       // of its pool; 0: it has none
        std::uint32_t megabytes = 0;     // for these buffers, the queues, and DPDK itself
        std::uint32_t buffer_pages = 0;  // huge pages of 2 MiB for that
        std::uint32_t table_pages = 0;   // and for the tables, when they have grown to their limit
    };
    struct Port {
        std::string name;
        std::string pci_address;
        std::vector<std::uint32_t> nodes;  // near it; empty: not known, or no PCI device
        std::uint32_t queues = 0;
        std::uint32_t buffers_on = 0;  // the node of the pool that it receives into
    };

    bool proposed = false;           // no cores were given
    bool several_nodes = false;      // have CPUs: there is a pool for each node that has ports
    std::uint32_t home = 0;          // the node of most workers, where the tables are
    std::uint32_t default_pool = 0;  // the node of the pool for whoever has none on its own
    std::vector<Worker> workers;
    std::vector<OtherThread> others;  // control, builder, host thread, shim, FRR
    std::vector<Port> ports;
    std::vector<NodeMemory> memory;  // of nodes with something on them
    std::vector<Advice> advice;      // the gravest first

    [[nodiscard]] const NodeMemory* memory_of(std::uint32_t node) const;
    /// Nodes that have a pool, default_pool first.
    [[nodiscard]] std::vector<std::uint32_t> pools() const;
    /// The node of the pool that a worker on this CPU takes buffers from.
    [[nodiscard]] std::uint32_t pool_for(std::uint32_t cpu) const;
    [[nodiscard]] std::vector<std::uint32_t> worker_cpus() const;
    [[nodiscard]] std::vector<std::uint32_t> other_cpus() const;
};

Plan plan_placement(const Machine& machine, const PlacementRequest& request);

}  // namespace wye::drivers
