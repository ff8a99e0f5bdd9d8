#include "drivers/ethdev/hugepages.hh"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/mman.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace wye::drivers {
namespace {

constexpr std::uint64_t kPageMegabytes = 2;
constexpr const char* kNodePool = "/hugepages/hugepages-2048kB/";
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

/// One page more: EAL rounds its own needs up.
std::uint64_t pages_for(std::uint32_t megabytes) {
    return (megabytes + kPageMegabytes - 1) / kPageMegabytes + 1;
}

/// Free pages may be another's already: reserved and not touched yet.
Status try_mapping(std::uint64_t pages) {
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

/// Pages of one node.
class NodePool {
  public:
    NodePool(std::uint32_t node, const std::string& sys)
        : folder_(fmt::format("{}/devices/system/node/node{}", sys, node)), node_(node) {}

    /// Tries to have so many free; empty: there are. Else what is missing, in words.
    std::string provide(std::uint64_t wanted) {
        const auto free_pages = read_number(pool() + "free_hugepages");
        before_ = read_number(pool() + "nr_hugepages");
        if (!free_pages || !before_) {
            return fmt::format("NUMA node {} has no 2 MiB hugepages", node_);
        }
        if (*free_pages >= wanted) return {};
        const std::uint64_t all = *before_ + wanted - *free_pages;
        if (raise(all, wanted, (wanted - *free_pages) * (kPageMegabytes << 20))) return {};
        return fmt::format(
            "NUMA node {} lacks {} of {} hugepages of 2 MiB for its packet buffers, and they could "
            "not be "
            "had; lower memory.megabytes, or run: echo {} > {}nr_hugepages",
            node_, wanted - *free_pages, wanted, all, pool());
    }
    void put_back() const {
        if (raised_) std::ofstream(pool() + "nr_hugepages") << *before_ << std::endl;
    }

  private:
    [[nodiscard]] std::string pool() const { return folder_ + kNodePool; }

    bool raise(std::uint64_t all, std::uint64_t wanted, std::uint64_t bytes) {
        if (bytes > available() / 2) return false;
        std::ofstream(pool() + "nr_hugepages") << all << std::endl;
        raised_ = true;
        return read_number(pool() + "free_hugepages") >= wanted;
    }

    /// Bytes that could be had without swapping: what is free, and files that are not in use.
    [[nodiscard]] std::uint64_t available() const {
        std::ifstream file(folder_ + "/meminfo");  // "Node 1 MemFree:  1024 kB"
        std::string word;
        std::uint64_t kilobytes = 0, sum = 0;
        while (file >> word) {
            if ((word == "MemFree:" || word == "Inactive(file):") && file >> kilobytes) {
                sum += kilobytes << 10;
            }
        }
        return sum;
    }

    std::string folder_;
    std::uint32_t node_;
    std::optional<std::uint64_t> before_;
    bool raised_ = false;
};

}  // namespace

Status secure_hugepages(std::uint32_t megabytes) {
    const std::uint64_t pages = pages_for(megabytes);
    const auto free_pages = raise_to(pages);
    if (!free_pages) return fail("this kernel has no 2 MiB hugepages");
    if (*free_pages < pages) {
        return fail(
            fmt::format("{} hugepages of 2 MiB are needed, {} are free and nr_hugepages "
                        "could not be raised",
                        pages, *free_pages));
    }
    return try_mapping(pages);
}

Status raise_hugepages(std::span<const NodeMegabytes> nodes, const std::string& sys) {
    std::vector<NodePool> pools;
    std::vector<std::string> missing;
    for (const NodeMegabytes& one : nodes) {
        if (one.megabytes == 0) continue;
        std::string lack = pools.emplace_back(one.node, sys).provide(pages_for(one.megabytes));
        if (!lack.empty()) missing.push_back(std::move(lack));
    }
    if (missing.empty()) return {};
    for (const NodePool& pool : pools) pool.put_back();
    return fail(fmt::format("{}", fmt::join(missing, "; ")));
}

Status secure_hugepages(std::span<const NodeMegabytes> nodes) {
    std::uint64_t pages = 0;
    for (const NodeMegabytes& one : nodes) {
        if (one.megabytes > 0) pages += pages_for(one.megabytes);
    }
    return raise_hugepages(nodes).and_then([&] { return try_mapping(pages); });
}

}  // namespace wye::drivers
