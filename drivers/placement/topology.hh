// What hwloc knows: of this machine, of a synthetic topology, or of another machine's XML.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "dataplane/base/result.hh"

namespace wye::drivers {

class Topology {
  public:
    static Result<Topology> of_this_machine();
    /// hwloc's notation, for example "package:2 core:4 pu:2"; `allowed`: cores the process may use
    /// (empty: all).
    static Result<Topology> synthetic(const std::string& description,
                                      std::span<const std::uint32_t> allowed = {});
    /// As `lstopo --of xml` or `hwloc-info` of another machine wrote it.
    static Result<Topology> from_xml(const std::string& xml);
    Topology(Topology&&) noexcept;
    Topology& operator=(Topology&&) noexcept;
    ~Topology();

    struct Impl;  // topology_handle.hh
    [[nodiscard]] const Impl& impl() const { return *impl_; }

  private:
    explicit Topology(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace wye::drivers
