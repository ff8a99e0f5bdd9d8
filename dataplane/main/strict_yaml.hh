// StrictYaml: reads a YAML mapping key by key and remembers everything that is wrong with it.
// A getter that fails notes the problem with file, line and path and leaves the default; finish()
// notes every key that nobody asked for.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wye::dataplane {

/// Where problems go; shared by all mappings of one file.
class YamlProblems {
  public:
    explicit YamlProblems(std::string file) : file_(std::move(file)) {}
    void add(const YAML::Mark& mark, const std::string& path, const std::string& text);
    /// "file:line: path: text", in the order of the lines.
    [[nodiscard]] std::vector<std::string> in_order() const;

  private:
    std::string file_;
    std::multimap<int, std::string> by_line_;
};

class StrictYaml {
  public:
    StrictYaml(const YAML::Node& node, std::string path, YamlProblems& problems);

    [[nodiscard]] bool has(const char* key) const;
    void text(const char* key, std::string& out);
    void boolean(const char* key, bool& out);
    void number(const char* key, std::uint64_t low, std::uint64_t high,
                const std::function<void(std::uint64_t)>& set);
    /// One of the words; calls `set` with its index.
    void choice(const char* key, std::initializer_list<std::string_view> words,
                const std::function<void(std::size_t)>& set);
    void mapping(const char* key, const std::function<void(StrictYaml&)>& read);
    void mappings(const char* key, const std::function<void(StrictYaml&)>& read);
    void texts(const char* key, std::vector<std::string>& out);
    /// Notes a problem at the key (or, without it, at the mapping).
    void problem(const char* key, const std::string& text);
    void require(const char* key, const std::string& meaning);
    void finish();
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    YAML::Node find(const char* key);
    [[nodiscard]] std::string below(const char* key) const;
    bool scalar(const char* key, const char* wanted, std::string& out);

    YAML::Node node_;
    std::string path_;
    YamlProblems& problems_;
    std::set<std::string> asked_;
};

}  // namespace wye::dataplane
