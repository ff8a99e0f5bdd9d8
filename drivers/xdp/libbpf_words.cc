#include "drivers/xdp/libbpf_words.hh"

#include <bpf/libbpf.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <vector>

namespace wye::drivers {
namespace {

std::string said;

int listen(libbpf_print_level level, const char* format, va_list arguments) {
    if (level != LIBBPF_WARN) return 0;
    va_list again;
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, again);
    va_end(again);
    if (length <= 0) return 0;
    std::vector<char> line(static_cast<std::size_t>(length) + 1);
    (void)std::vsnprintf(line.data(), line.size(), format, arguments);
    said.append(line.data());
    return length;
}

int silence(libbpf_print_level, const char*, va_list) {
    return 0;
}

std::string words_of(int error) {
    return std::strerror(error < 0 ? -error : error);
}

}  // namespace

LibbpfWords::LibbpfWords() {
    said.clear();
    libbpf_set_print(listen);
}

LibbpfWords::~LibbpfWords() {
    libbpf_set_print(silence);
}

std::string LibbpfWords::text(int error) const {
    if (said.empty()) return words_of(error);
    std::string all = said;
    while (all.ends_with('\n')) all.pop_back();
    return all;
}

std::string LibbpfWords::kernel(int error) const {
    constexpr std::string_view kMark = "Kernel error message: ";
    const auto begin = said.find(kMark);
    if (begin == std::string::npos) return words_of(error);
    const auto end = said.find('\n', begin);
    const std::string message = said.substr(begin + kMark.size(), end - begin - kMark.size());
    return message + " (" + words_of(error) + ")";
}

}  // namespace wye::drivers
