// Linear probing with close_gap, against a set: random keys come and go in small tables, where runs
// are long and go round the end.
#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "dataplane/base/close_gap.hh"

namespace wye {
namespace {

class KeysInSlots {
  public:
    explicit KeysInSlots(std::size_t slots) : slots_(slots) {}

    static std::size_t hash(unsigned key) { return key * 7 / 5; }  // some homes are shared
    [[nodiscard]] std::size_t home_of(unsigned key) const {
        return hash(key) & (slots_.size() - 1);
    }
    /// Where the search for the key ends.
    [[nodiscard]] std::size_t find(unsigned key) const {
        std::size_t at = home_of(key);
        while (slots_[at] && *slots_[at] != key) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    [[nodiscard]] bool contains(unsigned key) const { return slots_[find(key)].has_value(); }
    void insert(unsigned key) { slots_[find(key)] = key; }
    void erase(unsigned key) {
        close_gap(
            slots_, find(key), [](const auto& slot) { return !slot.has_value(); },
            [this](const auto& slot) { return home_of(*slot); });
    }
    [[nodiscard]] std::size_t count() const {
        std::size_t count = 0;
        for (const auto& slot : slots_) count += slot.has_value();
        return count;
    }

  private:
    std::vector<std::optional<unsigned>> slots_;
};

class CloseGap : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, CloseGap, testing::Values(2, 4, 8, 32, 64));

TEST_P(CloseGap, KeepsWhatIsThereAndLosesWhatIsErased) {
    const std::size_t slots = GetParam();
    constexpr unsigned kKeys = 100;
    std::mt19937 random(1);
    KeysInSlots table(slots);
    std::set<unsigned> model;
    for (int i = 0; i < 20000; ++i) {
        const auto key = static_cast<unsigned>(random() % kKeys);
        if (model.count(key) != 0) {
            table.erase(key);
            model.erase(key);
        } else if (model.size() + 1 < slots) {  // one stays free
            table.insert(key);
            model.insert(key);
        }
        ASSERT_EQ(table.count(), model.size());
        for (unsigned k = 0; k < kKeys; ++k) ASSERT_EQ(table.contains(k), model.count(k) != 0);
    }
}

}  // namespace
}  // namespace wye
