// What the writers of both open-addressing hashes (vport keys, tunnel keys) do with slots. A reader
// may be probing while this runs: every single store leaves a table in which it finds each key.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace wye::table {

template <class Word, Word kEmpty, Word kTombstone>
class KeySlots {
  public:
    KeySlots(std::atomic<Word>* slots, std::uint32_t count) : slots_(slots), mask_(count - 1) {}

    struct Place {
        std::uint32_t index;
        bool present;
    };
    /// Where the key is, or where it would go: the first tombstone on its way, else the first empty
    /// slot. None: no slot is free.
    template <class IsKey>
    [[nodiscard]] std::optional<Place> find(std::uint32_t hash, IsKey is_key) const {
        std::optional<Place> room;
        for (std::uint32_t i = hash, probes = 0; probes <= mask_; ++i, ++probes) {
            const Word word = slots_[i & mask_].load(std::memory_order_relaxed);
            if (word == kEmpty) return room ? room : Place{i & mask_, false};
            if (word == kTombstone) {
                if (!room) room = Place{i & mask_, false};
            } else if (is_key(word)) {
                return Place{i & mask_, true};
            }
        }
        return room;
    }
    void store(std::uint32_t index, Word word) {
        slots_[index].store(word, std::memory_order_release);
    }
    /// A tombstone, unless nothing can lie behind it: then it and the tombstones before it become
    /// empty, from the back, so that a probe that passes meanwhile ends no earlier than it may.
    void remove(std::uint32_t index) {
        store(index, kTombstone);
        if (slots_[(index + 1) & mask_].load(std::memory_order_relaxed) != kEmpty) return;
        while (slots_[index].load(std::memory_order_relaxed) == kTombstone) {
            store(index, kEmpty);
            index = (index - 1) & mask_;
        }
    }

  private:
    std::atomic<Word>* slots_;
    std::uint32_t mask_;
};

}  // namespace wye::table
