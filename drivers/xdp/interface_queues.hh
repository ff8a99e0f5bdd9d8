// What AF_XDP asks of a Linux interface beside KernelInterface: its queues and how it receives.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"
#include "dataplane/net/address.hh"

namespace wye::drivers {

struct InterfaceQueues {
    std::uint32_t receive = 1;
    std::uint32_t transmit = 1;
};

/// As many as are in use now (ethtool -l); one each where the driver does not say.
InterfaceQueues queues_of(const std::string& interface);

/// An XDP program does not see a tag that the device has taken out of the frame, and would take a
/// frame of a VLAN for an untagged one. False: the device goes on with it.
bool keep_tags_in_frames(const std::string& interface);

net::MacAddress mac_of(const std::string& interface);

/// Promiscuous as long as the descriptor is open, also if the process is killed. Invalid where the
/// device cannot.
Descriptor be_promiscuous(unsigned interface_index);

}  // namespace wye::drivers
