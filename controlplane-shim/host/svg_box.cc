#include "controlplane-shim/host/svg_box.hh"

#include <fmt/format.h>

#include <algorithm>

namespace wye::host {
namespace {

constexpr double kGap = 8, kLine = 15, kCharacter = 6.7;  // pixels; of a 12-pixel sans-serif font

struct Row {
    std::size_t first, end;
    double width = 0, height = 0;
};

std::vector<Row> rows_of(const SvgBox& box) {
    std::vector<Row> rows;
    const std::size_t per_row = std::max<std::size_t>(box.row, 1);
    for (std::size_t first = 0; first < box.inside.size(); first += per_row) {
        Row row{first, std::min(first + per_row, box.inside.size())};
        for (std::size_t i = row.first; i < row.end; ++i) {
            const auto size = box.inside[i].size();
            row.width += size.width + (i > row.first ? kGap : 0);
            row.height = std::max(row.height, size.height);
        }
        rows.push_back(row);
    }
    return rows;
}

double head(const SvgBox& box) {
    return box.words.empty() ? kGap : kGap + kLine * static_cast<double>(box.words.size());
}

}  // namespace

std::string xml_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
        }
    }
    return out;
}

double text_width(std::string_view text) {
    return kCharacter * static_cast<double>(text.size());
}

SvgBox::Size SvgBox::size() const {
    Size size{least_width, head(*this)};
    for (const std::string& line : words) {
        size.width = std::max(size.width, text_width(line) + 2 * kGap);
    }
    for (const Row& one : rows_of(*this)) {
        size.width = std::max(size.width, one.width + 2 * kGap);
        size.height += one.height + kGap;
    }
    if (inside.empty()) size.height += kGap;
    return size;
}

void SvgBox::draw(double x, double y, Size size, std::string& out) const {
    if (!style.empty()) {
        out += fmt::format(
            "<rect class=\"{}\" x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\" "
            "rx=\"4\"/>\n",
            style, x, y, size.width, size.height);
    }
    double line = y + kGap + kLine - 4;
    for (const std::string& text : words) {
        out += fmt::format("<text class=\"{}\" x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n", style,
                           x + kGap, line, xml_text(text));
        line += kLine;
    }
    double top = y + head(*this);
    for (const Row& one : rows_of(*this)) {
        double left = x + kGap;
        for (std::size_t i = one.first; i < one.end; ++i) {
            const Size own = inside[i].size();
            inside[i].draw(left, top, {own.width, one.height}, out);
            left += own.width + kGap;
        }
        top += one.height + kGap;
    }
}

}  // namespace wye::host
