// The parts of plan_placement: for the files of this folder and their tests.
#pragma once

#include <cstdint>
#include <vector>

#include "drivers/placement/plan.hh"

namespace wye::drivers {

constexpr std::uint32_t kProposedAtMost = 8;

/// The CPUs for workers as plan.hh says; in the order of the workers.
std::vector<std::uint32_t> propose_workers(const Machine& machine, const PlacementRequest& request);

/// Homes of the other threads: off the workers' CPUs, off isolated ones, off their physical cores,
/// near them, as far as that can be had, in this order. Empty: no CPU is left.
std::vector<Plan::OtherThread> place_others(const Machine& machine, const PlacementRequest& request,
                                            const std::vector<std::uint32_t>& workers);

/// Which node's buffers everybody takes: plan.ports[].buffers_on, home, default_pool, several_nodes.
void place_buffers(const Machine& machine, const PlacementRequest& request, Plan& plan);
/// Buffers and huge pages of each node, after place_buffers().
std::vector<Plan::NodeMemory> plan_memory(const Machine& machine, const PlacementRequest& request,
                                          const Plan& plan);
/// Buffers that `megabytes` make (three quarters of them; the rest is for queues).
std::uint64_t buffers_in(std::uint32_t megabytes, const PlacementRequest& request);

/// What is not ideal.
std::vector<Advice> advise(const Machine& machine, const PlacementRequest& request,
                           const Plan& plan);

/// Null: it is none, or not there.
const Machine::Nic* nic_of(const Machine& machine, const PlacementRequest::Port& port);
/// Nodes of the ports' NICs, a node once for each NIC near it, in the order of the ports.
std::vector<std::uint32_t> nodes_of_nics(const Machine& machine, const PlacementRequest& request);
bool near(const std::vector<std::uint32_t>& nodes, std::uint32_t node);

}  // namespace wye::drivers
