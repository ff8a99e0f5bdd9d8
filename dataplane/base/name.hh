// Name<N>: a bounded, zero-padded name inside fixed-size structs (rings, shared tables).
// Valid names are 1 to N-1 characters of [A-Za-z0-9._-]; anything else does not construct.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace wye {

constexpr bool is_name_character(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

template <std::size_t N>
struct Name {
    std::array<char, N> text{};

    static constexpr std::optional<Name> from(std::string_view view) noexcept {
        if (view.empty() || view.size() >= N) return std::nullopt;
        if (!std::all_of(view.begin(), view.end(), is_name_character)) return std::nullopt;
        Name name;
        std::copy(view.begin(), view.end(), name.text.begin());
        return name;
    }
    /// Bounded also if the bytes came from another process and lack their terminator.
    [[nodiscard]] constexpr std::string_view view() const noexcept {
        const auto end = std::find(text.begin(), text.end(), '\0');
        return {text.data(), static_cast<std::size_t>(end - text.begin())};
    }
    /// True for bytes from another process that make a name.
    [[nodiscard]] constexpr bool valid() const noexcept { return from(view()).has_value(); }
    friend constexpr bool operator==(const Name&, const Name&) noexcept = default;
};

/// Names of tenants, VRFs, vports, tunnels, ACLs, ports.
using ObjectName = Name<32>;

}  // namespace wye
