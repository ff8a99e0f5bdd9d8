// The contract of the rows is consistent with itself and notices answers that do not keep to it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "controlplane-shim/api/columns.hh"

namespace wye::api {
namespace {

using nlohmann::json;

TEST(Columns, AreThoseOfTheContract) {
    std::set<std::string_view> names;
    for (const Show& show : shows()) {
        EXPECT_TRUE(names.insert(show.what).second);
        EXPECT_FALSE(show.words.empty());
        std::set<std::string_view> keys;
        for (const Column& column : show.columns) EXPECT_TRUE(keys.insert(column.key).second);
    }
    EXPECT_EQ(names, (std::set<std::string_view>{"ports", "vports", "tenants", "vrfs", "routes",
                                                 "nexthops", "tunnels", "neighbours", "acls", "bfd",
                                                 "counters", "drops", "workers", "queues", "rings",
                                                 "status"}));
    EXPECT_EQ(counter_scopes().size(), 7u);
    for (const auto scope : counter_scopes()) EXPECT_FALSE(columns_of_scope(scope).empty());
    EXPECT_TRUE(columns_of("nothing").empty());
    EXPECT_TRUE(filters_of("nothing").empty());
}

TEST(Columns, CheckRowsNoticesWhatDoesNotFit) {
    EXPECT_TRUE(check_rows("routes", json::array({{{"vrf", "red"}, {"metric", 3}}})).empty());
    EXPECT_TRUE(check_rows("routes", json::array({{{"vrf", nullptr}}})).empty());
    EXPECT_TRUE(check_rows("acls", json::array({{{"rule", 0}}, {{"rule", "default"}}})).empty());
    EXPECT_EQ(check_rows("routes", json::array({{{"metric", "3"}}})),
              std::vector<std::string>{"routes row 0: metric is no number"});
    EXPECT_EQ(check_rows("routes", json::array({{{"vrf", 1}}})),
              std::vector<std::string>{"routes row 0: vrf is no text"});
    EXPECT_EQ(check_rows("routes", json::array({{{"gate", "x"}}})),
              std::vector<std::string>{"routes row 0: gate is no column"});
    EXPECT_EQ(check_rows("routes", json::object()), std::vector<std::string>{"routes is no array"});
    EXPECT_EQ(check_rows("routes", json::array({1})),
              std::vector<std::string>{"routes row 0 is no object"});
    EXPECT_EQ(check_rows("nothing", json::array()).size(), 1u);
    const json counters = json::array({{{"scope", "port"}, {"name", "c4"}, {"rx", 1}},
                                       {{"scope", "vrf"}, {"name", "red"}, {"rx", 1}},
                                       {{"name", "red"}}});
    EXPECT_EQ(check_rows("counters", counters),
              (std::vector<std::string>{"counters row 1: rx is no column",
                                        "counters row 2 has no known scope"}));
}

TEST(Columns, CheckFilterRefusesInWords) {
    EXPECT_TRUE(check_filter("routes", {{"vrf", "red"}, {"match", "10.0.0.1"}}).empty());
    EXPECT_TRUE(check_filter("drops", {{"nonzero", true}}).empty());
    EXPECT_EQ(check_filter("workers", {{"vrf", "red"}}),
              std::vector<std::string>{"show workers cannot be filtered by vrf"});
    EXPECT_EQ(check_filter("routes", {{"vrf", 1}, {"match", "10.0.0"}, {"prefix", "10.0.0.1/8"}}),
              (std::vector<std::string>{
                  "filter match: 10.0.0 is no IPv4 or IPv6 address",
                  "filter prefix: 10.0.0.1/8 is no prefix such as 10.0.0.0/8, or has host bits set",
                  "filter vrf must be a text"}));
    EXPECT_EQ(check_filter("drops", {{"nonzero", "yes"}}).size(), 1u);
    EXPECT_EQ(check_filter("drops", json::array()).size(), 1u);
}

}  // namespace
}  // namespace wye::api
