// AVX2: a block's column is two registers.
#include <immintrin.h>

#include <cstdint>

#define WYE_ACL_TARGET __attribute__((target("avx2,bmi2,bmi")))

#include "dataplane/table/acl_match_kernel.hh"

namespace wye::table {
namespace {

struct Simd {
    WYE_ACL_TARGET static std::uint64_t extract(std::uint64_t key, std::uint64_t mask) noexcept {
        return _pext_u64(key, mask);
    }

    /// Four rules of column `number`.
    WYE_ACL_TARGET static __m256i column(const std::uint64_t* block,
                                         std::uint32_t number) noexcept {
        return _mm256_load_si256(reinterpret_cast<const __m256i*>(block + 8 * number));
    }

    WYE_ACL_TARGET static unsigned match_half(const std::uint64_t* words, std::uint64_t layer4,
                                              const std::uint64_t* block,
                                              std::uint32_t address_words) noexcept {
        __m256i differs = _mm256_setzero_si256();
        for (std::uint32_t i = 0; i < address_words; ++i) {
            const __m256i key = _mm256_set1_epi64x(static_cast<long long>(words[i]));
            const __m256i bits = _mm256_xor_si256(key, column(block, 2 * i));
            differs = _mm256_or_si256(differs, _mm256_and_si256(bits, column(block, 2 * i + 1)));
        }
        const std::uint64_t* const last = block + 16 * address_words;
        const __m256i key =
            _mm256_and_si256(_mm256_set1_epi64x(static_cast<long long>(layer4)), column(last, 0));
        const __m256i within =
            _mm256_min_epu16(_mm256_max_epu16(key, column(last, 1)), column(last, 2));
        differs = _mm256_or_si256(differs, _mm256_xor_si256(key, within));
        const __m256i equal = _mm256_cmpeq_epi64(differs, _mm256_setzero_si256());
        return static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(equal)));
    }

    WYE_ACL_TARGET static unsigned match_block(const std::uint64_t* words, std::uint64_t layer4,
                                               const std::uint64_t* block,
                                               std::uint32_t address_words) noexcept {
        return match_half(words, layer4, block, address_words) |
               match_half(words, layer4, block + 4, address_words) << 4;
    }
};

}  // namespace

constinit const AclMatcher kAclMatcherAvx2 = acl_matcher<Simd>("AVX2");

}  // namespace wye::table
