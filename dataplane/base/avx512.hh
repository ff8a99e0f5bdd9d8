// The intrinsics for code that is compiled for AVX-512 within files that are not.
#pragma once

// GCC 12 takes what the intrinsics leave open on purpose for forgotten (its bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

namespace wye {

/// A constant in all lanes.
[[gnu::target("avx512f")]] inline __m512i all(std::uint32_t value) noexcept {
    return _mm512_set1_epi32(static_cast<int>(value));
}

}  // namespace wye
