// Arrays of all sizes with HugePages: large ones begin with a page, and what is in them stays as they
// grow and shrink over that border.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/huge_pages.hh"

namespace wye {
namespace {

struct alignas(64) Line {
    std::uint64_t value = 0;
};

template <class T>
bool is_aligned(const T* at, std::size_t to) {
    return reinterpret_cast<std::uintptr_t>(at) % to == 0;
}

TEST(HugePages, LargeArraysBeginWithOne) {
    constexpr std::size_t kLarge = HugePages<Line>::kPage / sizeof(Line);
    for (const std::size_t count : {std::size_t{1}, kLarge - 1, kLarge, 3 * kLarge + 5}) {
        const std::vector<Line, HugePages<Line>> lines(count);
        EXPECT_TRUE(
            is_aligned(lines.data(), count < kLarge ? alignof(Line) : HugePages<Line>::kPage));
    }
}

TEST(HugePages, ContentsStayAsArraysGrowAndShrink) {
    std::vector<Line, HugePages<Line>> lines;
    for (std::uint64_t i = 0; i < 100000; ++i) lines.push_back({i});
    lines.resize(20000);
    lines.shrink_to_fit();
    for (std::uint64_t i = 0; i < lines.size(); ++i) ASSERT_EQ(lines[i].value, i);
}

}  // namespace
}  // namespace wye
