// The word that was probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace wye::manifest {

/// The known word nearest to the given one; empty: none is near enough to have been meant.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

/// "did you mean mtu?" if one word is near, else "the keys here are: …".
std::string suggest(std::string_view word, std::span<const std::string_view> known);

}  // namespace wye::manifest
