// The schema and the manual know exactly the keys that the loader knows.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "controlplane-shim/manifest/manifest.hh"

namespace wye::manifest {
namespace {

using Keys = std::set<std::string>;

/// The keys that the loader says it knows at the place of the key "zzzzzzzzzzzz".
Keys keys_of_loader(const std::string& yaml) {
    static constexpr std::string_view kBefore = "the keys here are: ";
    const Loaded loaded = load_manifest(yaml, "m.yaml");
    for (const Problem& problem : loaded.problems) {
        const auto at = problem.text.find(kBefore);
        if (at == std::string::npos) continue;
        Keys keys;
        std::istringstream words(problem.text.substr(at + kBefore.size()));
        for (std::string word; words >> word;) {
            if (word.back() == ',') word.pop_back();
            keys.insert(word);
        }
        return keys;
    }
    return {};
}

Keys keys_of_schema(const nlohmann::json& object) {
    Keys keys;
    for (const auto& [key, value] : object.at("properties").items()) keys.insert(key);
    return keys;
}

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Schema, HasTheKeysOfTheLoaderAndTheManualDescribesThem) {
    const std::string root = WYE_SOURCE_ROOT;
    const auto schema = nlohmann::json::parse(read_file(root + "/conf/manifest.schema.json"));
    const std::string manual = read_file(root + "/docs/manifest.md");
    const std::string page = read_file(root + "/docs/man/wye-manifest.5");
    const std::string z = "zzzzzzzzzzzz: 1";
    const std::map<std::string, std::string> places{
        {"", z},
        {"underlay", "underlay: {" + z + "}"},
        {"tenant", "tenants: [{" + z + "}]"},
        {"quotas", "tenants: [{quotas: {" + z + "}}]"},
        {"vrf", "tenants: [{vrfs: [{" + z + "}]}]"},
        {"tunnel", "tenants: [{tunnels: [{" + z + "}]}]"},
        {"vport", "tenants: [{vports: [{" + z + "}]}]"},
        {"neighbor", "tenants: [{vports: [{neighbors: [{" + z + "}]}]}]"},
        {"acl", "tenants: [{acls: [{" + z + "}]}]"},
        {"rule", "tenants: [{acls: [{rules: [{" + z + "}]}]}]"},
    };
    for (const auto& [name, yaml] : places) {
        const Keys known = keys_of_loader(yaml);
        EXPECT_FALSE(known.empty()) << name;
        EXPECT_EQ(keys_of_schema(name.empty() ? schema : schema.at("$defs").at(name)), known)
            << name;
        for (const std::string& key : known) {
            EXPECT_NE(manual.find("`" + key + "`"), std::string::npos) << name << " " << key;
            EXPECT_NE(page.find(".B " + key + "\n"), std::string::npos) << name << " " << key;
        }
    }
}

}  // namespace
}  // namespace wye::manifest
