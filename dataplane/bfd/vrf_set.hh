// VrfSet: in which VRFs there are sessions, so that BFD packets there are the engine's; elsewhere they are
// the host stack's, like any others. Writer: control thread. Readers: workers, for each BFD packet.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/base/ids.hh"

namespace wye::bfd {

class VrfSet {
  public:
    explicit VrfSet(std::uint32_t capacity)
        : sessions_(std::make_unique<std::atomic<std::uint16_t>[]>(capacity)),
          capacity_(capacity) {}

    [[nodiscard]] bool contains(VrfId vrf) const noexcept {
        return vrf.value < capacity_ && sessions_[vrf.value].load(std::memory_order_relaxed) != 0;
    }
    void add(VrfId vrf) noexcept { change(vrf, 1); }
    void remove(VrfId vrf) noexcept { change(vrf, -1); }

  private:
    void change(VrfId vrf, int by) noexcept {
        if (vrf.value >= capacity_) return;
        auto& count = sessions_[vrf.value];
        count.store(static_cast<std::uint16_t>(count.load(std::memory_order_relaxed) + by),
                    std::memory_order_relaxed);
    }
    std::unique_ptr<std::atomic<std::uint16_t>[]> sessions_;
    std::uint32_t capacity_;
};

}  // namespace wye::bfd
