// The commands of stream `policy` that lead from one manifest to another, tenant by tenant.
//
// Tenants, VRFs, ports and tunnels take effect one by one; vports and ACLs of a tenant are staged
// in a transaction and published at once by its commit. So a plan has, in this order:
//   early    deletions whose key (VLAN, tunnel key, VNI) another object takes over; a vport or
//            tunnel that stays with another key is made anew in its tenant's batch
//   tenants  a batch each: declarations, then a transaction; new objects before those that use them
//   cleanup  what nobody refers to any more: tunnels, VRFs, tenants
// Equal manifests make an empty plan.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane-shim/manifest/manifest.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::state {

/// Handles of this process's sessions by name, and what the data plane said about each object.
class PolicyObjects {
  public:
    struct Object {
        ring::Handle handle = ring::kNoHandle;
        bool present = false;  // in this session
        std::string refused;   // in words, the last answer
    };
    using Key = std::pair<ring::ObjectKind, std::string>;

    ring::Handle handle(ring::ObjectKind kind, const std::string& name) {
        Object& object = objects_[{kind, name}];
        if (object.handle == ring::kNoHandle) object.handle = ++last_[kind];
        return object.handle;
    }
    [[nodiscard]] const Object* find(ring::ObjectKind kind, const std::string& name) const {
        const auto found = objects_.find({kind, name});
        return found == objects_.end() ? nullptr : &found->second;
    }
    [[nodiscard]] bool present(ring::ObjectKind kind, const std::string& name) const {
        const Object* const object = find(kind, name);
        return object != nullptr && object->present;
    }
    /// Of the vocabulary: what is newer is not said in this session.
    void session_opened(std::uint16_t version) { version_ = version; }
    [[nodiscard]] std::uint16_t version() const { return version_; }
    [[nodiscard]] const std::map<Key, Object>& all() const { return objects_; }
    Object& operator[](const Key& key) { return objects_[key]; }
    /// Of objects that nobody wants any more.
    void forget_refusals(const std::set<Key>& wanted) {
        for (auto& [key, object] : objects_)
            if (!wanted.contains(key)) object.refused.clear();
    }
    void session_closed() {
        for (auto& [key, object] : objects_) {
            object.present = false;
            object.refused.clear();
        }
    }

  private:
    std::map<Key, Object> objects_;
    std::map<ring::ObjectKind, ring::Handle> last_;
    std::uint16_t version_ = ring::kVocabularyVersion;
};

struct PolicyCommand {
    ring::Command command;
    ring::ObjectKind kind = ring::ObjectKind::tenant;
    std::string name;  // of the object
};

struct PolicyBatch {
    std::string tenant;
    std::vector<PolicyCommand> commands;  // a transaction's begin and commit included
};

struct PolicyPlan {
    std::vector<PolicyBatch> early, tenants, cleanup;
    std::set<std::string> remade;  // vports deleted early that are in the new manifest too
    [[nodiscard]] bool empty() const { return early.empty() && tenants.empty() && cleanup.empty(); }
};

PolicyPlan plan_policy(const manifest::Manifest& from, const manifest::Manifest& to,
                       PolicyObjects& objects);

/// For errors: "vport red-site".
std::string describe(ring::ObjectKind kind, const std::string& name);

}  // namespace wye::state
