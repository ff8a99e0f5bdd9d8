// CounterFile: the mapping behind CounterBlock, and the directory of names in it.
//
// A sparse file in the instance's run directory, mode 0640, one block a worker behind a header and
// the directory. Reopened after a restart when magic, layout and limits are the same; else made
// anew (and said so). Writer of the directory: control thread. Readers map it read-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/base/name.hh"
#include "dataplane/base/result.hh"
#include "dataplane/table/counters.hh"
#include "dataplane/table/queue_counters.hh"
#include "dataplane/table/worker_record.hh"

namespace wye::table {

enum class SlotKind : std::uint8_t { port, tenant, vport, tunnel, vrf, acl };

class CounterFile {
  public:
    /// Opens or makes. `kept` says whether what was there before goes on.
    static Result<CounterFile> open_or_create(const std::string& path, const CounterLimits& limits,
                                              bool& kept);
    static Result<CounterFile> create_anonymous(const CounterLimits& limits);  // tests
    static Result<CounterFile> open_read_only(const std::string& path);
    CounterFile(CounterFile&&) noexcept;
    CounterFile& operator=(CounterFile&&) noexcept;
    ~CounterFile();

    [[nodiscard]] const CounterLimits& limits() const noexcept;
    [[nodiscard]] CounterBlock block(WorkerId worker) const noexcept;
    /// What the control thread says of it. Cleared when the file is opened to write.
    [[nodiscard]] WorkerRecord& record(WorkerId worker) const noexcept;
    /// Below kMostQueues. All are of kind none when the file is opened to write.
    [[nodiscard]] QueueCounters& queue(std::uint32_t index) const noexcept;

    // The directory. Slots of one kind are numbered 0.. up to its limit; rule slots are a run of
    // `count` counters for one ACL name.
    /// The slot that carries the name, or a free one that now does (cleared); none: the kind is full.
    std::optional<std::uint32_t> claim(SlotKind kind, const ObjectName& name);
    std::optional<std::uint32_t> claim_rules(const ObjectName& acl, std::uint32_t count);
    /// The object is gone: name and cells are cleared; the slot may be claimed again.
    void release(SlotKind kind, std::uint32_t slot);
    void release_rules(const ObjectName& acl);
    [[nodiscard]] std::optional<std::uint32_t> find(SlotKind kind, std::string_view name) const;
    /// Name of a slot; empty: free.
    [[nodiscard]] std::string_view name(SlotKind kind, std::uint32_t slot) const noexcept;
    struct RuleRun {
        std::uint32_t base, count;
    };
    [[nodiscard]] std::optional<RuleRun> rules(std::string_view acl) const;

  private:
    struct Impl;
    explicit CounterFile(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace wye::table
