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

/// Of the whole machine, bytes that could be had without swapping.
std::uint64_t available_memory() {
    std::ifstream file("/proc/meminfo");
    std::string word;
    std::uint64_t kilobytes = 0;
    while (file >> word) {
        if (word == "MemAvailable:" && file >> kilobytes) return kilobytes << 10;
    }
    return 0;
}

/// Pages that are free now, after an attempt to have `wanted` of them. An attempt that does not get
/// them all is taken back, and one that would take most of the machine's memory is not made.
std::optional<std::uint64_t> raise_to(std::uint64_t wanted) {
    const std::string pool(kPool);
    const auto free_pages = read_number(pool + "free_hugepages");
    const auto all = read_number(pool + "nr_hugepages");
    if (!free_pages || !all || *free_pages >= wanted) return free_pages;
    const std::uint64_t missing = wanted - *free_pages;
    if (missing * (kPageMegabytes << 20) > available_memory() / 2) return free_pages;
    std::ofstream(pool + "nr_hugepages") << *all + missing << std::endl;
    const auto now = read_number(pool + "free_hugepages");
    if (now < wanted) std::ofstream(pool + "nr_hugepages") << *all << std::endl;
    return now < wanted ? free_pages : now;
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
