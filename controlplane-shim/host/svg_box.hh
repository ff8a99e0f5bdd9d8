// Boxes in boxes, as SVG: each is as large as its words and what is in it.
#pragma once

#include <string>
#include <vector>

namespace wye::host {

struct SvgBox {
    std::string style;               // CSS class
    std::vector<std::string> words;  // lines, at the top
    std::vector<SvgBox> inside;      // below the words, in rows
    std::size_t row = 1;             // boxes in a row
    double least_width = 0;

    struct Size {
        double width = 0, height = 0;
    };
    [[nodiscard]] Size size() const;
    /// Appends rect and text elements; `size` may be more than its own.
    void draw(double x, double y, Size size, std::string& out) const;
};

/// What XML takes in text and attributes.
std::string xml_text(std::string_view text);
double text_width(std::string_view text);

}  // namespace wye::host
