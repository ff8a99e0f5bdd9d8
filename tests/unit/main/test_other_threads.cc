// Where threads that are no workers may run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <latch>
#include <thread>

#include "dataplane/main/other_threads.hh"

namespace {

using namespace wye::dataplane;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(OtherThreads, RunWhereThePlanHasThem) {
    EXPECT_THAT(cpus_for_others({4, 5}, {0, 1, 2, 3, 4, 5}, {2, 3}), ElementsAre(4, 5));
    EXPECT_THAT(cpus_for_others({4, 5, 6}, {0, 2, 5}, {2}), ElementsAre(5)) << "not allowed there";
}

TEST(OtherThreads, RunWhereWorkersAreNotIfThePlanCannotBeHad) {
    EXPECT_THAT(cpus_for_others({6}, {0, 1, 2}, {2}), ElementsAre(0, 1));
    EXPECT_THAT(cpus_for_others({}, {0, 1, 2}, {2}), ElementsAre(0, 1));
    EXPECT_THAT(cpus_for_others({1}, {1, 2}, {1}), ElementsAre(2)) << "a worker has come there";
    EXPECT_THAT(cpus_for_others({0}, {0}, {0}), IsEmpty());
}

Cpus cpus_of(pid_t thread) {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(sched_getaffinity(thread, sizeof set, &set), 0);
    Cpus cpus;
    for (std::uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return cpus;
}

TEST(OtherThreads, ArePinnedAlsoWhenTheyAreOlder) {
    const Cpus all = usable_cpus();
    ASSERT_THAT(all, testing::Not(IsEmpty()));
    std::latch begun(1), end(1);
    pid_t other = 0;
    std::thread thread([&] {
        other = gettid();
        begun.count_down();
        end.wait();
    });
    begun.wait();
    const auto threads = threads_of_process();
    EXPECT_THAT(threads, Contains(other));
    EXPECT_THAT(threads, Contains(gettid()));
    pin_threads(threads, {all.back()});
    EXPECT_THAT(cpus_of(other), ElementsAre(all.back()));
    EXPECT_THAT(cpus_of(gettid()), ElementsAre(all.back()));
    pin_threads(threads, {});
    EXPECT_THAT(cpus_of(other), ElementsAre(all.back())) << "nowhere to go: stays";
    pin_threads(threads, all);
    EXPECT_EQ(usable_cpus(), all);
    end.count_down();
    thread.join();
}

}  // namespace
