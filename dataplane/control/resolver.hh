// Resolver: which of the workers' requests for neighbours become events. Several workers ask for
// the same one, and a scan asks for thousands: the same neighbour is not asked for again within a
// while, and no more than so many a second are passed on. Bounded memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <unordered_map>

#include "dataplane/control/objects.hh"
#include "dataplane/ring/resolve_request.hh"

namespace wye::control {

class Resolver {
  public:
    using Clock = std::chrono::steady_clock;
    Resolver(std::uint32_t per_second, std::chrono::milliseconds again)
        : per_second_(per_second), again_(again) {}

    /// To be passed on now.
    bool admit(const ring::ResolveRequest& request, Clock::time_point now);

  private:
    struct Key {
        VportId vport;
        net::IpAddress address;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept {
            return AddressHash{}(key.address) * 31 + key.vport.value;
        }
    };
    std::uint32_t per_second_;
    std::chrono::milliseconds again_;
    Clock::time_point second_{};
    std::uint32_t in_second_ = 0;
    std::unordered_map<Key, Clock::time_point, KeyHash> asked_;
};

}  // namespace wye::control
