// The host thread as the control thread's keeper of twins: two folders that do not know each other.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "dataplane/control/twin_keeper.hh"
#include "dataplane/host/host_thread.hh"

namespace wye::dataplane {

class HostTwins final : public control::TwinKeeper {
  public:
    explicit HostTwins(host::HostThread& host) : host_(host) {}
    void attach(control::TwinId twin, Descriptor descriptor) override {
        host_.attach({twin.kind, twin.object}, std::move(descriptor));
    }
    void detach(control::TwinId twin) override { host_.detach({twin.kind, twin.object}); }
    std::size_t take_lost(std::span<control::TwinId> out) override {
        std::array<host::TwinKey, 16> lost;
        const std::size_t n = host_.take_lost({lost.data(), std::min(out.size(), lost.size())});
        std::transform(lost.begin(), lost.begin() + static_cast<std::ptrdiff_t>(n), out.begin(),
                       [](host::TwinKey key) {
                           return control::TwinId{key.kind, key.object};
                       });
        return n;
    }

  private:
    host::HostThread& host_;
};

}  // namespace wye::dataplane
