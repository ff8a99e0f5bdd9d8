// InstructionSet: what of the CPU the fast path may use. All that is compiled for several instruction
// sets (lookups, ACL matching, admission) asks here, so that they agree, and so that an operator can
// forbid one: the environment variable WYE_INSTRUCTION_SET names the greatest one allowed. It is read
// once, when a variant is first chosen, which is before main().
#pragma once

#include <cstdlib>
#include <optional>
#include <string_view>

namespace wye {

/// Each one has what those before it have.
enum class InstructionSet : unsigned char {
    x86_64_v2,  // what all of wye is compiled for: SSE 4.2 and POPCNT
    avx2,       // AVX2, BMI and BMI2
    avx512,     // AVX-512 F, BW, DQ and VL, as in x86-64-v4
};

inline constexpr const char* kInstructionSetVariable = "WYE_INSTRUCTION_SET";

constexpr std::optional<InstructionSet> instruction_set_of(std::string_view name) noexcept {
    if (name == "x86-64-v2") return InstructionSet::x86_64_v2;
    if (name == "avx2") return InstructionSet::avx2;
    if (name == "avx512") return InstructionSet::avx512;
    return std::nullopt;
}

inline InstructionSet instruction_set_of_cpu() noexcept {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 &&
                      __builtin_cpu_supports("bmi2") != 0;
    const bool avx512 =
        __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
        __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
    if (!avx2) return InstructionSet::x86_64_v2;
    return avx512 ? InstructionSet::avx512 : InstructionSet::avx2;
}

/// Of the CPU's, as much as the variable allows. What it does not understand allows all: a program
/// whose business it is refuses such a value (wye-dataplane does).
inline InstructionSet instruction_set() noexcept {
    static const InstructionSet chosen = [] {
        const InstructionSet most = instruction_set_of_cpu();
        const char* const setting = std::getenv(kInstructionSetVariable);
        const auto limit = setting != nullptr ? instruction_set_of(setting) : std::nullopt;
        return limit && *limit < most ? *limit : most;
    }();
    return chosen;
}

/// PEXT takes hundreds of cycles on AMD's first two generations of Zen.
inline bool has_fast_pext() noexcept {
    __builtin_cpu_init();
    return instruction_set() >= InstructionSet::avx2 && __builtin_cpu_is("znver1") == 0 &&
           __builtin_cpu_is("znver2") == 0;
}

}  // namespace wye
