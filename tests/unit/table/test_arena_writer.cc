#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <vector>

#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/nexthop.hh"
#include "dataplane/table/vrf.hh"

namespace wye::table {
namespace {

struct Extent;  // any

ArenaLimits small_limits(std::uint64_t heap_bytes = 1 << 20) {
    ArenaLimits limits;
    limits.tenants = limits.vrfs = limits.vports = limits.tunnels = 64;
    limits.nexthops = limits.groups = 64;
    limits.heap_bytes = heap_bytes;
    return limits;
}

class Path {
  public:
    Path() : folder_(std::filesystem::temp_directory_path() / "wye-arena-XXXXXX") {
        std::string name = folder_.string();
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    ~Path() { std::filesystem::remove_all(folder_); }
    [[nodiscard]] std::string file() const { return (folder_ / "arena-1").string(); }

  private:
    std::filesystem::path folder_;
};

TEST(ArenaWriter, FileIsSparseAndOfMode0640) {
    const Path path;
    const mode_t before = umask(0077);
    auto arena = ArenaWriter::create(path.file(), ArenaLimits{}, 7);
    umask(before);
    ASSERT_TRUE(arena) << arena.error().text;
    struct stat info {};
    ASSERT_EQ(stat(path.file().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640u);
    EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), arena->header().size.load());
    EXPECT_GT(info.st_size, 32 << 20);         // arrays of the default limits
    EXPECT_LT(info.st_blocks * 512, 2 << 20);  // of which hardly anything has memory
    EXPECT_EQ(arena->header().state.load(), ArenaState::building);
    EXPECT_EQ(arena->header().instance, 7u);
}

TEST(ArenaWriter, RefusesAnExistingFileAndImpossibleLimits) {
    const Path path;
    ASSERT_TRUE(ArenaWriter::create(path.file(), small_limits(), 1));
    EXPECT_FALSE(ArenaWriter::create(path.file(), small_limits(), 1));
    EXPECT_TRUE(std::filesystem::exists(path.file()));  // and leaves it alone
    ArenaLimits huge = small_limits();
    huge.heap_bytes = std::uint64_t{1} << 40;
    const auto refused = ArenaWriter::create(path.file() + "b", huge, 1);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("heap_bytes"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(path.file() + "b"));
}

TEST(ArenaWriter, RecordsAreZeroAndBackedOnRequest) {
    auto arena = ArenaWriter::create_anonymous(ArenaLimits{});
    ASSERT_TRUE(arena);
    const auto vrfs = arena->header().vrfs;
    struct stat before {
    }, after{};
    fstat(arena->descriptor(), &before);
    ASSERT_TRUE(arena->back(vrfs, 5000));
    ASSERT_TRUE(arena->back(vrfs, 5001));  // same page
    fstat(arena->descriptor(), &after);
    EXPECT_EQ((after.st_blocks - before.st_blocks) * 512, 4096);
    EXPECT_EQ(arena->record(vrfs, 5000).generation, 0u);
    arena->record(vrfs, 5000).vni = 42;
    EXPECT_EQ(arena->view().record(vrfs, 5000).vni, 42u);
}

// Random allocations of the sizes that tables use, against a map of what is taken: no overlap, the
// content stays, all memory comes back and joins.
TEST(ArenaWriter, RandomAllocationsAgainstAModel) {
    auto arena = ArenaWriter::create_anonymous(small_limits(8 << 20));
    ASSERT_TRUE(arena);
    const std::size_t everything = arena->free_bytes();
    std::mt19937 random(1);
    struct Taken {
        std::size_t bytes;
        unsigned char pattern;
    };
    std::map<std::uint32_t, Taken> taken;
    unsigned refused = 0;
    for (int i = 0; i < 200000; ++i) {
        if (taken.empty() || random() % 100 < 52) {
            const std::size_t bytes =
                random() % 50 == 0 ? 1 + random() % 300000 : 1 + random() % 1500;
            const auto ref = arena->allocate<Extent>(bytes);
            if (!ref) {
                ++refused;
                continue;
            }
            auto* memory = reinterpret_cast<unsigned char*>(arena->writable(ref));
            for (std::size_t b = 0; b < bytes; b += 64) ASSERT_EQ(memory[b], 0);
            ASSERT_EQ(memory[bytes - 1], 0);
            const auto pattern = static_cast<unsigned char>(1 + random() % 255);
            std::memset(memory, pattern, bytes);
            const auto next = taken.lower_bound(ref.unit);
            if (next != taken.end()) {
                ASSERT_LE(ref.unit + (bytes + 63) / 64, next->first);
            }
            if (next != taken.begin()) {
                const auto previous = std::prev(next);
                ASSERT_LE(previous->first + (previous->second.bytes + 63) / 64, ref.unit);
            }
            taken.emplace(ref.unit, Taken{bytes, pattern});
        } else {
            auto victim = taken.lower_bound(static_cast<std::uint32_t>(random() % 140000));
            if (victim == taken.end()) victim = taken.begin();
            const Ref<Extent> ref{victim->first};
            const auto* memory = reinterpret_cast<unsigned char*>(arena->writable(ref));
            ASSERT_EQ(memory[0], victim->second.pattern);
            ASSERT_EQ(memory[victim->second.bytes - 1], victim->second.pattern);
            arena->discard(ref, victim->second.bytes);
            taken.erase(victim);
        }
    }
    EXPECT_GT(refused, 0u);  // the heap was full at times
    for (const auto& [unit, what] : taken) arena->discard(Ref<Extent>{unit}, what.bytes);
    EXPECT_EQ(arena->used_bytes(), 0u);
    EXPECT_EQ(arena->free_bytes(), everything);
    EXPECT_TRUE(arena->allocate<Extent>(everything));  // one run again
}

TEST(ArenaWriter, RetiredMemoryWaitsForItsEpoch) {
    auto arena = ArenaWriter::create_anonymous(small_limits(64 << 10));
    ASSERT_TRUE(arena);
    const auto first = arena->allocate<Extent>(32 << 10);
    const auto second = arena->allocate<Extent>(32 << 10);
    ASSERT_TRUE(first && second);
    EXPECT_FALSE(arena->allocate<Extent>(64));
    arena->retire(first, 32 << 10);
    arena->release_through(100);  // not sealed: no epoch says that it is unreachable
    EXPECT_FALSE(arena->allocate<Extent>(64));
    arena->seal(5);
    arena->retire(second, 32 << 10);
    arena->seal(6);
    EXPECT_EQ(arena->retired_bytes(), 64u << 10);
    EXPECT_EQ(arena->used_bytes(), 0u);
    EXPECT_EQ(arena->free_bytes(), 0u);
    arena->release_through(4);
    EXPECT_FALSE(arena->allocate<Extent>(64));
    arena->release_through(5);
    EXPECT_EQ(arena->allocate<Extent>(32 << 10), first);
    EXPECT_FALSE(arena->allocate<Extent>(64));
    arena->release_through(6);
    EXPECT_EQ(arena->retired_bytes(), 0u);
    EXPECT_EQ(arena->allocate<Extent>(32 << 10), second);
}

TEST(ArenaMapping, ReadsWhatWasCommittedAndWhatIsAddedLater) {
    const Path path;
    auto arena = ArenaWriter::create(path.file(), small_limits(8 << 20), 9);
    ASSERT_TRUE(arena);
    const auto uncommitted = ArenaMapping::open(path.file());
    ASSERT_FALSE(uncommitted);
    EXPECT_NE(uncommitted.error().text.find("never committed"), std::string::npos);
    ASSERT_TRUE(arena->back(arena->header().vrfs, 3));
    arena->record(arena->header().vrfs, 3).vni = 77;
    arena->header().state.store(ArenaState::committed);
    const auto mapping = ArenaMapping::open(path.file());
    ASSERT_TRUE(mapping) << mapping.error().text;
    const ArenaView view = mapping->view();
    EXPECT_EQ(view.record(view.header().vrfs, 3).vni, 77u);
    const auto late = arena->allocate<std::uint64_t>(3 << 20);  // the file grows
    *arena->writable(late) = 0x1234;
    const auto* seen = view.checked(late, 3 << 20);
    ASSERT_NE(seen, nullptr);
    EXPECT_EQ(*seen, 0x1234u);
    EXPECT_EQ(view.checked(Ref<std::uint64_t>{0x7fffffff}), nullptr);
    EXPECT_EQ(view.checked(Ref<std::uint64_t>{}), nullptr);
}

TEST(ArenaWriter, OnHugetlbfsSizesAreItsPages) {
    const char* folder = std::getenv("WYE_TEST_HUGETLBFS");
    if (folder == nullptr) {
        GTEST_SKIP()
            << "needs WYE_TEST_HUGETLBFS: a folder on hugetlbfs with 4 free pages of 2 MiB";
    }
    const std::string path = std::string(folder) + "/wye-test-arena";
    std::filesystem::remove(path);
    {
        auto arena = ArenaWriter::create(path, small_limits(4 << 20), 1);
        ASSERT_TRUE(arena) << arena.error().text;
        constexpr std::size_t kHugePage = 2 << 20;
        EXPECT_EQ(arena->header().size.load() % kHugePage, 0u);
        ASSERT_TRUE(arena->back(arena->header().nexthops, 63));
        const auto extent = arena->allocate<std::uint64_t>(3 << 20);
        ASSERT_TRUE(extent);
        *arena->writable(extent) = 5;
        EXPECT_EQ(arena->header().size.load(), 3 * kHugePage);
        EXPECT_FALSE(arena->allocate<std::uint64_t>(3 << 20));  // beyond the limit
        arena->header().state.store(ArenaState::committed);
        const auto mapping = ArenaMapping::open(path);
        ASSERT_TRUE(mapping) << mapping.error().text;
        EXPECT_EQ(*mapping->view().at(extent), 5u);
    }
    std::filesystem::remove(path);
}

TEST(ArenaMapping, RefusesWhatIsNotAnArena) {
    const Path path;
    EXPECT_FALSE(ArenaMapping::open(path.file()));
    std::ofstream(path.file()) << "short";
    EXPECT_FALSE(ArenaMapping::open(path.file()));
    std::ofstream(path.file()) << std::string(100000, 'x');
    EXPECT_FALSE(ArenaMapping::open(path.file()));
    std::filesystem::remove(path.file());
    {
        auto arena = ArenaWriter::create(path.file(), small_limits(), 9);
        ASSERT_TRUE(arena);
        ASSERT_TRUE(arena->allocate<Extent>(1000));
        arena->header().state.store(ArenaState::committed);
        ASSERT_TRUE(ArenaMapping::open(path.file()));
        arena->header().layout += 1;
        const auto other = ArenaMapping::open(path.file());
        ASSERT_FALSE(other);
        EXPECT_NE(other.error().text.find("layout"), std::string::npos);
        arena->header().layout -= 1;
        arena->header().limits.vports += 1000;
        EXPECT_FALSE(ArenaMapping::open(path.file()));
        arena->header().limits.vports -= 1000;
        ASSERT_TRUE(ArenaMapping::open(path.file()));
    }
    ASSERT_EQ(truncate(path.file().c_str(), 16384), 0);
    EXPECT_FALSE(ArenaMapping::open(path.file()));
}

}  // namespace
}  // namespace wye::table
