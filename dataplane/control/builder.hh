// Builder: the thread that measures and compiles ACLs, so that the control thread never waits for a
// large one. It fills an extent that the control thread reserved, and publishes nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/result.hh"
#include "dataplane/table/acl.hh"

namespace wye::control {

/// One ACL on its way. The control thread owns all fields while the step is not `busy`.
struct AclBuild {
    enum class Step : std::uint8_t { fresh, measured, compiled, failed };
    std::vector<table::AclRuleSpec> rules;
    bool default_permit = false;
    std::uint32_t counter_base = 0;
    std::shared_ptr<const table::AclPlan> former;  // of the rules that stand, if any
    std::shared_ptr<const table::AclPlan> plan;    // of these
    table::Ref<table::Acl> extent;                 // reserved by the control thread once measured
    std::span<std::byte> memory;
    std::size_t bytes = 0;
    std::optional<table::AclImage> image;  // the builder's, from measured to compiled
    Step step = Step::fresh;
    std::atomic<bool> busy{false};  // the builder has it
    /// The builder's half: builds what is fresh, writes into the extent what was measured.
    void advance();
};

class Builder {
  public:
    /// Without a thread submit() does the work itself.
    explicit Builder(bool with_thread);
    ~Builder();
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    /// Control thread. The build is busy until the builder is done with this step.
    void submit(std::shared_ptr<AclBuild> build);
    /// Readable after something was done; -1 without a thread.
    [[nodiscard]] int wakeup() const noexcept { return wakeup_.get(); }
    /// Before looking at builds: makes wakeup() unreadable again. Free when nothing was submitted.
    void drain_wakeup() noexcept;

  private:
    void run();
    std::mutex mutex_;
    std::condition_variable work_;
    std::deque<std::shared_ptr<AclBuild>> queue_;
    bool stop_ = false;
    std::uint64_t unheard_ = 0;  // submitted, and its wake-up not yet read; control thread
    Descriptor wakeup_;
    std::thread thread_;
};

}  // namespace wye::control
