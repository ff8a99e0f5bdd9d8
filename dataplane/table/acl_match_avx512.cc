// AVX-512: a block's column is one register, the comparison's answer a mask.
#include <immintrin.h>

#include <cstdint>

#define WYE_ACL_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi2,lzcnt,bmi")))

#include "dataplane/table/acl_match_kernel.hh"

namespace wye::table {
namespace {

struct Simd {
    WYE_ACL_TARGET static std::uint64_t extract(std::uint64_t key, std::uint64_t mask) noexcept {
        return _pext_u64(key, mask);
    }

    WYE_ACL_TARGET static __m512i column(const std::uint64_t* block,
                                         std::uint32_t number) noexcept {
        return _mm512_load_si512(block + 8 * number);
    }

    WYE_ACL_TARGET static unsigned match_block(const std::uint64_t* words, std::uint64_t layer4,
                                               const std::uint64_t* block,
                                               std::uint32_t address_words) noexcept {
        __mmask8 rules = 0xff;
        for (std::uint32_t i = 0; i < address_words; ++i) {
            const __m512i key = _mm512_set1_epi64(static_cast<long long>(words[i]));
            const __m512i differs = _mm512_xor_si512(key, column(block, 2 * i));
            rules = _mm512_mask_testn_epi64_mask(rules, differs, column(block, 2 * i + 1));
        }
        const std::uint64_t* const last = block + 16 * address_words;
        const __m512i key =
            _mm512_and_si512(_mm512_set1_epi64(static_cast<long long>(layer4)), column(last, 0));
        const __m512i within =
            _mm512_min_epu16(_mm512_max_epu16(key, column(last, 1)), column(last, 2));
        return _mm512_mask_cmpeq_epi64_mask(rules, key, within);
    }
};

}  // namespace

constinit const AclMatcher kAclMatcherAvx512 = acl_matcher<Simd>("AVX-512");

}  // namespace wye::table
