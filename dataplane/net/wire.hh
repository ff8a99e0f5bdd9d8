// Laying a wire format over packet bytes. Wire structs here consist of BigEndian and byte arrays
// only, so their alignment is 1 and they may lie at any offset.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace wye::net {

template <class T>
concept WireFormat = std::is_trivially_copyable_v<T> && alignof(T) == 1;

/// The T at `offset`, or nullptr unless all of it lies within `bytes`.
template <WireFormat T>
[[nodiscard]] const T* header_at(std::span<const std::byte> bytes, std::size_t offset) noexcept {
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return nullptr;
    return reinterpret_cast<const T*>(bytes.data() + offset);
}

/// The T at `data`; the caller knows that its bytes are there.
template <WireFormat T>
[[nodiscard]] T& header(std::byte* data) noexcept {
    return *reinterpret_cast<T*>(data);
}
template <WireFormat T>
[[nodiscard]] const T& header(const std::byte* data) noexcept {
    return *reinterpret_cast<const T*>(data);
}

}  // namespace wye::net
