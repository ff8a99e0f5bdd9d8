#include "drivers/placement/topology.hh"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "drivers/placement/topology_handle.hh"

namespace wye::drivers {

Topology::Topology(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Topology::Topology(Topology&&) noexcept = default;
Topology& Topology::operator=(Topology&&) noexcept = default;
Topology::~Topology() = default;

namespace {

Status prepare(Topology::Impl& impl) {
    if (hwloc_topology_init(&impl.handle) != 0) return fail("hwloc cannot make a topology");
    // Disallowed cores stay in the picture, so that "not allowed" and "not there" can be told
    // apart.
    hwloc_topology_set_flags(impl.handle, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    hwloc_topology_set_io_types_filter(impl.handle, HWLOC_TYPE_FILTER_KEEP_ALL);
    return {};
}

Status load(Topology::Impl& impl) {
    if (hwloc_topology_load(impl.handle) != 0) {
        return fail(fmt::format("hwloc cannot read the topology: {}", std::strerror(errno)));
    }
    return {};
}

}  // namespace

Result<Topology> Topology::of_this_machine() {
    auto impl = std::make_unique<Impl>();
    if (auto ready = prepare(*impl).and_then([&] { return load(*impl); }); !ready) {
        return tl::unexpected(ready.error());
    }
    return Topology(std::move(impl));
}

Result<Topology> Topology::synthetic(const std::string& description,
                                     std::span<const std::uint32_t> allowed) {
    auto impl = std::make_unique<Impl>();
    if (auto ready = prepare(*impl); !ready) return tl::unexpected(ready.error());
    if (hwloc_topology_set_synthetic(impl->handle, description.c_str()) != 0) {
        return fail(fmt::format("\"{}\" is no synthetic topology", description));
    }
    if (auto ready = load(*impl); !ready) return tl::unexpected(ready.error());
    if (!allowed.empty()) {
        hwloc_bitmap_t set = hwloc_bitmap_alloc();
        for (const std::uint32_t core : allowed) hwloc_bitmap_set(set, core);
        const int done = hwloc_topology_allow(impl->handle, set, nullptr, HWLOC_ALLOW_FLAG_CUSTOM);
        hwloc_bitmap_free(set);
        if (done != 0) return fail("none of the allowed cores is in the topology");
    }
    return Topology(std::move(impl));
}

Result<Topology> Topology::from_xml(const std::string& xml) {
    auto impl = std::make_unique<Impl>();
    if (auto ready = prepare(*impl); !ready) return tl::unexpected(ready.error());
    const int size = static_cast<int>(xml.size() + 1);
    if (hwloc_topology_set_xmlbuffer(impl->handle, xml.c_str(), size) != 0) {
        return fail("the XML is no hwloc topology");
    }
    if (auto ready = load(*impl); !ready) return tl::unexpected(ready.error());
    return Topology(std::move(impl));
}

}  // namespace wye::drivers
