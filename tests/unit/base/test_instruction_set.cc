// Which instruction sets are allowed, by name; what the running program got is within it.
#include "dataplane/base/instruction_set.hh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace wye {
namespace {

TEST(InstructionSet, HasNames) {
    EXPECT_EQ(instruction_set_of("x86-64-v2"), InstructionSet::x86_64_v2);
    EXPECT_EQ(instruction_set_of("avx2"), InstructionSet::avx2);
    EXPECT_EQ(instruction_set_of("avx512"), InstructionSet::avx512);
    for (const char* other : {"", "AVX2", "avx", "avx5120", "x86-64"}) {
        EXPECT_FALSE(instruction_set_of(other)) << other;
    }
}

TEST(InstructionSet, IsTheCpusOrLess) {
    EXPECT_LE(instruction_set(), instruction_set_of_cpu());
    if (std::getenv(kInstructionSetVariable) == nullptr) {
        EXPECT_EQ(instruction_set(), instruction_set_of_cpu());
    }
}

// In a process of its own, since the choice is made once.
TEST(InstructionSetDeathTest, IsLimitedByTheVariable) {
    const auto with = [](const char* setting) {
        ::setenv(kInstructionSetVariable, setting, 1);
        std::exit(static_cast<int>(instruction_set()));
    };
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(with("x86-64-v2"), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(with("avx2"),
                testing::ExitedWithCode(
                    static_cast<int>(std::min(instruction_set_of_cpu(), InstructionSet::avx2))),
                "");
    EXPECT_EXIT(with("sse9"), testing::ExitedWithCode(static_cast<int>(instruction_set_of_cpu())),
                "");
}

}  // namespace
}  // namespace wye
