#include "controlplane-shim/state/policy_programmer.hh"

#include "dataplane/ring/text.hh"

namespace wye::state {

using ring::ObjectKind;
using ring::Opcode;

void PolicyProgrammer::enqueue(std::vector<PolicyCommand> commands) {
    for (PolicyCommand& command : commands) queue_.push_back(std::move(command));
}

void PolicyProgrammer::run(StreamWriter& writer) {
    while (!queue_.empty() && !writer.full()) {
        PolicyCommand& next = queue_.front();
        writer.push(next.command);
        in_flight_.push_back({next.command.header.opcode, next.kind, std::move(next.name)});
        queue_.pop_front();
    }
}

void PolicyProgrammer::completed(const ring::Completion& completion) {
    const InFlight record = std::move(in_flight_.front());
    in_flight_.pop_front();
    if (completion.outcome == ring::Outcome::accepted) {
        accepted(record);
        return;
    }
    if (record.opcode == Opcode::transaction_commit || record.opcode == Opcode::transaction_abort)
        staged_.clear();
    std::string words(ring::outcome_words(completion.outcome));
    refusals_.push_back(describe(record.kind, record.name) + ": " + words);
    if (record.kind == ObjectKind::worker) return;  // asked once, not declared
    // One rule that is refused makes the ACL refused: the first answer says most.
    std::string& refused = objects_[{record.kind, record.name}].refused;
    if (refused.empty() || record.opcode != Opcode::acl_commit) refused = std::move(words);
}

void PolicyProgrammer::accepted(const InFlight& record) {
    const PolicyObjects::Key key{record.kind, record.name};
    switch (record.opcode) {
        case Opcode::tenant_set:
        case Opcode::vrf_set:
        case Opcode::port_bind:
        case Opcode::tunnel_set:
            set_present(record.kind, record.name, true);
            break;
        case Opcode::tenant_delete:
        case Opcode::vrf_delete:
        case Opcode::tunnel_delete:
            set_present(record.kind, record.name, false);
            break;
        case Opcode::acl_begin:
            objects_[key].refused.clear();
            break;
        case Opcode::vport_set:
        case Opcode::acl_commit:
            staged_.emplace_back(key, true);
            break;
        case Opcode::vport_delete:
        case Opcode::acl_delete:
            staged_.emplace_back(key, false);
            break;
        case Opcode::transaction_abort:
            staged_.clear();
            break;
        case Opcode::transaction_commit:
            for (const auto& [object, present] : staged_)
                set_present(object.first, object.second, present);
            staged_.clear();
            break;
        default:
            break;
    }
}

void PolicyProgrammer::set_present(ObjectKind kind, const std::string& name, bool present) {
    PolicyObjects::Object& object = objects_[{kind, name}];
    object.refused.clear();
    changed_ = changed_ || object.present != present;
    object.present = present;
}

void PolicyProgrammer::session_closed() {
    queue_.clear();
    in_flight_.clear();
    staged_.clear();
    refusals_.clear();
    objects_.session_closed();
    changed_ = true;
}

}  // namespace wye::state
