// What happens before the first packet: the lock, the ledger of a predecessor, its tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "dataplane/main/run_dir.hh"
#include "dataplane/main/settle.hh"
#include "dataplane/main/tables.hh"

namespace {

using namespace wye;
using namespace wye::dataplane;
using table::LedgerRow;
using table::Reason;
using ::testing::HasSubstr;

class Start : public ::testing::Test {
  protected:
    void SetUp() override {
        folder_ = ::testing::TempDir() + "wye-drv-start-" + std::to_string(getpid());
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::string folder_;
};

TEST_F(Start, TheRunDirectoryIsMadeAndLockedForOneProcess) {
    const std::string run_dir = folder_ + "/a/b";
    auto lock = take_run_dir(run_dir);
    ASSERT_TRUE(lock.has_value()) << lock.error().text;
    const auto second = take_run_dir(run_dir);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, ExitCode::running);
    EXPECT_THAT(second.error().text, HasSubstr("process " + std::to_string(getpid())));
    lock->reset();
    EXPECT_TRUE(take_run_dir(run_dir).has_value());
}

TEST_F(Start, ADeadProcessHoldsNoLock) {
    const pid_t child = fork();
    if (child == 0) {
        const auto lock = take_run_dir(folder_);
        _exit(lock.has_value() ? 0 : 1);
    }
    int status = 1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    EXPECT_TRUE(take_run_dir(folder_).has_value());
}

TEST_F(Start, LeavingTakesTheLockAndTheSocketAwayAndNothingElse) {
    auto lock = take_run_dir(folder_);
    ASSERT_TRUE(lock.has_value());
    for (const char* name : {"/dataplane.sock", "/counters"}) std::ofstream(folder_ + name) << "x";
    leave_run_dir(folder_);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/lock"));
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/dataplane.sock"));
    EXPECT_TRUE(std::filesystem::exists(folder_ + "/counters"));
    EXPECT_TRUE(take_run_dir(folder_).has_value()) << "the old lock is of no file any more";
}

TEST_F(Start, ARunDirectoryThatCannotBeMadeIsRefused) {
    std::ofstream(folder_ + "/file") << "x";
    const auto lock = take_run_dir(folder_ + "/file/run");
    ASSERT_FALSE(lock.has_value());
    EXPECT_EQ(lock.error().code, ExitCode::run_dir);
}

std::uint64_t came(const LedgerRow& row) {
    return row.rx.get() + row.from_host.get() + row.generated.get() + row.moved_in.get();
}
std::uint64_t went(const LedgerRow& row) {
    std::uint64_t sum =
        row.tx.get() + row.punted.get() + row.consumed.get() + row.moved_out.get() + row.held.get();
    for (const auto& drop : row.drops) sum += drop.get();
    return sum;
}

TEST(Settle, WhatWasInsideIsBookedAsLost) {
    LedgerRow row;
    row.rx.add(100);
    row.tx.add(80);
    row.held.add(5);
    row.drops[static_cast<std::size_t>(Reason::no_route)].add(10);
    EXPECT_EQ(settle_row(row), 10u);
    EXPECT_EQ(row.held.get(), 0u);
    EXPECT_EQ(row.drops[static_cast<std::size_t>(Reason::restart_lost)].get(), 10u);
    EXPECT_EQ(came(row), went(row));
    EXPECT_EQ(settle_row(row), 0u) << "once is enough";
}

TEST(Settle, AnyRowBalancesAfterwards) {
    std::mt19937_64 random(1);  // NOLINT: the same rows each time
    for (int i = 0; i < 1000; ++i) {
        LedgerRow row;
        for (auto* cell :
             {&row.rx, &row.from_host, &row.generated, &row.moved_in, &row.tx, &row.punted,
              &row.consumed, &row.moved_out, &row.held, &row.drops[random() % table::kReasons]}) {
            cell->add(random() % 1000);
        }
        settle_row(row);
        EXPECT_EQ(came(row), went(row));
        EXPECT_EQ(row.held.get(), 0u);
    }
}

TEST_F(Start, EveryBlockIsSettled) {
    auto file = table::CounterFile::create_anonymous({2, 4, 4, 4, 4, 4, 4});
    ASSERT_TRUE(file.has_value());
    const auto tenant = file->claim(table::SlotKind::tenant, *ObjectName::from("red"));
    ASSERT_TRUE(tenant.has_value());
    for (const std::uint32_t worker : {0u, 1u}) {
        const auto block = file->block(WorkerId{worker});
        block.ports[2].rx.add(3);
        block.tenants[table::tenant_row(TenantId{*tenant})].rx.add(2);
        block.tenants[0].rx.add(1);
    }
    EXPECT_EQ(settle_ledger(*file), 6u);
    for (const std::uint32_t worker : {0u, 1u}) {
        const auto block = file->block(WorkerId{worker});
        for (const LedgerRow* row : {&block.ports[2], &block.tenants[0],
                                     &block.tenants[table::tenant_row(TenantId{*tenant})]}) {
            EXPECT_EQ(came(*row), went(*row));
        }
    }
}

table::ArenaLimits small_limits() {
    table::ArenaLimits limits;
    limits.tenants = limits.vrfs = limits.vports = limits.tunnels = 16;
    limits.nexthops = limits.groups = 16;
    limits.heap_bytes = 1u << 20;
    return limits;
}

class StartTables : public Start {
  protected:
    Tables open(std::uint64_t instance, bool ids_kept = true) const {
        TablesRequest request;
        request.run_dir = folder_;
        request.place.hugepages = false;
        request.place.limits = small_limits();
        request.process = instance;
        request.ids_kept = ids_kept;
        auto tables = open_tables(request);
        EXPECT_TRUE(tables.has_value()) << tables.error().text;
        return std::move(*tables);
    }
    std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
            names.push_back(entry.path().filename().string());
        }
        return names;
    }
};

