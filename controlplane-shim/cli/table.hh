// Rows of service.hh as tables for people: aligned, numbers to the right, columns that have no
// value in any row left out.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "controlplane-shim/api/columns.hh"

namespace wye::cli {

/// Lines with their ends; the first are the headings. Empty without rows.
std::string render_table(std::span<const api::Column> columns, const nlohmann::json& rows);

/// The whole answer of `show what`: one table, for `counters` one for each scope.
std::string render_show(std::string_view what, const nlohmann::json& rows);

/// The answer of `apply`: a line for each change and a sum.
std::string render_changes(const nlohmann::json& rows);

/// Without control characters: names and texts cannot drive the terminal.
std::string printable(std::string_view text);

}  // namespace wye::cli
