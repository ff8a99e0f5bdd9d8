#include "dataplane/table/reason.hh"

#include <array>

namespace wye::table {
namespace {

struct Text {
    std::string_view name, words;
};

constexpr std::array<Text, kReasons> kTexts{{
#define WYE_REASON_TEXT(name, words) {#name, words},
    WYE_REASONS(WYE_REASON_TEXT)
#undef WYE_REASON_TEXT
}};

}  // namespace

std::string_view reason_name(Reason reason) noexcept {
    const auto i = static_cast<std::size_t>(reason);
    return i < kReasons ? kTexts[i].name : std::string_view("unknown");
}

std::string_view reason_words(Reason reason) noexcept {
    const auto i = static_cast<std::size_t>(reason);
    return i < kReasons ? kTexts[i].words : std::string_view("unknown reason");
}

}  // namespace wye::table
