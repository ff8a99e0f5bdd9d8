#include "dataplane/main/tables.hh"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <functional>
#include <map>
#include <string_view>

namespace wye::dataplane {
namespace {

constexpr std::string_view kPrefix = "arena-";

std::optional<std::uint64_t> number_of(const std::string& name) {
    if (!name.starts_with(kPrefix)) return std::nullopt;
    std::uint64_t number = 0;
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, number);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return number;
}

/// Newest first.
std::map<std::uint64_t, std::string, std::greater<>> find_arenas(const std::string& run_dir) {
    std::map<std::uint64_t, std::string, std::greater<>> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(run_dir, ignored)) {
        if (const auto number = number_of(entry.path().filename().string())) {
            found.emplace(*number, entry.path().string());
        }
    }
    return found;
}

}  // namespace

Outcome<Tables> open_tables(const std::string& run_dir, const table::ArenaLimits& limits,
                            std::uint64_t instance, bool ids_kept) {
    const auto arenas = find_arenas(run_dir);
    std::optional<control::Predecessor> predecessor;
    std::vector<std::string> notes;
    for (const auto& [number, path] : arenas) {
        if (!predecessor && ids_kept) {
            if (auto mapping = table::ArenaMapping::open(path)) {
                notes.push_back(fmt::format("forwards from {} until the tables are rebuilt", path));
                predecessor.emplace(control::Predecessor{std::move(*mapping), path});
                continue;
            } else {
                notes.push_back("not forwarded from: " + mapping.error().text);
            }
        }
        std::error_code ignored;
        std::filesystem::remove(path, ignored);
    }
    const std::uint64_t next = arenas.empty() ? 1 : arenas.begin()->first + 1;
    const std::string path = fmt::format("{}/{}{}", run_dir, kPrefix, next);
    auto arena = table::ArenaWriter::create(path, limits, instance);
    if (!arena) return failure(ExitCode::run_dir, arena.error().text);
    return Tables{std::move(*arena), std::move(predecessor), std::move(notes)};
}

}  // namespace wye::dataplane
