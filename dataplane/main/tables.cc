#include "dataplane/main/tables.hh"

#include <fmt/format.h>
#include <unistd.h>

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

using Arenas = std::map<std::uint64_t, std::string, std::greater<>>;

std::optional<control::Predecessor> take_predecessor(const Arenas& arenas, bool ids_kept,
                                                     std::vector<std::string>& notes) {
    std::optional<control::Predecessor> predecessor;
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
        table::remove_arena(path);
    }
    if (!arenas.empty() && !predecessor) {
        notes.emplace_back("starts with empty tables, until wye-shim has filled them");
    }
    return predecessor;
}

/// In the folder, with a link to it at `path`. The link comes last: what it points to is an arena.
Result<table::ArenaWriter> create_in(const TableFolder& folder, const std::string& path,
                                     const TablesRequest& request) {
    const std::string file = fmt::format("{}/arena-{:016x}", folder.path, request.process);
    auto arena = table::ArenaWriter::create(file, request.place.limits, request.process);
    if (!arena) return arena;
    std::error_code error;
    std::filesystem::create_symlink(file, path, error);
    if (error) {
        (void)unlink(file.c_str());
        return fail(fmt::format("{} cannot be made: {}", path, error.message()));
    }
    return arena;
}

/// `folder` is given back where it was only chosen, not configured, and has no room after all.
Result<table::ArenaWriter> create_arena(std::optional<TableFolder>& folder, const std::string& path,
                                        const TablesRequest& request,
                                        std::vector<std::string>& notes) {
    if (folder) {
        remove_stale_arenas(*folder, request.run_dir);
        auto arena = create_in(*folder, path, request);
        if (arena) notes.push_back(fmt::format("tables are in {}", folder->path));
        if (arena || !request.place.folder.empty()) return arena;
        notes.push_back("tables are in ordinary memory: " + arena.error().text);
        folder.reset();
    }
    return table::ArenaWriter::create(path, request.place.limits, request.process);
}

}  // namespace

Outcome<Tables> open_tables(const TablesRequest& request) {
    std::vector<std::string> notes;
    const Arenas arenas = find_arenas(request.run_dir);
    auto predecessor = take_predecessor(arenas, request.ids_kept, notes);
    auto folder = choose_table_folder(request.place, notes);
    if (!folder) return failure(ExitCode::run_dir, folder.error().text);
    const std::uint64_t next = arenas.empty() ? 1 : arenas.begin()->first + 1;
    const std::string path = fmt::format("{}/{}{}", request.run_dir, kPrefix, next);
    auto arena = create_arena(*folder, path, request, notes);
    if (!arena) return failure(ExitCode::run_dir, arena.error().text);
    if (!*folder || !request.place.folder.empty()) {
        tidy_unused_folder(request.place, request.run_dir);
    }
    Descriptor lock = *folder ? std::move((*folder)->lock) : Descriptor();
    return Tables{std::move(*arena), std::move(predecessor), std::move(notes), std::move(lock)};
}

}  // namespace wye::dataplane
