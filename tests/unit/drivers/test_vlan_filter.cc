// VlanFilter: what a virtual function asks its PF for, and how it notices that it was reset without a
// word. The device is a set of VLANs behind a PF that answers or not.
#include "drivers/ethdev/vlan_filter.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

namespace wye::drivers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VlanFilterTest : public testing::Test {
  protected:
    int ask(std::uint16_t vlan, bool on) {
        if (!answers_ || refused_.contains(vlan)) return -EIO;
        if (on) {
            lets_through_.insert(vlan);
        } else {
            lets_through_.erase(vlan);
        }
        return 0;
    }
    std::vector<std::string> follow(const std::vector<std::uint16_t>& wanted) {
        return filter_.follow(3, wanted);
    }

    bool answers_ = true;
    std::set<std::uint16_t> refused_, lets_through_;
    VlanFilter filter_{[this](std::uint16_t port, std::uint16_t vlan, bool on) {
        EXPECT_EQ(port, 3);
        return ask(vlan, on);
    }};
};

TEST_F(VlanFilterTest, FollowsWhatIsWanted) {
    EXPECT_THAT(follow({0, 10, 20}), IsEmpty());
    EXPECT_THAT(follow({0, 20, 30}), IsEmpty());
    EXPECT_THAT(lets_through_, ElementsAre(0, 20, 30));
    EXPECT_FALSE(filter_.was_reset(3));
}

TEST_F(VlanFilterTest, TellsWhatIsRefusedOnceButNotOfPriorityTags) {
    refused_ = {0, 10};
    EXPECT_THAT(follow({0, 10, 20}), ElementsAre(HasSubstr("VLAN 10")));
    EXPECT_THAT(follow({0, 10, 20}), IsEmpty());
    EXPECT_FALSE(filter_.was_reset(3));
}

TEST_F(VlanFilterTest, APfThatDoesNotAnswerAnyMoreHasResetIt) {
    EXPECT_THAT(follow({0, 10}), IsEmpty());
    answers_ = false;
    EXPECT_TRUE(filter_.was_reset(3));
}

// The PF was down when the device was taken anew: all is refused, and later nothing tells that it came up.
TEST_F(VlanFilterTest, APfThatAnswersOnlyLaterHasResetItToo) {
    answers_ = false;
    (void)follow({0, 10});
    EXPECT_FALSE(filter_.was_reset(3)) << "it waits for the PF";
    answers_ = true;
    EXPECT_TRUE(filter_.was_reset(3));
    filter_.forget();
    EXPECT_THAT(follow({0, 10}), IsEmpty());
    EXPECT_FALSE(filter_.was_reset(3));
}

TEST_F(VlanFilterTest, WithoutAQuestionNothingIsConcluded) {
    answers_ = false;
    EXPECT_FALSE(filter_.was_reset(3));
}

}  // namespace
}  // namespace wye::drivers
