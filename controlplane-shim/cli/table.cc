#include "controlplane-shim/cli/table.hh"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace wye::cli {
namespace {

using api::Column;
using nlohmann::json;

constexpr std::string_view kGap = "  ";

std::string cell_text(const json& row, std::string_view key) {
    const auto value = row.find(std::string(key));
    if (value == row.end() || value->is_null()) return "-";
    if (value->is_string()) return printable(value->get_ref<const std::string&>());
    if (value->is_boolean()) return value->get<bool>() ? "yes" : "no";
    if (value->is_number_float()) return fmt::format("{:.1f}", value->get<double>());
    return printable(value->dump());
}

/// Characters, not bytes: UTF-8 continuation bytes take no place.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

struct Laid {
    const Column* column;
    std::vector<std::string> cells;  // the heading first
    std::size_t width;
};

std::vector<Laid> lay_out(std::span<const Column> columns, const json& rows) {
    std::vector<Laid> laid;
    for (const Column& column : columns) {
        Laid one{&column, {std::string(column.heading)}, width(column.heading)};
        bool any = false;
        for (const json& row : rows) {
            one.cells.push_back(cell_text(row, column.key));
            any = any || one.cells.back() != "-";
            one.width = std::max(one.width, width(one.cells.back()));
        }
        if (any) laid.push_back(std::move(one));
    }
    return laid;
}

std::string line_of(const std::vector<Laid>& laid, std::size_t index) {
    std::string line;
    for (const Laid& one : laid) {
        const std::string& cell = one.cells[index];
        const std::string padding(one.width - width(cell), ' ');
        if (!line.empty()) line += kGap;
        line += one.column->type == Column::Type::number ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

std::string upper(std::string_view word) {
    std::string out(word);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return out;
}

std::string render_counters(const json& rows) {
    std::string out;
    for (const std::string_view scope : api::counter_scopes()) {
        json of_scope = json::array();
        for (const json& row : rows) {
            if (row.is_object() && row.value("scope", "") == scope) of_scope.push_back(row);
        }
        if (of_scope.empty()) continue;
        const std::string heading = upper(scope);
        std::vector<Column> columns{{"name", heading, Column::Type::text}};
        const auto cells = api::columns_of_scope(scope);
        columns.insert(columns.end(), cells.begin(), cells.end());
        if (!out.empty()) out += "\n";
        out += render_table(columns, of_scope);
    }
    return out;
}

}  // namespace

std::string printable(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) c = '?';
    }
    return out;
}

std::string render_table(std::span<const Column> columns, const json& rows) {
    if (!rows.is_array() || rows.empty()) return {};
    const auto laid = lay_out(columns, rows);
    std::string out;
    for (std::size_t i = 0; i <= rows.size(); ++i) out += line_of(laid, i);
    return out;
}

std::string render_show(std::string_view what, const json& rows) {
    const std::string table =
        what == "counters" ? render_counters(rows) : render_table(api::columns_of(what), rows);
    return table.empty() ? fmt::format("no {}\n", what) : table;
}

std::string render_changes(const json& rows) {
    std::string out;
    for (const json& row : rows) {
        out += fmt::format("{} {} {}\n", cell_text(row, "change"), cell_text(row, "kind"),
                           cell_text(row, "name"));
    }
    const std::size_t count = rows.size();
    if (count == 0) return "nothing to change\n";
    return out + fmt::format("{} change{}\n", count, count == 1 ? "" : "s");
}

}  // namespace wye::cli
