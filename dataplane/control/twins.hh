// TwinRegistry: the descriptors of twins by name, across sessions.
//
// A twin may arrive before its object is declared, and stays when the shim dies: both processes
// hold the descriptor, so the carrier stays up. When descriptor and object are both there the
// keeper (who serves the frames) gets a copy. Control thread only.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>

#include "dataplane/base/descriptor.hh"
#include "dataplane/base/name.hh"
#include "dataplane/control/twin_keeper.hh"

namespace wye::control {

class TwinRegistry {
  public:
    struct Key {
        ring::TwinKind kind;
        ObjectName object;
        friend bool operator==(const Key&, const Key&) = default;
        friend bool operator<(const Key& a, const Key& b) noexcept {
            return a.kind != b.kind ? a.kind < b.kind : a.object.text < b.object.text;
        }
    };
    struct Twin {
        Descriptor descriptor;
        std::uint32_t interface_index = 0;
    };

    explicit TwinRegistry(TwinKeeper* keeper) : keeper_(keeper) {}

    // Of the session: a new descriptor, or the end of one.
    void put(const Key& key, Descriptor descriptor, std::uint32_t interface_index);
    void take_away(const Key& key);
    /// To be handed back to a new shim.
    [[nodiscard]] const std::map<Key, Twin>& all() const noexcept { return twins_; }

    // Of the command families: objects come and go.
    void object_stands(ring::TwinKind kind, const ObjectName& name, std::uint32_t id);
    void object_gone(ring::TwinKind kind, const ObjectName& name);

    /// A twin that failed: it is forgotten, its key is the answer.
    std::optional<Key> take_lost();

  private:
    void attach(const Key& key, const Twin& twin, std::uint32_t id);
    TwinKeeper* keeper_;
    std::map<Key, Twin> twins_;
    std::map<Key, std::uint32_t> objects_;
};

}  // namespace wye::control
