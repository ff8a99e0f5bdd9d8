// The rows of each `show`: their keys, in the order and under the headings in which people see
// them. The contract between controlplane-shim/state, which makes the rows, and wyectl, which
// prints them.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wye::api {

struct Column {
    enum class Type : std::uint8_t { text, number };
    std::string_view key;
    std::string_view heading;  // with the unit, where there is one
    Type type;                 // numbers are right-aligned; `acls` and `nexthops` keys may be both
};

struct Show {
    std::string_view what;
    std::string_view words;  // one line for --help
    std::span<const Column> columns;
    std::span<const std::string_view> filters;
};

/// In the order of the help text.
std::span<const Show> shows() noexcept;
/// Null: there is no such thing to show.
const Show* find_show(std::string_view what) noexcept;
/// Empty for an unknown `what`. For `counters` only scope and name: see below.
std::span<const Column> columns_of(std::string_view what) noexcept;
std::span<const std::string_view> filters_of(std::string_view what) noexcept;

/// The scopes of `show counters` in order, and the cells of each (without scope and name).
std::span<const std::string_view> counter_scopes() noexcept;
std::span<const Column> columns_of_scope(std::string_view scope) noexcept;

/// Everything in which the answer does not keep to the contract; empty: it does. For tests of
/// whoever implements Service.
std::vector<std::string> check_rows(std::string_view what, const nlohmann::json& rows);

/// Why the filter does not fit `what`, one line each; empty: it does.
std::vector<std::string> check_filter(std::string_view what, const nlohmann::json& filter);

}  // namespace wye::api
