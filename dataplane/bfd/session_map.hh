// SessionMap: which slot a key belongs to, for a fixed number of slots. Linear probing over twice as many
// places; what is removed leaves no tombstone. No allocation after construction. One thread.
#pragma once

#include <cstdint>
#include <vector>

namespace wye::bfd {

class SessionMap {
  public:
    static constexpr std::uint32_t kNone = 0xffffffff;

    explicit SessionMap(std::uint32_t slots) : places_(4u * slots) {}

    /// Keys are hashes: two sessions may have the same one, so the caller compares what it finds.
    void add(std::uint64_t key, std::uint32_t slot) noexcept {
        std::size_t at = home(key);
        while (places_[at].slot != kNone) at = next(at);
        places_[at] = {key, slot};
    }
    void remove(std::uint64_t key, std::uint32_t slot) noexcept {
        std::size_t at = home(key);
        while (places_[at].slot != kNone && !(places_[at].slot == slot && places_[at].key == key)) {
            at = next(at);
        }
        if (places_[at].slot == kNone) return;
        // Knuth 6.4, algorithm R: what lies behind moves up as far as its home allows.
        std::size_t hole = at;
        for (at = next(at); places_[at].slot != kNone; at = next(at)) {
            const std::size_t wanted = home(places_[at].key);
            const bool stays =
                hole <= at ? (hole < wanted && wanted <= at) : (hole < wanted || wanted <= at);
            if (stays) continue;
            places_[hole] = places_[at];
            hole = at;
        }
        places_[hole] = {};
    }
    /// The first slot with this key for which fits(slot); kNone: there is none.
    template <class Fits>
    [[nodiscard]] std::uint32_t find(std::uint64_t key, Fits&& fits) const noexcept {
        for (std::size_t at = home(key); places_[at].slot != kNone; at = next(at)) {
            if (places_[at].key == key && fits(places_[at].slot)) return places_[at].slot;
        }
        return kNone;
    }

  private:
    struct Place {
        std::uint64_t key = 0;
        std::uint32_t slot = kNone;
    };
    [[nodiscard]] std::size_t home(std::uint64_t key) const noexcept {
        return static_cast<std::size_t>((key * 0x9e3779b97f4a7c15u) >> 32) % places_.size();
    }
    [[nodiscard]] std::size_t next(std::size_t at) const noexcept {
        return at + 1 == places_.size() ? 0 : at + 1;
    }
    std::vector<Place> places_;
};

}  // namespace wye::bfd
