#include "dataplane/control/resolver.hh"

namespace wye::control {

bool Resolver::admit(const ring::ResolveRequest& request, Clock::time_point now) {
    if (now - second_ >= std::chrono::seconds(1)) {
        second_ = now;
        in_second_ = 0;
        std::erase_if(asked_, [&](const auto& entry) { return now - entry.second >= again_; });
    }
    const auto [entry, fresh] = asked_.try_emplace({request.vport, request.address}, now);
    if (!fresh && now - entry->second < again_) return false;
    if (in_second_ >= per_second_) {
        if (fresh) asked_.erase(entry);
        return false;
    }
    entry->second = now;
    ++in_second_;
    return true;
}

}  // namespace wye::control
