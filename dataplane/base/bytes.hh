// Big-endian integers as types: what is on the wire cannot be mixed up with what is in a register.
//
// A BigEndian<T> has alignment 1, so that wire formats are plain structs of them that can be laid
// over packet bytes at any offset. Loads and stores compile to one move and one byte swap.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace wye {

template <std::unsigned_integral T>
constexpr T byteswap(T value) noexcept {
    if constexpr (sizeof(T) == 1) {
        return value;
    } else if constexpr (sizeof(T) == 2) {
        return static_cast<T>(__builtin_bswap16(value));
    } else if constexpr (sizeof(T) == 4) {
        return static_cast<T>(__builtin_bswap32(value));
    } else {
        return static_cast<T>(__builtin_bswap64(value));
    }
}

/// Host order to network order and back (the same operation).
template <std::unsigned_integral T>
constexpr T swap_if_little(T value) noexcept {
    if constexpr (std::endian::native == std::endian::little) return byteswap(value);
    return value;
}

template <std::unsigned_integral T>
class BigEndian {
  public:
    constexpr BigEndian() noexcept = default;
    constexpr BigEndian(T host) noexcept  // NOLINT: a literal reads as its value
        : bytes_(std::bit_cast<Bytes>(swap_if_little(host))) {}

    /// The value in host order.
    [[nodiscard]] constexpr T host() const noexcept {
        return swap_if_little(std::bit_cast<T>(bytes_));
    }
    /// The value as it lies in memory: for checksums and comparisons that do not care.
    [[nodiscard]] constexpr T raw() const noexcept { return std::bit_cast<T>(bytes_); }
    static constexpr BigEndian from_raw(T raw) noexcept {
        BigEndian value;
        value.bytes_ = std::bit_cast<Bytes>(raw);
        return value;
    }
    friend constexpr bool operator==(const BigEndian&, const BigEndian&) noexcept = default;

  private:
    using Bytes = std::array<std::uint8_t, sizeof(T)>;
    Bytes bytes_{};
};

using Be16 = BigEndian<std::uint16_t>;
using Be32 = BigEndian<std::uint32_t>;
using Be64 = BigEndian<std::uint64_t>;

/// A word as it lies in memory, at any offset.
template <class Word>
inline Word load(const std::byte* data) noexcept {
    Word word;
    std::memcpy(&word, data, sizeof word);
    return word;
}
template <class Word>
inline void store(std::byte* data, Word word) noexcept {
    std::memcpy(data, &word, sizeof word);
}

static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);

}  // namespace wye
