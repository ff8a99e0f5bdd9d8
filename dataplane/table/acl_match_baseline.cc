// Any x86-64-v2: a block's column is four registers, and bits are extracted one by one. Also for
// CPUs whose PEXT is microcode (AMD before Zen 3).
#include <smmintrin.h>

#include <cstdint>

#include "dataplane/table/acl_match_kernel.hh"

namespace wye::table {
namespace {

struct Simd {
    static std::uint64_t extract(std::uint64_t key, std::uint64_t mask) noexcept {
        if (key == 0) return 0;  // every leaf
        std::uint64_t bits = 0;
        for (unsigned at = 0; mask != 0; ++at, mask &= mask - 1) {
            bits |= static_cast<std::uint64_t>((key & mask & (~mask + 1)) != 0) << at;
        }
        return bits;
    }

    /// Two rules of column `number`.
    static __m128i column(const std::uint64_t* block, std::uint32_t number) noexcept {
        return _mm_load_si128(reinterpret_cast<const __m128i*>(block + 8 * number));
    }

    static unsigned match_two(const std::uint64_t* words, std::uint64_t layer4,
                              const std::uint64_t* block, std::uint32_t address_words) noexcept {
        __m128i differs = _mm_setzero_si128();
        for (std::uint32_t i = 0; i < address_words; ++i) {
            const __m128i key = _mm_set1_epi64x(static_cast<long long>(words[i]));
            const __m128i bits = _mm_xor_si128(key, column(block, 2 * i));
            differs = _mm_or_si128(differs, _mm_and_si128(bits, column(block, 2 * i + 1)));
        }
        const std::uint64_t* const last = block + 16 * address_words;
        const __m128i key =
            _mm_and_si128(_mm_set1_epi64x(static_cast<long long>(layer4)), column(last, 0));
        const __m128i within = _mm_min_epu16(_mm_max_epu16(key, column(last, 1)), column(last, 2));
        differs = _mm_or_si128(differs, _mm_xor_si128(key, within));
        const __m128i equal = _mm_cmpeq_epi64(differs, _mm_setzero_si128());
        return static_cast<unsigned>(_mm_movemask_pd(_mm_castsi128_pd(equal)));
    }

    static unsigned match_block(const std::uint64_t* words, std::uint64_t layer4,
                                const std::uint64_t* block, std::uint32_t address_words) noexcept {
        unsigned rules = 0;
        for (unsigned at = 0; at < 8; at += 2) {
            rules |= match_two(words, layer4, block + at, address_words) << at;
        }
        return rules;
    }
};

}  // namespace

constinit const AclMatcher kAclMatcherBaseline = acl_matcher<Simd>("x86-64-v2");

}  // namespace wye::table
