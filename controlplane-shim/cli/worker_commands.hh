// `wyectl worker add|move|remove|place|rebalance`: workers of the data plane that runs.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "controlplane-shim/api/client.hh"

namespace wye::cli {

class WorkerCommands {
  public:
    explicit WorkerCommands(CLI::App& app);
    [[nodiscard]] bool chosen() const { return !what_.empty(); }
    [[nodiscard]] bool json_output() const { return json_output_; }
    /// An error: no shim answers.
    Result<api::Reply> run(api::Client& client) const;

  private:
    Result<api::Reply> rebalance(api::Client& client) const;

    std::string what_;
    std::optional<std::uint32_t> worker_;
    std::uint32_t core_ = 0, queue_ = 0, seconds_ = 1;
    bool share_ = false, dry_run_ = false, json_output_ = false;
};

}  // namespace wye::cli
