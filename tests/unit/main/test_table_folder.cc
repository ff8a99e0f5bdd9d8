// Where the tables lie: on a hugetlbfs of this test's own, limited in size, and in ordinary folders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "dataplane/main/tables.hh"
#include "dataplane/table/nexthop.hh"

namespace {

using namespace wye;
using namespace wye::dataplane;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr std::uint64_t kPages = 12;  // that the mount may have

table::ArenaLimits small_limits(std::uint64_t heap_bytes) {
    table::ArenaLimits limits;
    limits.tenants = limits.vrfs = limits.vports = limits.tunnels = 16;
    limits.nexthops = limits.groups = 16;
    limits.heap_bytes = heap_bytes;
    return limits;
}

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
        names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

class TableFolders : public ::testing::Test {
  protected:
    void SetUp() override {
        folder_ = ::testing::TempDir() + "wye-table-folder-" + std::to_string(getpid());
        request_.run_dir = folder_ + "/run";
        request_.place.instance = "one";
        request_.place.hugepages = false;
        request_.place.limits = small_limits(4 << 20);
        request_.process = 1;
        fs::create_directories(request_.run_dir);
        fs::create_directories(folder_ + "/tables");
    }
    void TearDown() override { fs::remove_all(folder_); }

    Tables open(bool commit = true) {
        auto tables = open_tables(request_);
        EXPECT_TRUE(tables.has_value()) << tables.error().text;
        if (commit) tables->arena.header().state = table::ArenaState::committed;
        request_.process += 1;
        return std::move(*tables);
    }
    [[nodiscard]] std::string own(const std::string& parent) const { return parent + "/wye-one"; }

    std::string folder_;
    TablesRequest request_;
};

TEST_F(TableFolders, AConfiguredFolderGetsTheFileAndRunDirALink) {
    request_.place.folder = folder_ + "/tables";
    const Tables tables = open();
    EXPECT_THAT(names_in(own(folder_ + "/tables")), ElementsAre("arena-0000000000000001"));
    EXPECT_EQ(fs::read_symlink(request_.run_dir + "/arena-1"),
              own(folder_ + "/tables") + "/arena-0000000000000001");
    struct stat info {};
    ASSERT_EQ(stat(own(folder_ + "/tables").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777u, 0750u);
    EXPECT_THAT(tables.notes, ElementsAre(HasSubstr("/tables/wye-one")));
}

TEST_F(TableFolders, TheOldTablesAreFoundWhereverTheyWere) {
    request_.place.folder = folder_ + "/tables";
    { open(); }
    request_.place.folder = "";
    {
        const Tables second = open();
        ASSERT_TRUE(second.predecessor.has_value());
        EXPECT_EQ(second.predecessor->mapping.view().header().instance, 1u);
        EXPECT_FALSE(fs::is_symlink(request_.run_dir + "/arena-2"));
        table::remove_arena(second.predecessor->path);  // as the control thread does after the swap
    }
    EXPECT_FALSE(fs::exists(own(folder_ + "/tables"))) << "nothing is in it any more";
    EXPECT_THAT(names_in(request_.run_dir), ElementsAre("arena-2"));
    request_.place.folder = folder_ + "/tables";
    const Tables third = open();
    ASSERT_TRUE(third.predecessor.has_value());
    EXPECT_EQ(third.predecessor->mapping.view().header().instance, 2u);
}

TEST_F(TableFolders, TheSuccessorLeavesNothingStale) {
    request_.place.folder = folder_ + "/tables";
    { open(false); }  // never committed
    std::ofstream(own(folder_ + "/tables") + "/arena-00000000000000ff") << "ended before the link";
    std::ofstream(own(folder_ + "/tables") + "/notes") << "somebody's";
    const Tables tables = open();
    EXPECT_FALSE(tables.predecessor.has_value());
    EXPECT_THAT(names_in(own(folder_ + "/tables")), ElementsAre("arena-0000000000000002", "notes"));
    EXPECT_THAT(names_in(request_.run_dir), ElementsAre("arena-2"));
}

TEST_F(TableFolders, AFolderIsForOneProcess) {
    request_.place.folder = folder_ + "/tables";
    const Tables first = open();
    TablesRequest other = request_;
    other.run_dir = folder_ + "/other";
    fs::create_directories(other.run_dir);
    const auto second = open_tables(other);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, ExitCode::run_dir);
    EXPECT_THAT(second.error().text, HasSubstr("another wye-dataplane's"));
    EXPECT_THAT(names_in(own(folder_ + "/tables")), ElementsAre("arena-0000000000000001"));
}

TEST_F(TableFolders, AConfiguredFolderThatIsNotThereIsRefused) {
    request_.place.folder = folder_ + "/nowhere";
    const auto tables = open_tables(request_);
    ASSERT_FALSE(tables.has_value());
    EXPECT_EQ(tables.error().code, ExitCode::run_dir);
    EXPECT_THAT(tables.error().text, HasSubstr("/nowhere/wye-one cannot be made"));
}

/// With a hugetlbfs of kPages, seen by this process alone.
class HugeTableFolders : public TableFolders {
  protected:
    void SetUp() override {
        TableFolders::SetUp();
        huge_ = folder_ + "/huge";
        fs::create_directories(huge_);
        if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
            mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
            GTEST_SKIP() << "needs root: a hugetlbfs is mounted in a mount namespace";
        }
        const std::string options = "pagesize=2M,size=" + std::to_string(kPages * 2) + "M";
        // Any other hugetlbfs of the machine would be chosen first.
        while (const auto other = find_hugetlbfs()) {
            if (umount2(other->c_str(), MNT_DETACH) != 0) break;
        }
        mounted_ = mount("none", huge_.c_str(), "hugetlbfs", 0, options.c_str()) == 0;
        if (!mounted_) GTEST_SKIP() << "needs a kernel with hugetlbfs: " << std::strerror(errno);
        if (free_huge_pages(huge_) < kPages) {
            GTEST_SKIP() << "needs " << kPages << " free huge pages of 2 MiB, there are "
                         << free_huge_pages(huge_);
        }
        request_.place.hugepages = true;
    }
    void TearDown() override {
        if (mounted_) umount2(huge_.c_str(), MNT_DETACH);
        TableFolders::TearDown();
    }
    std::string huge_;
    bool mounted_ = false;
};

