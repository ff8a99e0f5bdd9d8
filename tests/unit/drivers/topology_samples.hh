// Topologies for the tests of placement: hwloc's synthetic ones, and the files in topologies/.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include "drivers/placement/machine.hh"

namespace wye::drivers {

inline Machine synthetic_machine(const std::string& description,
                                 const std::vector<std::uint32_t>& allowed = {},
                                 const Isolation& isolation = {}) {
    auto topology = Topology::synthetic(description, allowed);
    EXPECT_TRUE(topology.has_value());
    return machine_of(*topology, isolation);
}

/// A server of topologies/NAME.xml.
inline Machine server(const std::string& name, const Isolation& isolation = {}) {
    std::ifstream file(WYE_DATA_FOLDER "/" + name + ".xml");
    const std::string xml(std::istreambuf_iterator<char>(file), {});
    auto topology = Topology::from_xml(xml);
    EXPECT_TRUE(topology.has_value()) << name;
    return machine_of(*topology, isolation);
}

}  // namespace wye::drivers
