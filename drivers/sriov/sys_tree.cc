#include "drivers/sriov/sys_tree.hh"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

namespace wye::drivers {

std::optional<std::string> SysTree::read(const std::string& path) const {
    std::ifstream file(full(path));
    if (!file) return std::nullopt;
    std::string text(std::istreambuf_iterator<char>(file), {});
    if (file.bad()) return std::nullopt;
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

std::optional<std::uint32_t> SysTree::read_number(const std::string& path) const {
    const auto text = read(path);
    if (!text) return std::nullopt;
    const bool hexadecimal = text->starts_with("0x");
    const char* const first = text->data() + (hexadecimal ? 2 : 0);
    const char* const last = text->data() + text->size();
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(first, last, value, hexadecimal ? 16 : 10);
    if (error != std::errc{} || end != last) return std::nullopt;
    return value;
}

int SysTree::write(const std::string& path, const std::string& text) {
    // One write: sysfs takes each as a whole value.
    const int file = open(full(path).c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (file < 0) return errno;
    const ssize_t done = ::write(file, text.data(), text.size());
    const int error = done < 0 ? errno : 0;
    close(file);
    return error;
}

bool SysTree::exists(const std::string& path) const {
    std::error_code none;
    return std::filesystem::exists(full(path), none);
}

std::string SysTree::link_name(const std::string& path) const {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(full(path), error);
    return error ? std::string() : target.filename().string();
}

std::vector<std::string> SysTree::list(const std::string& path) const {
    std::vector<std::string> names;
    std::error_code error;
    for (auto entry = std::filesystem::directory_iterator(full(path), error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        names.push_back(entry->path().filename());
    }
    std::ranges::sort(names);
    return names;
}

}  // namespace wye::drivers
