// The device itself: /dev/net/tun.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane-shim/kernel/kernel.hh"

namespace wye::kernel {

/// First index to try for a twin: the same for the same names after a restart, spread so that two
/// instances on one machine hardly ever meet.
std::uint32_t preferred_index(const std::string& instance, const std::string& object);

/// A TAP (frames) or TUN (packets), without packet information, non-blocking, down. `index` becomes
/// the interface's index, or the next free one after it, which is returned in it.
Result<Descriptor> create_device(const TwinSpec& spec, const std::string& netns,
                                 std::uint32_t& index);

/// Whether the descriptor is the device that the spec means, in that namespace.
Status check_device(int descriptor, const TwinSpec& spec, const std::string& netns);

}  // namespace wye::kernel
