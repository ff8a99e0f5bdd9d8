// AVX2: a block's keys are one register.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define WYE_FIB6_TARGET __attribute__((target("avx2,bmi,bmi2")))

namespace wye::table {
namespace {

constexpr std::size_t kFib6Lanes = 4;

WYE_FIB6_TARGET [[gnu::always_inline]] inline std::uint64_t skip_boundaries(
    const void* keys, std::uint16_t key) noexcept {
    const __m256i block = _mm256_load_si256(static_cast<const __m256i*>(keys));
    const __m256i wanted = _mm256_set1_epi16(static_cast<short>(key));
    const auto mask = static_cast<unsigned>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi16(_mm256_min_epu16(block, wanted), block)));
    return static_cast<unsigned>(__builtin_popcount(mask & 0x03ffffffu));
}

}  // namespace
}  // namespace wye::table

#include "dataplane/base/instruction_set.hh"
#include "dataplane/table/fib6_lookup_kernel.hh"

namespace wye::table {
namespace {

bool has_avx2() noexcept {
    return instruction_set() >= InstructionSet::avx2;
}

}  // namespace

const Fib6Variant kFib6Avx2{"AVX2", has_avx2, lookup_pages};

}  // namespace wye::table
