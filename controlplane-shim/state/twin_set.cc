#include "controlplane-shim/state/twin_set.hh"

#include <cstdio>
#include <functional>
#include <set>
#include <utility>

#include "controlplane-shim/state/topology.hh"

namespace wye::state {
namespace {

constexpr std::size_t kLongestInterfaceName = 15;

/// Changes that need another interface.
bool must_be_remade(const kernel::TwinSpec& a, const kernel::TwinSpec& b) {
    return a.kind != b.kind || a.interface != b.interface || !(a.vrf == b.vrf);
}

ring::TwinMessage message_of(const TwinSet::Key& key) {
    auto message = ring::make_message<ring::TwinMessage>();
    message.kind = key.first;
    message.object = ObjectName::from(key.second).value_or(ObjectName{});
    return message;
}

}  // namespace

std::string TwinSet::inject_name(const std::string& vrf) {
    const std::string name = "inj-" + vrf;
    if (name.size() <= kLongestInterfaceName) return name;
    char hash[8];
    std::uint32_t sum = 2166136261u;  // FNV-1a
    for (const char c : vrf) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619u;
    std::snprintf(hash, sizeof hash, "%05x", sum & 0xfffffu);
    return name.substr(0, kLongestInterfaceName - 6) + "." + hash;
}

TwinSet::Specs TwinSet::specs_of(const manifest::Manifest& manifest) {
    Specs specs;
    for (const manifest::Tenant& tenant : manifest.tenants) {
        std::map<std::string, manifest::KernelVrf> kernels;
        for (const manifest::Vrf& vrf : tenant.vrfs) {
            kernels[vrf.name] = vrf.kernel;
            kernel::TwinSpec& spec = specs[{ring::TwinKind::vrf_inject, vrf.name}];
            spec.kind = ring::TwinKind::vrf_inject;
            spec.object = vrf.name;
            spec.interface = inject_name(vrf.name);
            spec.vrf = vrf.kernel;
        }
        for (const manifest::Vport& vport : tenant.vports) {
            if (!vport.has_twin) continue;
            kernel::TwinSpec& spec = specs[{ring::TwinKind::vport_tap, vport.name}];
            spec.kind = ring::TwinKind::vport_tap;
            spec.object = vport.name;
            spec.interface = vport.twin.empty() ? vport.name : vport.twin;
            spec.vrf = kernels[vport.vrf];
            spec.mac = vport.mac;
            spec.mtu = vport.mtu;
            spec.admin_up = vport.admin_up;
            spec.addresses = vport.addresses;
            spec.neighbors = vport.neighbors;
        }
    }
    return specs;
}

/// Of twins that go or are made anew, those whose interface name another one gets.
void TwinSet::free_names(const Specs& wanted, CommandSink* sink) {
    std::map<std::pair<std::string, std::string>, Key> owners;
    const auto name_of = [](const kernel::TwinSpec& spec) {
        return std::pair{netns_of(spec.vrf), spec.interface};
    };
    for (const auto& [key, spec] : wanted) owners[name_of(spec)] = key;
    std::vector<std::pair<kernel::TwinSpec, kernel::Twin>> leaving;
    for (auto it = held_.begin(); it != held_.end();) {
        const auto owner = owners.find(name_of(it->second.spec));
        if (owner == owners.end() || owner->second == it->first) {
            ++it;
            continue;
        }
        take_away(it->first, sink);
        leaving.emplace_back(it->second.spec, std::move(it->second.twin));
        it = held_.erase(it);
    }
    if (!leaving.empty()) kernel_.remove_twins(std::move(leaving));
}

TwinSet::Staged TwinSet::stage(const Specs& wanted, CommandSink* sink,
                               std::vector<std::string>& errors) {
    free_names(wanted, sink);
    Staged staged;
    const std::size_t before = errors.size();
    for (const auto& [key, spec] : wanted) {
        const auto found = held_.find(key);
        if (found != held_.end() && !must_be_remade(found->second.spec, spec)) continue;
        Result<kernel::Twin> made = kernel_.make_twin(spec);
        if (made) {
            staged.emplace(key, Held{spec, std::move(*made)});
        } else {
            errors.push_back(made.error().text);
        }
    }
    if (errors.size() != before) discard(std::exchange(staged, {}));
    return staged;
}

void TwinSet::discard(Staged&& staged) {
    std::vector<std::pair<kernel::TwinSpec, kernel::Twin>> leaving;
    for (auto& [key, held] : staged) leaving.emplace_back(held.spec, std::move(held.twin));
    if (!leaving.empty()) kernel_.remove_twins(std::move(leaving));
}

void TwinSet::hand_over(const Key& key, const Held& held, CommandSink* sink,
                        std::vector<std::string>& errors) {
    if (sink == nullptr) return;
    ring::TwinMessage message = message_of(key);
    message.attach = 1;
    message.interface_index = held.twin.interface.index;
    const Status sent = sink->send_twin(message, held.twin.descriptor.get());
    if (!sent) errors.push_back("twin " + held.spec.interface + ": " + sent.error().text);
}

void TwinSet::take_away(const Key& key, CommandSink* sink) {
    // If the session is over the next one finds out that the twin is not wanted.
    if (sink != nullptr) static_cast<void>(sink->send_twin(message_of(key), -1));
}

void TwinSet::commit(const Specs& wanted, Staged&& staged, CommandSink* sink,
                     std::vector<std::string>& errors) {
    std::vector<std::pair<kernel::TwinSpec, kernel::Twin>> leaving;
    for (auto it = held_.begin(); it != held_.end();) {
        const bool replaced = staged.contains(it->first);
        if (wanted.contains(it->first) && !replaced) {
            ++it;
            continue;
        }
        if (!replaced) take_away(it->first, sink);
        leaving.emplace_back(it->second.spec, std::move(it->second.twin));
        it = held_.erase(it);
    }
    if (!leaving.empty()) kernel_.remove_twins(std::move(leaving));
    for (auto& [key, held] : held_) {
        const kernel::TwinSpec& spec = wanted.at(key);
        if (held.spec == spec) continue;
        const Status changed = kernel_.change_twin(held.twin, held.spec, spec);
        if (!changed) errors.push_back(changed.error().text);
        held.spec = spec;
    }
    for (auto& [key, held] : staged) {
        hand_over(key, held, sink, errors);
        held_.emplace(key, std::move(held));
    }
}

void TwinSet::session_opened(const Specs& wanted, std::vector<ReturnedTwin> returned,
                             CommandSink& sink, std::vector<std::string>& errors) {
    std::set<Key> in_data_plane;
    for (ReturnedTwin& twin : returned) {
        const Key key{twin.message.kind, std::string(twin.message.object.view())};
        const auto spec = wanted.find(key);
        if (held_.contains(key)) {
            in_data_plane.insert(key);  // this process made it: the descriptor is a copy
            continue;
        }
        if (spec == wanted.end()) {
            take_away(key, &sink);
            continue;
        }
        Result<kernel::Twin> adopted = kernel_.adopt_twin(spec->second, std::move(twin.descriptor));
        if (adopted) {
            held_.emplace(key, Held{spec->second, std::move(*adopted)});
            in_data_plane.insert(key);
        } else {
            errors.push_back(adopted.error().text + "; it is made anew");
            take_away(key, &sink);
        }
    }
    returned.clear();  // closes what is not wanted before its names are needed
    for (const auto& [key, held] : held_)
        if (!in_data_plane.contains(key)) hand_over(key, held, &sink, errors);
    repair(wanted, &sink, errors);
}

bool TwinSet::lost(const kernel::InterfaceKey& interface) {
    for (auto it = held_.begin(); it != held_.end(); ++it) {
        if (it->second.twin.interface != interface) continue;
        std::vector<std::pair<kernel::TwinSpec, kernel::Twin>> leaving;
        leaving.emplace_back(it->second.spec, std::move(it->second.twin));
        held_.erase(it);
        kernel_.remove_twins(std::move(leaving));
        return true;
    }
    return false;
}

void TwinSet::repair(const Specs& wanted, CommandSink* sink, std::vector<std::string>& errors) {
    for (const auto& [key, spec] : wanted) {
        if (held_.contains(key)) continue;
        Result<kernel::Twin> made = kernel_.make_twin(spec);
        if (!made) {
            errors.push_back(made.error().text);
            continue;
        }
        hand_over(key, held_.emplace(key, Held{spec, std::move(*made)}).first->second, sink,
                  errors);
    }
}

}  // namespace wye::state
