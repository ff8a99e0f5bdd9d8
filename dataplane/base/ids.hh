// Ids as types. An id is a dense index into one table; ids of different tables do not mix.
//
// Two kinds of number name an object, and they are never the same type:
//  - an id (here) is an index in the data plane's arena, chosen by the control thread;
//  - a Handle (dataplane/ring/vocabulary.hh) is what one session of the shim calls the object.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace wye {

template <class Tag>
struct Id {
    static constexpr std::uint32_t kNone = 0xffffffff;
    std::uint32_t value = kNone;

    constexpr Id() noexcept = default;
    constexpr explicit Id(std::uint32_t v) noexcept : value(v) {}
    [[nodiscard]] constexpr bool valid() const noexcept { return value != kNone; }
    friend constexpr auto operator<=>(const Id&, const Id&) noexcept = default;
};

using TenantId = Id<struct TenantTag>;
using VrfId = Id<struct VrfTag>;
using PortId = Id<struct PortTag>;
using VportId = Id<struct VportTag>;
using TunnelId = Id<struct TunnelTag>;
using NextHopId = Id<struct NextHopTag>;
using GroupId = Id<struct GroupTag>;
using AclId = Id<struct AclTag>;
using WorkerId = Id<struct WorkerTag>;

}  // namespace wye

template <class Tag>
struct std::hash<wye::Id<Tag>> {
    std::size_t operator()(const wye::Id<Tag>& id) const noexcept {
        return std::hash<std::uint32_t>{}(id.value);
    }
};
