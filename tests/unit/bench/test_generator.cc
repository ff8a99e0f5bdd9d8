// What wye-generator is made of: when frames are due, and what it says of latencies.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <vector>

#include "bench/rfc2544/histogram.hh"
#include "bench/rfc2544/pace.hh"
#include "bench/rfc2544/templates.hh"

namespace wye::rfc2544 {
namespace {

constexpr std::uint64_t kStart = 1'000'000'000'000;
constexpr std::uint64_t kLongestLag = 2'000'000;

TEST(Pace, FramesAreDueAtTheirTimes) {
    Pace pace(1e6, kStart, kLongestLag);  // one each microsecond
    EXPECT_EQ(pace.due(kStart, 0), 1u);
    EXPECT_EQ(pace.due(kStart + 999, 1), 1u);
    EXPECT_EQ(pace.due(kStart + 1000, 1), 2u);
    EXPECT_EQ(pace.due(kStart + 10'500, 2), 11u);
    EXPECT_EQ(pace.at(10), kStart + 10'000);
    EXPECT_EQ(pace.given_up_ns(), 0u);
}

TEST(Pace, ErrorsDoNotAddUp) {
    const double rate = 148'809.523;
    Pace pace(rate, kStart, kLongestLag);
    std::uint64_t sent = 0;
    for (std::uint64_t now = kStart; now <= kStart + 10'000'000'000; now += 777) {
        sent = std::max(sent, pace.due(now, sent));
    }
    EXPECT_NEAR(static_cast<double>(sent), rate * 10, 1.5);
    EXPECT_EQ(pace.given_up_ns(), 0u);
}

TEST(Pace, CatchesUpALittle) {
    Pace pace(1e6, kStart, kLongestLag);
    EXPECT_EQ(pace.due(kStart + kLongestLag, 0), kLongestLag / 1000 + 1);
    EXPECT_EQ(pace.given_up_ns(), 0u);
}

TEST(Pace, GivesUpWhatWouldBeABurst) {
    Pace pace(1e6, kStart, kLongestLag);
    const std::uint64_t asleep = 50'000'000;
    // After 100 frames it did not run for 50 ms: 2 ms of frames are owed, not 50.
    EXPECT_EQ(pace.due(kStart + 100'000 + asleep, 100), 100 + kLongestLag / 1000 + 1);
    EXPECT_EQ(pace.given_up_ns(), asleep - kLongestLag);
    // What follows is later by as much, and at the same rate.
    const std::uint64_t later = kStart + 100'000 + asleep + 1'000'000;
    EXPECT_EQ(pace.due(later, 2101), 100 + kLongestLag / 1000 + 1001);
    EXPECT_EQ(pace.given_up_ns(), asleep - kLongestLag);
}

TEST(Histogram, QuantilesAreThoseOfTheValues) {
    std::mt19937_64 random(7);
    for (const double spread : {1.0, 3.0, 6.0}) {
        Histogram histogram;
        std::vector<std::uint64_t> values;
        std::lognormal_distribution<double> draw(9, spread);
        for (int i = 0; i < 20'000; ++i) {
            values.push_back(static_cast<std::uint64_t>(std::min(draw(random), 1e18)));
            histogram.add(values.back());
        }
        std::sort(values.begin(), values.end());
        for (const double part : {0.0, 0.5, 0.9, 0.99, 0.999}) {
            const auto exact = static_cast<double>(
                values[static_cast<std::size_t>(part * static_cast<double>(values.size()))]);
            const auto said = static_cast<double>(histogram.quantile(part));
            EXPECT_GE(said, exact) << part;
            EXPECT_LE(said, exact * 1.035 + 1) << part;
        }
        EXPECT_EQ(histogram.least(), values.front());
        EXPECT_EQ(histogram.most(), values.back());
        EXPECT_EQ(histogram.quantile(1.0), values.back());
        EXPECT_EQ(histogram.count(), values.size());
    }
}

TEST(Histogram, OfNothingAndOfTheExtremes) {
    Histogram histogram;
    EXPECT_EQ(histogram.quantile(0.5), 0u);
    EXPECT_EQ(histogram.mean(), 0);
    histogram.add(0);
    EXPECT_EQ(histogram.quantile(0.5), 0u);
    histogram.add(std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(histogram.quantile(1.0), std::numeric_limits<std::uint64_t>::max());
}

class PcapFile {
  public:
    explicit PcapFile(std::uint32_t magic = 0xA1B2C3D4, std::uint32_t link = 1) {
        word(magic);
        for (const std::uint32_t value : {0x00040002u, 0u, 0u, 65535u, link}) word(value);
    }
    void frame(std::uint32_t bytes, std::uint32_t kept) {
        for (const std::uint32_t value : {0u, 0u, kept, bytes}) word(value);
        text_.append(kept, 'x');
    }
    std::string written(std::size_t cut = 0) const {
        const std::string path = testing::TempDir() + "wye-templates.pcap";
        std::ofstream(path, std::ios::binary) << text_.substr(0, text_.size() - cut);
        return path;
    }

  private:
    void word(std::uint32_t value) { text_.append(reinterpret_cast<const char*>(&value), 4); }
    std::string text_;
};

TEST(Templates, AreReadWhole) {
    PcapFile file;
    file.frame(60, 60);
    file.frame(8996, 8996);
    const Templates found = read_templates(file.written());
    ASSERT_EQ(found.frames.size(), 2u);
    EXPECT_EQ(found.frames[0].size(), 60u);
    EXPECT_EQ(found.longest, 8996u);
}

TEST(Templates, WhatCannotBeSentIsRefused) {
    EXPECT_THROW(read_templates("/nowhere"), std::runtime_error);
    EXPECT_THROW(read_templates(PcapFile().written()), std::runtime_error);
    EXPECT_THROW(read_templates(PcapFile(0x0A0D0D0A).written()), std::runtime_error);
    PcapFile other_link(0xA1B2C3D4, 113);
    other_link.frame(60, 60);
    EXPECT_THROW(read_templates(other_link.written()), std::runtime_error);
    PcapFile cut_off;
    cut_off.frame(1514, 96);
    EXPECT_THROW(read_templates(cut_off.written()), std::runtime_error);
    PcapFile too_short;
    too_short.frame(40, 40);
    EXPECT_THROW(read_templates(too_short.written()), std::runtime_error);
    PcapFile ends;
    ends.frame(60, 60);
    EXPECT_THROW(read_templates(ends.written(1)), std::runtime_error);
}

}  // namespace
}  // namespace wye::rfc2544
