// Every value of the vocabulary has a name of its own, every outcome a sentence of its own.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "dataplane/ring/text.hh"

namespace wye::ring {
namespace {

TEST(VocabularyText, NamesAreDistinctAndUnknownNumbersAreSaidSo) {
    std::set<std::string> opcodes, outcomes, sentences;
    for (std::uint16_t i = 0; i < 64; ++i) {
        const auto name = std::string(to_string(Opcode{i}));
        if (name != "unknown") {
            EXPECT_TRUE(opcodes.insert(name).second) << name;
        }
    }
    EXPECT_EQ(opcodes.size(), 36u);
    for (std::uint16_t i = 0; i <= static_cast<std::uint16_t>(Outcome::no_such_queue); ++i) {
        EXPECT_NE(to_string(Outcome{i}), "unknown") << i;
        EXPECT_TRUE(outcomes.insert(std::string(to_string(Outcome{i}))).second) << i;
        EXPECT_TRUE(sentences.insert(std::string(outcome_words(Outcome{i}))).second) << i;
    }
    EXPECT_EQ(to_string(Outcome{999}), "unknown");
    EXPECT_EQ(to_string(Opcode{999}), "unknown");
    EXPECT_NE(outcome_words(Outcome{999}).find("upgrade the shim"), std::string_view::npos);
    EXPECT_EQ(to_string(RouteProtocol::statically), "static");
}

}  // namespace
}  // namespace wye::ring
