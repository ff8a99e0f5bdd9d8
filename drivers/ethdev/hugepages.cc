#include "drivers/ethdev/hugepages.hh"

#include <fmt/format.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>

namespace wye::drivers {
namespace {

constexpr std::uint64_t kPageMegabytes = 2;
constexpr const char* kPool = "/sys/kernel/mm/hugepages/hugepages-2048kB/";

std::optional<std::uint64_t> read_number(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    if (!(file >> value)) return std::nullopt;
    return value;
}

/// How many are free now, after an attempt to have `wanted` of them.
std::optional<std::uint64_t> raise_to(std::uint64_t wanted) {
    const std::string pool(kPool);
    const auto free_pages = read_number(pool + "free_hugepages");
    const auto all = read_number(pool + "nr_hugepages");
    if (!free_pages || !all || *free_pages >= wanted) return free_pages;
    std::ofstream(pool + "nr_hugepages") << *all + (wanted - *free_pages) << std::endl;
    return read_number(pool + "free_hugepages");
}

}  // namespace

Status secure_hugepages(std::uint32_t megabytes) {
    // One page more: EAL rounds its own needs up.
    const std::uint64_t pages = (megabytes + kPageMegabytes - 1) / kPageMegabytes + 1;
    const auto free_pages = raise_to(pages);
    if (!free_pages) return fail("this kernel has no 2 MiB hugepages");
    if (*free_pages < pages) {
        return fail(
            fmt::format("{} hugepages of 2 MiB are needed, {} are free and nr_hugepages "
                        "could not be raised",
                        pages, *free_pages));
    }
    const std::size_t bytes = pages * kPageMegabytes << 20;
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB;
    void* trial = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (trial == MAP_FAILED) {  // NOLINT: the macro casts
        return fail(fmt::format("{} hugepages of 2 MiB are free but cannot be mapped: {}", pages,
                                std::strerror(errno)));
    }
    munmap(trial, bytes);
    return {};
}

}  // namespace wye::drivers
