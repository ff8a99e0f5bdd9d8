// Registry<T>: the named objects of one kind, and what this session calls them.
//
// An object stands across sessions; its handle is of one session. Private memory of the control
// thread. T derives from Named.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "dataplane/base/name.hh"
#include "dataplane/control/answer.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::control {

struct Named {
    ObjectName name;
    ring::Handle handle = ring::kNoHandle;  // in this session
    std::uint32_t declared = 0;  // the stream's declaration round in which it was last declared
    bool dying = false;  // unpublished, waits for a grace period; its name is taken till then
};

struct NameHash {
    std::size_t operator()(const ObjectName& name) const noexcept {
        return std::hash<std::string_view>{}(name.view());
    }
};

template <class T>
class Registry {
  public:
    using Map = std::unordered_map<ObjectName, std::unique_ptr<T>, NameHash>;

    [[nodiscard]] T* find(const ObjectName& name) const {
        const auto it = names_.find(name);
        return it == names_.end() ? nullptr : it->second.get();
    }
    [[nodiscard]] T* find(ring::Handle handle) const {
        const auto it = handles_.find(handle);
        return it == handles_.end() ? nullptr : it->second;
    }

    struct Match {
        T* object = nullptr;  // none: it is new
        Answer problem;       // unless accepted, the command ends with it
    };
    /// Who is declared as `handle` with `name`.
    [[nodiscard]] Match match(ring::Handle handle, const ObjectName& name) const {
        T* const named = find(name);
        if (const T* held = find(handle); held != nullptr && held != named) {
            return {nullptr, refuse(ring::Outcome::duplicate, handle)};
        }
        if (named == nullptr) return {};
        if (named->dying) return {nullptr, wait_for(Wait::grace)};
        if (named->handle != ring::kNoHandle && named->handle != handle) {
            return {nullptr, refuse(ring::Outcome::duplicate, named->handle)};
        }
        return {named, accept()};
    }

    template <class... Arguments>
    T& add(const ObjectName& name, Arguments&&... arguments) {
        auto object = std::make_unique<T>(std::forward<Arguments>(arguments)...);
        object->name = name;
        return *(names_[name] = std::move(object));
    }
    void bind(T& object, ring::Handle handle) {
        if (object.handle == handle) return;
        unbind(object);
        object.handle = handle;
        handles_[handle] = &object;
    }
    void unbind(T& object) {
        if (object.handle != ring::kNoHandle) handles_.erase(object.handle);
        object.handle = ring::kNoHandle;
    }
    void remove(T& object) {
        unbind(object);
        names_.erase(ObjectName(object.name));
    }
    void forget_handles() {
        for (const auto& [handle, object] : handles_) object->handle = ring::kNoHandle;
        handles_.clear();
    }
    [[nodiscard]] const Map& all() const noexcept { return names_; }
    [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

  private:
    Map names_;
    std::unordered_map<ring::Handle, T*> handles_;
};

}  // namespace wye::control
