// The commands `wyectl host …`. They look at this machine themselves: no shim is asked.
#pragma once

#include <CLI/CLI.hpp>

#include "controlplane-shim/host/placement_command.hh"
#include "controlplane-shim/host/sriov/command.hh"

namespace wye::host {

class Commands {
  public:
    /// Adds `host` and what is below it. This object must outlive the parsing.
    explicit Commands(CLI::App& app);
    /// Was one of them given?
    [[nodiscard]] bool chosen() const { return host_->parsed(); }
    /// Runs it; the exit code.
    int run();

  private:
    void add_placement();
    void add_sriov();

    CLI::App* host_;
    CLI::App* placement_ = nullptr;
    PlacementOptions placement_options_;
    SriovCommand sriov_;
};

}  // namespace wye::host
