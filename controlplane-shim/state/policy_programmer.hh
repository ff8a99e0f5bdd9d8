// PolicyProgrammer: sends what policy_plan made, keeps account of the answers.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane-shim/state/policy_plan.hh"
#include "controlplane-shim/state/stream_writer.hh"

namespace wye::state {

class PolicyProgrammer {
  public:
    PolicyObjects& objects() { return objects_; }
    [[nodiscard]] const PolicyObjects& objects() const { return objects_; }

    void enqueue(std::vector<PolicyCommand> commands);
    void run(StreamWriter& writer);
    void completed(const ring::Completion& completion);
    [[nodiscard]] bool settled() const { return queue_.empty() && in_flight_.empty(); }
    void session_closed();

    /// In words, since the last call: "vport red-site: …".
    std::vector<std::string> take_refusals() { return std::exchange(refusals_, {}); }
    /// Something became present or absent since the last call.
    bool take_changed() { return std::exchange(changed_, false); }

  private:
    struct InFlight {
        ring::Opcode opcode;
        ring::ObjectKind kind;
        std::string name;
    };
    void accepted(const InFlight& record);
    void set_present(ring::ObjectKind kind, const std::string& name, bool present);

    PolicyObjects objects_;
    std::deque<PolicyCommand> queue_;
    std::deque<InFlight> in_flight_;
    std::vector<std::pair<PolicyObjects::Key, bool>> staged_;  // true: will be present
    std::vector<std::string> refusals_;
    bool changed_ = false;
};

}  // namespace wye::state