TEST_F(StartTables, TheFirstHasNoPredecessor) {
    const Tables tables = open(1);
    EXPECT_FALSE(tables.predecessor.has_value());
    EXPECT_EQ(tables.arena.view().header().instance, 1u);
    EXPECT_THAT(files(), ::testing::ElementsAre("arena-1"));
}

TEST_F(StartTables, ACommittedArenaIsThePredecessor) {
    { open(1).arena.header().state = table::ArenaState::committed; }
    const Tables tables = open(2);
    ASSERT_TRUE(tables.predecessor.has_value());
    EXPECT_EQ(tables.predecessor->mapping.view().header().instance, 1u);
    EXPECT_THAT(tables.predecessor->path, ::testing::EndsWith("/arena-1"));
    EXPECT_THAT(files(), ::testing::UnorderedElementsAre("arena-1", "arena-2"));
}

TEST_F(StartTables, OneThatWasNeverCommittedIsPassedOver) {
    { open(1).arena.header().state = table::ArenaState::committed; }
    { open(2); }
    const Tables tables = open(3);
    ASSERT_TRUE(tables.predecessor.has_value());
    EXPECT_EQ(tables.predecessor->mapping.view().header().instance, 1u);
    EXPECT_THAT(files(), ::testing::UnorderedElementsAre("arena-1", "arena-3"));
}

TEST_F(StartTables, GarbageAndForeignFilesAreNoArenas) {
    std::ofstream(folder_ + "/arena-9") << "garbage";
    std::ofstream(folder_ + "/arena-x") << "somebody's";
    const Tables tables = open(1);
    EXPECT_FALSE(tables.predecessor.has_value());
    EXPECT_THAT(files(), ::testing::UnorderedElementsAre("arena-x", "arena-10"));
}

TEST_F(StartTables, WithoutTheIdsOfThenItsTablesMeanNothing) {
    { open(1).arena.header().state = table::ArenaState::committed; }
    const Tables tables = open(2, false);
    EXPECT_FALSE(tables.predecessor.has_value());
    EXPECT_THAT(files(), ::testing::ElementsAre("arena-2"));
}

}  // namespace
