// Source: the arena that wye-arena looks at, and the names of what is in it: that of a running data
// plane under a lease, or a file that a process left.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"
#include "dataplane/ring/lease.hh"
#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/checked_arena.hh"
#include "dataplane/table/counter_file.hh"

namespace wye::tools {

class Source {
  public:
    /// With a lease from the data plane of this run directory.
    static Result<std::unique_ptr<Source>> live(const std::string& run_dir,
                                                std::chrono::milliseconds lease);
    /// Without a process. Names come from the counter file beside it, if there is one.
    static Result<std::unique_ptr<Source>> file(const std::string& path);

    [[nodiscard]] table::CheckedArena& arena() noexcept { return *arena_; }
    [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }
    /// Null for a file.
    [[nodiscard]] const ring::Lease* lease() const noexcept { return lease_ ? &*lease_ : nullptr; }
    /// Name of a slot, or "vrf 7" where there is none.
    [[nodiscard]] std::string name(table::SlotKind kind, std::uint32_t slot) const;
    [[nodiscard]] Result<VrfId> find_vrf(const std::string& name) const;

    /// Gives the lease back. True if nothing has changed in the arena since it was granted, so that
    /// what was read is one state of it; an error if the lease did not hold until now.
    Result<bool> finish();

  private:
    Source() = default;
    Status look_at(const std::string& name);
    void read_names(const std::string& folder);

    std::optional<ring::Lease> lease_;
    Descriptor descriptor_;
    std::optional<table::ArenaMapping> mapping_;
    std::optional<table::CheckedArena> arena_;
    std::optional<table::CounterFile> names_;
};

}  // namespace wye::tools
