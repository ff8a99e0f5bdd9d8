#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "dataplane/table/counter_file.hh"

namespace wye::table {
namespace {

ObjectName name_of(std::string_view text) {
    return *ObjectName::from(text);
}

CounterLimits small_limits() {
    CounterLimits limits;
    limits.workers = 2;
    limits.ports = 4;
    limits.tenants = limits.vports = limits.tunnels = limits.vrfs = 8;
    limits.rules = 100;
    return limits;
}

class Path {
  public:
    Path() {
        std::string name = (std::filesystem::temp_directory_path() / "wye-count-XXXXXX").string();
        EXPECT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    ~Path() { std::filesystem::remove_all(folder_); }
    [[nodiscard]] std::string file() const { return (folder_ / "counters").string(); }

  private:
    std::filesystem::path folder_;
};

TEST(CounterFile, NamesKeepSlotsAndCountsAcrossARestart) {
    const Path path;
    bool kept = true;
    {
        auto file = CounterFile::open_or_create(path.file(), small_limits(), kept);
        ASSERT_TRUE(file) << file.error().text;
        EXPECT_FALSE(kept);
        struct stat info {};
        ASSERT_EQ(stat(path.file().c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777, 0640u);
        EXPECT_EQ(file->claim(SlotKind::vport, name_of("red")), 0u);
        EXPECT_EQ(file->claim(SlotKind::vport, name_of("blue")), 1u);
        EXPECT_EQ(file->claim(SlotKind::vrf, name_of("blue")), 0u);  // kinds do not mix
        EXPECT_EQ(file->claim_rules(name_of("edge"), 10), 0u);
        EXPECT_EQ(file->claim_rules(name_of("core"), 20), 10u);
        file->block(WorkerId{1}).vports[1].rx.add(64);
        file->block(WorkerId{1}).rules[12].add(99);
    }
    auto file = CounterFile::open_or_create(path.file(), small_limits(), kept);
    ASSERT_TRUE(file);
    EXPECT_TRUE(kept);
    EXPECT_EQ(file->find(SlotKind::vport, "blue"), 1u);
    EXPECT_EQ(file->claim(SlotKind::vport, name_of("blue")), 1u);
    EXPECT_EQ(file->claim(SlotKind::vport, name_of("green")), 2u);
    EXPECT_EQ(file->block(WorkerId{1}).vports[1].rx.bytes.get(), 64u);
    EXPECT_EQ(file->claim_rules(name_of("core"), 20), 10u);
    EXPECT_EQ(file->block(WorkerId{1}).rules[12].bytes.get(), 99u);

    const auto reader = CounterFile::open_read_only(path.file());
    ASSERT_TRUE(reader) << reader.error().text;
    EXPECT_EQ(reader->find(SlotKind::vport, "green"), 2u);
    EXPECT_EQ(reader->name(SlotKind::vport, 1), "blue");
    EXPECT_EQ(reader->name(SlotKind::vport, 7), "");
    EXPECT_EQ(reader->name(SlotKind::vport, 1000), "");
    ASSERT_TRUE(reader->rules("core"));
    EXPECT_EQ(reader->rules("core")->count, 20u);
    EXPECT_EQ(reader->block(WorkerId{1}).vports[1].rx.packets.get(), 1u);
}

TEST(CounterFile, OtherLimitsOrGarbageStartAnew) {
    const Path path;
    bool kept = true;
    ASSERT_TRUE(CounterFile::open_or_create(path.file(), small_limits(), kept));
    CounterLimits more = small_limits();
    more.workers = 3;
    {
        auto file = CounterFile::open_or_create(path.file(), more, kept);
        ASSERT_TRUE(file);
        EXPECT_FALSE(kept);
        EXPECT_EQ(file->claim(SlotKind::tenant, name_of("red")), 0u);
    }
    std::filesystem::resize_file(path.file(), 5000);
    EXPECT_FALSE(CounterFile::open_read_only(path.file()));
    ASSERT_TRUE(CounterFile::open_or_create(path.file(), more, kept));
    EXPECT_FALSE(kept);
}

TEST(CounterFile, ReleasedSlotsStartFromZero) {
    auto file = CounterFile::create_anonymous(small_limits());
    ASSERT_TRUE(file);
    std::set<std::uint32_t> slots;
    for (int i = 0; i < 4; ++i) {
        slots.insert(*file->claim(SlotKind::port, name_of("port" + std::to_string(i))));
    }
    EXPECT_EQ(slots, (std::set<std::uint32_t>{0, 1, 2, 3}));
    EXPECT_FALSE(file->claim(SlotKind::port, name_of("port4")));  // full
    const PortId second{1};
    file->block(WorkerId{0}).ports[port_row(second)].rx.add(5);
    file->release(SlotKind::port, 1);
    EXPECT_EQ(file->find(SlotKind::port, "port1"), std::nullopt);
    EXPECT_EQ(file->claim(SlotKind::port, name_of("port4")), 1u);
    EXPECT_EQ(file->block(WorkerId{0}).ports[port_row(second)].rx.get(), 0u);
    file->release(SlotKind::port, 77);  // out of range: nothing
}

TEST(CounterFile, RuleRunsGrowMoveAndComeBack) {
    auto file = CounterFile::create_anonymous(small_limits());
    ASSERT_TRUE(file);
    ASSERT_EQ(file->claim_rules(name_of("a"), 40), 0u);
    ASSERT_EQ(file->claim_rules(name_of("b"), 40), 40u);
    EXPECT_FALSE(file->claim_rules(name_of("c"), 40));  // 20 left
    file->block(WorkerId{0}).rules[7].add(100);
    EXPECT_EQ(file->claim_rules(name_of("a"), 10), 0u);  // shrinks in place
    EXPECT_EQ(file->block(WorkerId{0}).rules[7].bytes.get(), 100u);
    EXPECT_EQ(file->claim_rules(name_of("a"), 40), 0u);
    file->release_rules(name_of("b"));
    EXPECT_EQ(file->claim_rules(name_of("a"), 50), 40u);  // moves, with its counts
    EXPECT_EQ(file->block(WorkerId{0}).rules[47].bytes.get(), 100u);
    EXPECT_EQ(file->rules("a")->count, 50u);
    EXPECT_EQ(file->claim_rules(name_of("d"), 40), 0u);
    EXPECT_EQ(file->block(WorkerId{0}).rules[7].bytes.get(), 0u);
    EXPECT_EQ(file->claim_rules(name_of("empty"), 0), 90u);
    EXPECT_FALSE(file->claim_rules(name_of("e"), 4096));
    EXPECT_EQ(file->rules("nobody"), std::nullopt);
}

TEST(Reason, EveryReasonHasANameAndWords) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < kReasons; ++i) {
        names.insert(reason_name(static_cast<Reason>(i)));
        EXPECT_FALSE(reason_words(static_cast<Reason>(i)).empty());
    }
    EXPECT_EQ(names.size(), kReasons);
    EXPECT_EQ(reason_name(Reason::no_route), "no_route");
}

}  // namespace
}  // namespace wye::table
