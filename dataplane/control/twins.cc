#include "dataplane/control/twins.hh"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace wye::control {

void TwinRegistry::attach(const Key& key, const Twin& twin, std::uint32_t id) {
    if (keeper_ == nullptr) return;
    Descriptor copy(fcntl(twin.descriptor.get(), F_DUPFD_CLOEXEC, 0));
    if (copy.valid()) keeper_->attach({key.kind, id}, std::move(copy));
}

void TwinRegistry::put(const Key& key, Descriptor descriptor, std::uint32_t interface_index) {
    Twin& twin = twins_[key];
    twin = Twin{std::move(descriptor), interface_index};
    if (const auto object = objects_.find(key); object != objects_.end()) {
        attach(key, twin, object->second);
    }
}

void TwinRegistry::take_away(const Key& key) {
    if (twins_.erase(key) == 0 || keeper_ == nullptr) return;
    if (const auto object = objects_.find(key); object != objects_.end()) {
        keeper_->detach({key.kind, object->second});
    }
}

void TwinRegistry::object_stands(ring::TwinKind kind, const ObjectName& name, std::uint32_t id) {
    const Key key{kind, name};
    objects_[key] = id;
    if (const auto twin = twins_.find(key); twin != twins_.end()) attach(key, twin->second, id);
}

void TwinRegistry::object_gone(ring::TwinKind kind, const ObjectName& name) {
    const auto object = objects_.find({kind, name});
    if (object == objects_.end()) return;
    if (keeper_ != nullptr && twins_.contains(object->first)) {
        keeper_->detach({kind, object->second});
    }
    objects_.erase(object);
}

std::optional<TwinRegistry::Key> TwinRegistry::take_lost() {
    std::array<TwinId, 1> lost;
    while (keeper_ != nullptr && keeper_->take_lost(lost) != 0) {
        const auto object = std::find_if(objects_.begin(), objects_.end(), [&](const auto& entry) {
            return entry.first.kind == lost[0].kind && entry.second == lost[0].object;
        });
        if (object == objects_.end()) continue;  // gone meanwhile
        twins_.erase(object->first);
        return object->first;
    }
    return std::nullopt;
}

}  // namespace wye::control
