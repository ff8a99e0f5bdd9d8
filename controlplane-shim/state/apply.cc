// A new manifest: all of it or nothing.
//
// Twins first (what fails there fails before the data plane was asked), then routes of what leaves
// are withdrawn, then a transaction for each tenant, then what nobody refers to any more. A refusal
// takes back what was accepted before it.
#include <algorithm>
#include <utility>

#include "controlplane-shim/state/state.hh"

namespace wye::state {
namespace {

using ring::ObjectKind;

constexpr std::chrono::milliseconds kRetry{20};

std::map<std::string, const manifest::Vport*> vports_of(const manifest::Manifest& manifest) {
    std::map<std::string, const manifest::Vport*> vports;
    for (const manifest::Tenant& tenant : manifest.tenants)
        for (const manifest::Vport& vport : tenant.vports) vports[vport.name] = &vport;
    return vports;
}

std::map<std::string, const manifest::Vrf*> vrfs_of(const manifest::Manifest& manifest) {
    std::map<std::string, const manifest::Vrf*> vrfs;
    for (const manifest::Tenant& tenant : manifest.tenants)
        for (const manifest::Vrf& vrf : tenant.vrfs) vrfs[vrf.name] = &vrf;
    return vrfs;
}

template <class T>
void add_changes(const char* kind, const std::map<std::string, const T*>& before,
                 const std::map<std::string, const T*>& after, nlohmann::json& rows) {
    const auto add = [&](const char* change, const std::string& name) {
        rows.push_back({{"change", change}, {"kind", kind}, {"name", name}});
    };
    for (const auto& [name, object] : before)
        if (!after.contains(name)) add("removed", name);
    for (const auto& [name, object] : after) {
        const auto found = before.find(name);
        if (found == before.end()) {
            add("added", name);
        } else if (!(*found->second == *object)) {
            add("changed", name);
        }
    }
}

template <class T, class List>
std::map<std::string, const T*> by_name(const manifest::Manifest& manifest, List list) {
    std::map<std::string, const T*> objects;
    for (const manifest::Tenant& tenant : manifest.tenants)
        for (const T& object : tenant.*list) objects[object.name] = &object;
    return objects;
}

nlohmann::json changes(const manifest::Manifest& from, const manifest::Manifest& to) {
    nlohmann::json rows = nlohmann::json::array();
    // A tenant has changed by itself only when its quotas have: the rest has rows of its own.
    manifest::Manifest before, after;
    for (const auto& tenant : from.tenants)
        before.tenants.push_back({tenant.name, tenant.quotas, {}, {}, {}, {}});
    for (const auto& tenant : to.tenants)
        after.tenants.push_back({tenant.name, tenant.quotas, {}, {}, {}, {}});
    std::map<std::string, const manifest::Tenant*> old_tenants, new_tenants;
    for (const auto& tenant : before.tenants) old_tenants[tenant.name] = &tenant;
    for (const auto& tenant : after.tenants) new_tenants[tenant.name] = &tenant;
    using manifest::Tenant;
    add_changes<Tenant>("tenant", old_tenants, new_tenants, rows);
    add_changes<manifest::Vrf>("vrf", by_name<manifest::Vrf>(from, &Tenant::vrfs),
                               by_name<manifest::Vrf>(to, &Tenant::vrfs), rows);
    add_changes<manifest::Tunnel>("tunnel", by_name<manifest::Tunnel>(from, &Tenant::tunnels),
                                  by_name<manifest::Tunnel>(to, &Tenant::tunnels), rows);
    add_changes<manifest::Vport>("vport", by_name<manifest::Vport>(from, &Tenant::vports),
                                 by_name<manifest::Vport>(to, &Tenant::vports), rows);
    add_changes<manifest::Acl>("acl", by_name<manifest::Acl>(from, &Tenant::acls),
                               by_name<manifest::Acl>(to, &Tenant::acls), rows);
    return rows;
}

std::set<PolicyObjects::Key> objects_of(const manifest::Manifest& manifest) {
    std::set<PolicyObjects::Key> keys;
    for (const manifest::Tenant& tenant : manifest.tenants) {
        keys.emplace(ObjectKind::tenant, tenant.name);
        for (const auto& vrf : tenant.vrfs) keys.emplace(ObjectKind::vrf, vrf.name);
        for (const auto& tunnel : tenant.tunnels) keys.emplace(ObjectKind::tunnel, tunnel.name);
        for (const auto& acl : tenant.acls) keys.emplace(ObjectKind::acl, acl.name);
        for (const auto& vport : tenant.vports) {
            keys.emplace(ObjectKind::vport, vport.name);
            if (!vport.port.empty()) keys.emplace(ObjectKind::port, vport.port);
        }
    }
    return keys;
}

/// The manifest as far as the data plane has it. What `next` has unchanged counts as there: it was
/// refused before, and is no reason to refuse something else.
manifest::Manifest without_absent(const manifest::Manifest& manifest,
                                  const manifest::Manifest* next, const PolicyObjects& objects) {
    manifest::Manifest there;
    for (manifest::Tenant tenant : manifest.tenants) {
        static const manifest::Tenant nothing;
        const manifest::Tenant* same = &nothing;
        if (next != nullptr)
            for (const manifest::Tenant& other : next->tenants)
                if (other.name == tenant.name) same = &other;
        const auto drop = [&](auto& list, ObjectKind kind, const auto& unchanged) {
            std::erase_if(list, [&](const auto& object) {
                return !objects.present(kind, object.name) &&
                       std::find(unchanged.begin(), unchanged.end(), object) == unchanged.end();
            });
        };
        if (!objects.present(ObjectKind::tenant, tenant.name) && same == &nothing) continue;
        drop(tenant.vrfs, ObjectKind::vrf, same->vrfs);
        drop(tenant.tunnels, ObjectKind::tunnel, same->tunnels);
        drop(tenant.vports, ObjectKind::vport, same->vports);
        drop(tenant.acls, ObjectKind::acl, same->acls);
        there.tenants.push_back(std::move(tenant));
    }
    return there;
}

}  // namespace

std::vector<std::string> State::apply_manifest(const manifest::Manifest& next) {
    const EvpnPlan plan = plan_evpn_for(next);
    std::vector<EvpnTunnel> tunnels = with_leftovers(next, plan);
    std::vector<std::string> errors = enforce(with_evpn(next, tunnels));
    if (!errors.empty()) return errors;
    declared_ = next;
    adopt_evpn(plan, std::move(tunnels));
    return errors;
}

std::vector<std::string> State::enforce(const manifest::Manifest& next) {
    std::vector<std::string> errors;
    if (next == manifest_) return errors;
    if (!open_vrfs(next, errors)) return errors;
    TwinSet::Staged staged;
    if (twins_known_) staged = twins_->stage(TwinSet::specs_of(next), sink_, errors);
    if (errors.empty() && sink_ != nullptr) errors = program(next);
    if (!errors.empty()) {
        twins_->discard(std::move(staged));
        if (twins_known_) {
            std::vector<std::string> lost;
            twins_->repair(TwinSet::specs_of(manifest_), sink_, lost);
            log_errors(lost);
            update_twin_views();
        }
        unmark_leaving();
        pump();
        return errors;
    }
    put_in_force(next, std::move(staged));
    return errors;
}

bool State::open_vrfs(const manifest::Manifest& next, std::vector<std::string>& errors) {
    for (const auto& [name, vrf] : vrfs_of(next)) {
        const Status opened = kernel_->open_vrf(vrf->kernel);
        if (!opened) errors.push_back("VRF " + name + ": " + opened.error().text);
    }
    return errors.empty();
}

bool State::wait_until(const std::function<bool()>& done) {
    const auto deadline = Clock::now() + options_.apply_timeout;
    auto next_retry = Clock::now() + kRetry;
    pump();
    while (!done()) {
        if (sink_ == nullptr || Clock::now() >= deadline) return false;
        if (!sink_->wait(std::chrono::milliseconds(50))) return false;
        if (Clock::now() >= next_retry) {
            next_retry = Clock::now() + kRetry;
            routes_.retry_pending(route_writer_);
            neighbors_.retry_pending();
        }
        pump();
    }
    return true;
}

std::vector<std::string> State::program(const manifest::Manifest& next) {
    const std::vector<std::string> silent{
        "the data plane went away or did not answer in time: the manifest is not applied, the one "
        "before it stays in force"};
    if (!wait_until([&] { return policy_replayed_ && policy_.settled(); })) return silent;
    const manifest::Manifest there = without_absent(manifest_, &next, policy_.objects());
    const PolicyPlan plan = plan_policy(there, next, policy_.objects());
    if (!withdraw_leaving(next, plan.remade)) return silent;
    std::vector<std::string> errors = run_batches(plan.early);
    if (errors.empty()) errors = run_batches(plan.tenants);
    if (!errors.empty()) {
        roll_back(next);
        return errors;
    }
    for (const PolicyBatch& batch : plan.cleanup) log_errors(run_commands(batch.commands));
    return errors;
}

/// Vports that go, are made anew or change their VRF, and VRFs that go: what is routed over them.
void State::mark_leaving(const manifest::Manifest& next, const std::set<std::string>& remade) {
    for (const std::string& name : remade) topology_.vports[topology_.vport(name)].leaving = true;
    const auto now_vports = vports_of(manifest_), next_vports = vports_of(next);
    const auto next_vrfs = vrfs_of(next);
    for (const auto& [name, vport] : now_vports) {
        const auto found = next_vports.find(name);
        if (found == next_vports.end() || found->second->vrf != vport->vrf)
            topology_.vports[topology_.vport(name)].leaving = true;
    }
    for (const auto& [name, vrf] : vrfs_of(manifest_)) {
        if (!next_vrfs.contains(name))
            topology_.tables[topology_.table(kernel_name(vrf->kernel))].leaving = true;
    }
}

void State::unmark_leaving() {
    for (VportView& vport : topology_.vports) vport.leaving = false;
    for (TableView& table : topology_.tables) table.leaving = false;
    refresh_topology();
}

bool State::withdraw_leaving(const manifest::Manifest& next, const std::set<std::string>& remade) {
    mark_leaving(next, remade);
    const auto leaves = [](const auto& view) { return view.leaving; };
    if (std::none_of(topology_.tables.begin(), topology_.tables.end(), leaves) &&
        std::none_of(topology_.vports.begin(), topology_.vports.end(), leaves))
        return true;
    refresh_topology();
    return wait_until(
        [&] { return routes_.settled() && neighbors_.settled() && route_writer_.open() == 0; });
}

std::vector<std::string> State::run_batches(const std::vector<PolicyBatch>& batches) {
    for (const PolicyBatch& batch : batches) {
        std::vector<std::string> errors = run_batch(batch);
        if (!errors.empty()) return errors;
    }
    return {};
}

/// A batch whose last command is a commit holds it back until all before it was accepted.
std::vector<std::string> State::run_batch(const PolicyBatch& batch) {
    std::vector<PolicyCommand> commands = batch.commands;
    const bool has_commit =
        commands.back().command.header.opcode == ring::Opcode::transaction_commit;
    if (!has_commit) return run_commands(std::move(commands));
    PolicyCommand commit = std::move(commands.back());
    commands.pop_back();
    std::vector<std::string> errors = run_commands(std::move(commands));
    if (!errors.empty()) {
        commit.command.header.opcode = ring::Opcode::transaction_abort;
        run_commands({commit});
        return errors;
    }
    return run_commands({commit});
}

std::vector<std::string> State::run_commands(std::vector<PolicyCommand> commands) {
    policy_.take_refusals();
    policy_.enqueue(std::move(commands));
    if (!wait_until([&] { return policy_.settled(); })) {
        if (sink_ != nullptr) {
            // Nobody knows what of it was executed: a new session says everything again.
            sink_->abandon();
            session_closed();
        }
        return {
            "the data plane went away or did not answer in time: the manifest is not applied, "
            "the one before it stays in force"};
    }
    return policy_.take_refusals();
}

/// Back to the manifest in force. Deletions of what was never made are refused; that is no error.
void State::roll_back(const manifest::Manifest& next) {
    if (sink_ == nullptr) return;  // the replay of the next session does it
    const PolicyPlan plan = plan_policy(next, manifest_, policy_.objects());
    for (const auto* part : {&plan.early, &plan.tenants, &plan.cleanup}) {
        for (const PolicyBatch& batch : *part) {
            if (sink_ != nullptr) run_commands(batch.commands);
        }
    }
    policy_.objects().forget_refusals(objects_of(manifest_));
}

/// Objects of the manifest in force that the data plane refused, and so does not have: again, in
/// the background. Whatever was in their way may have gone by now.
void State::retry_policy() {
    if (sink_ == nullptr || !policy_replayed_ || !policy_.settled()) return;
    const manifest::Manifest there = without_absent(manifest_, nullptr, policy_.objects());
    if (there == manifest_) return;
    const PolicyPlan plan = plan_policy(there, manifest_, policy_.objects());
    for (const PolicyBatch& batch : plan.tenants) policy_.enqueue(batch.commands);
}

void State::put_in_force(const manifest::Manifest& next, TwinSet::Staged staged) {
    manifest_ = next;
    policy_.objects().forget_refusals(objects_of(manifest_));
    std::vector<std::string> errors;
    if (twins_known_)
        twins_->commit(TwinSet::specs_of(manifest_), std::move(staged), sink_, errors);
    log_errors(errors);
    std::vector<manifest::KernelVrf> kernels;
    for (const auto& [name, vrf] : vrfs_of(manifest_)) kernels.push_back(vrf->kernel);
    kernel_->keep_vrfs(kernels);
    update_views();
    routes_.retry_refused();
    pump();
}

api::Reply State::apply(const std::string& file_name, const std::string& text) {
    const manifest::Loaded loaded = manifest::load_manifest(text, file_name);
    api::Reply reply;
    for (const manifest::Problem& problem : loaded.problems)
        reply.errors.push_back(problem.to_string());
    reply.result = nlohmann::json::array();
    if (loaded.manifest) {
        reply.result = changes(declared_, *loaded.manifest);
        reply.errors = apply_manifest(*loaded.manifest);
    }
    reply.ok = reply.errors.empty();
    if (!reply.ok) reply.result = nullptr;
    return reply;
}

// What the manifest in force and the session say, as routes and neighbours see it.

void State::update_views() {
    for (TableView& table : topology_.tables) {
        table.vrf.clear();
        table.tenant.clear();
        table.leaving = false;
    }
    for (VportView& vport : topology_.vports) {
        vport.table = kNoIndex;
        vport.tenant.clear();
        vport.leaving = false;
    }
    for (const manifest::Tenant& tenant : manifest_.tenants) {
        std::map<std::string, TableIndex> tables;
        for (const manifest::Vrf& vrf : tenant.vrfs) {
            const TableIndex index = topology_.table(kernel_name(vrf.kernel));
            TableView& table = topology_.tables[index];
            tables[vrf.name] = index;
            table.vrf = vrf.name;
            table.tenant = tenant.name;
            table.netns = netns_of(vrf.kernel);
            table.in_device = vrf.kernel.kind == manifest::KernelVrf::Kind::device;
        }
        for (const manifest::Vport& vport : tenant.vports) {
            VportView& view = topology_.vports[topology_.vport(vport.name)];
            view.table = tables[vport.vrf];
            view.tenant = tenant.name;
        }
    }
    const auto all = vports_of(manifest_);
    for (VportIndex i = 0; i < topology_.vports.size(); ++i) {
        const auto found = all.find(topology_.vports[i].name);
        neighbors_.set_static(i, found == all.end() ? std::vector<manifest::StaticNeighbor>{}
                                                    : found->second->neighbors);
    }
    update_twin_views();
}

void State::update_twin_views() {
    for (VportIndex i = 0; i < topology_.vports.size(); ++i) {
        VportView& view = topology_.vports[i];
        const auto held = twins_->held().find({ring::TwinKind::vport_tap, view.name});
        if (held == twins_->held().end()) {
            topology_.set_twin(i, std::nullopt);
            view.addresses.clear();
        } else {
            topology_.set_twin(i, held->second.twin.interface);
            view.addresses = addresses_[held->second.twin.interface];
        }
    }
    for (TableIndex i = 0; i < topology_.tables.size(); ++i) stale_tables_.insert(i);
    refresh_topology();
}

void State::refresh_topology() {
    const PolicyObjects& objects = policy_.objects();
    vport_by_handle_.clear();
    for (TableIndex i = 0; i < topology_.tables.size(); ++i) {
        TableView& table = topology_.tables[i];
        const auto* const object =
            table.vrf.empty() ? nullptr : objects.find(ObjectKind::vrf, table.vrf);
        const bool before = table.seen_usable;
        const ring::Handle handle = object == nullptr ? ring::kNoHandle : object->handle;
        const bool renamed = handle != ring::kNoHandle && handle != table.handle;
        if (handle != ring::kNoHandle) table.handle = handle;
        table.present = object != nullptr && object->present;
        table.seen_usable = table.usable();
        if (before != table.usable() || renamed) routes_.look_at_table(i);
    }
    for (VportIndex i = 0; i < topology_.vports.size(); ++i) {
        VportView& vport = topology_.vports[i];
        const auto* const object = objects.find(ObjectKind::vport, vport.name);
        vport.present = object != nullptr && object->present;
        if (object != nullptr) vport.handle = object->handle;
        if (vport.handle != ring::kNoHandle) vport_by_handle_[vport.handle] = i;
        if (std::exchange(vport.seen_usable, vport.usable()) != vport.usable() ||
            std::exchange(vport.seen_twin, vport.twin) != vport.twin) {
            neighbors_.vport_changed(i);
            if (vport.table != kNoIndex) stale_tables_.insert(vport.table);
        }
    }
    routes_.topology_changed();
}

}  // namespace wye::state
