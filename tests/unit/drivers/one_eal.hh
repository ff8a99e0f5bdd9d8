// DPDK's environment for all tests of a program: it can be started once in a process.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "drivers/ethdev/eal.hh"

namespace wye::drivers {

class OneEal : public ::testing::Environment {
  public:
    explicit OneEal(std::string name, std::uint32_t megabytes = 96)
        : name_(std::move(name)), megabytes_(megabytes) {}

  protected:
    void SetUp() override {
        EalOptions options;
        options.instance = name_ + "-" + std::to_string(getpid());
        options.hugepages = HugepagePolicy::never;
        options.megabytes = megabytes_;
        const auto started = start_eal(options);
        ASSERT_TRUE(started.has_value()) << started.error().text;
        EXPECT_FALSE(started->hugepages);
    }
    void TearDown() override { stop_eal(); }

  private:
    std::string name_;
    std::uint32_t megabytes_;
};

}  // namespace wye::drivers