TEST_F(HugeTableFolders, IsChosenWhereTheLimitsFit) {
    EXPECT_EQ(find_hugetlbfs(), huge_);
    EXPECT_EQ(free_huge_pages(huge_), kPages);
    { open(); }
    EXPECT_THAT(names_in(own(huge_)), ElementsAre("arena-0000000000000001"));
    const Tables second = open();
    ASSERT_TRUE(second.predecessor.has_value());
    table::remove_arena(second.predecessor->path);
    EXPECT_THAT(names_in(own(huge_)), ElementsAre("arena-0000000000000002"));
}

TEST_F(HugeTableFolders, IsNotChosenWhereTheyDoNot) {
    request_.place.limits.heap_bytes = kPages * kHugePageBytes;  // and one for the arrays
    const Tables tables = open();
    EXPECT_THAT(names_in(request_.run_dir), ElementsAre("arena-1"));
    EXPECT_FALSE(fs::is_symlink(request_.run_dir + "/arena-1"));
    EXPECT_FALSE(fs::exists(own(huge_)));
    EXPECT_THAT(tables.notes, ElementsAre(HasSubstr("grow to 13 huge pages")));
}

TEST_F(HugeTableFolders, IsTidiedUpWhenNoLongerWanted) {
    { open(); }
    request_.place.hugepages = false;
    {
        const Tables second = open();
        ASSERT_TRUE(second.predecessor.has_value()) << "a changed setting loses nothing";
        EXPECT_TRUE(fs::exists(own(huge_)));
        table::remove_arena(second.predecessor->path);
    }
    EXPECT_FALSE(fs::exists(own(huge_)));
    // Its run directory is gone, so nobody will ask for it again.
    request_.place.hugepages = true;
    { open(); }
    fs::remove_all(request_.run_dir);
    fs::create_directories(request_.run_dir);
    request_.place.hugepages = false;
    { open(); }
    EXPECT_FALSE(fs::exists(own(huge_)));
    EXPECT_EQ(free_huge_pages(huge_), kPages) << "every page was given back";
}

struct Extent;

/// decision 5: no room is a refusal, never a SIGBUS.
TEST_F(HugeTableFolders, RunningOutOfPagesIsARefusal) {
    request_.place.folder = huge_;
    request_.place.limits.heap_bytes = 2 * kPages * kHugePageBytes;
    Tables tables = open();
    std::vector<table::Ref<Extent>> extents;
    constexpr std::size_t kBytes = 512 << 10;
    while (const auto extent = tables.arena.allocate<Extent>(kBytes)) {
        extents.push_back(extent);
        auto* memory = reinterpret_cast<std::byte*>(tables.arena.writable(extent));
        std::fill_n(memory, kBytes,
                    std::byte{0xa5});  // a page that is not there would end the test
    }
    EXPECT_EQ(free_huge_pages(huge_), 0u);
    EXPECT_EQ(extents.size(), (kPages - 1) * 4);
    EXPECT_FALSE(tables.arena.allocate<Extent>(64));
    ASSERT_TRUE(tables.arena.back(tables.arena.header().nexthops, 15)) << "shares the first page";
    tables.arena.discard(extents.front(), kBytes);
    EXPECT_TRUE(tables.arena.allocate<Extent>(64)) << "what is given back is used again";
}

TEST_F(HugeTableFolders, AnArrayWithoutPagesIsARefusalToo) {
    request_.place.folder = huge_;
    request_.place.limits.nexthops = 1 << 20;  // 64 MiB and more: not all of it fits
    Tables tables = open();
    const auto nexthops = tables.arena.header().nexthops;
    std::uint32_t index = 0;
    while (index < (1u << 20) && tables.arena.back(nexthops, index)) {
        std::memset(static_cast<void*>(&tables.arena.record(nexthops, index)), 0xa5,
                    sizeof(table::NextHop));
        index += 1024;
    }
    EXPECT_LT(index, 1u << 20);
    EXPECT_EQ(free_huge_pages(huge_), 0u);
}

}  // namespace
