#include "dataplane/main/strict_yaml.hh"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

namespace wye::dataplane {

void YamlProblems::add(const YAML::Mark& mark, const std::string& path, const std::string& text) {
    const int line = mark.line < 0 ? 1 : mark.line + 1;
    by_line_.emplace(line, path.empty() ? text : path + ": " + text);
}

std::vector<std::string> YamlProblems::in_order() const {
    std::vector<std::string> list;
    for (const auto& [line, text] : by_line_) {
        list.push_back(fmt::format("{}:{}: {}", file_, line, text));
    }
    return list;
}

StrictYaml::StrictYaml(const YAML::Node& node, std::string path, YamlProblems& problems)
    : node_(node), path_(std::move(path)), problems_(problems) {
    if (!node_.IsMap()) {
        problems_.add(node_.Mark(), path_, "should be a mapping (key: value)");
        node_.reset(YAML::Node(YAML::NodeType::Map));
        return;
    }
    std::set<std::string> seen;
    for (const auto& entry : node_) {
        const auto key = entry.first.as<std::string>("");
        if (!seen.insert(key).second) {
            problems_.add(entry.first.Mark(), below(key.c_str()), "is given twice");
        }
    }
}

std::string StrictYaml::below(const char* key) const {
    return path_.empty() ? std::string(key) : path_ + "." + key;
}

bool StrictYaml::has(const char* key) const {
    for (const auto& entry : node_) {
        if (entry.first.as<std::string>("") == key) return true;
    }
    return false;
}

YAML::Node StrictYaml::find(const char* key) {
    asked_.insert(key);
    for (const auto& entry : node_) {
        if (entry.first.as<std::string>("") == key) return entry.second;
    }
    return YAML::Node(YAML::NodeType::Undefined);
}

bool StrictYaml::scalar(const char* key, const char* wanted, std::string& out) {
    if (!has(key)) {
        asked_.insert(key);
        return false;
    }
    const YAML::Node value = find(key);
    if (!value.IsScalar()) {
        problems_.add(value.Mark(), below(key), fmt::format("should be {}", wanted));
        return false;
    }
    out = value.Scalar();
    return true;
}

void StrictYaml::text(const char* key, std::string& out) {
    scalar(key, "a text", out);
}

void StrictYaml::boolean(const char* key, bool& out) {
    std::string word;
    if (!scalar(key, "true or false", word)) return;
    if (word != "true" && word != "false") {
        problem(key, fmt::format("\"{}\" should be true or false", word));
        return;
    }
    out = word == "true";
}

void StrictYaml::number(const char* key, std::uint64_t low, std::uint64_t high,
                        const std::function<void(std::uint64_t)>& set) {
    std::string word;
    if (!scalar(key, "a number", word)) return;
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size() || value < low || value > high) {
        problem(key, fmt::format("\"{}\" should be a number from {} to {}", word, low, high));
        return;
    }
    set(value);
}

void StrictYaml::choice(const char* key, std::initializer_list<std::string_view> words,
                        const std::function<void(std::size_t)>& set) {
    std::string word;
    if (!scalar(key, "a word", word)) return;
    std::size_t index = 0;
    for (const std::string_view candidate : words) {
        if (word == candidate) return set(index);
        ++index;
    }
    problem(key, fmt::format("\"{}\" should be one of {}", word, fmt::join(words, ", ")));
}

void StrictYaml::mapping(const char* key, const std::function<void(StrictYaml&)>& read) {
    asked_.insert(key);
    if (!has(key)) return;
    StrictYaml inner(find(key), below(key), problems_);
    read(inner);
    inner.finish();
}

void StrictYaml::mappings(const char* key, const std::function<void(StrictYaml&)>& read) {
    asked_.insert(key);
    if (!has(key)) return;
    const YAML::Node list = find(key);
    if (!list.IsSequence()) {
        problems_.add(list.Mark(), below(key), "should be a list");
        return;
    }
    std::size_t index = 0;
    for (const auto& entry : list) {
        StrictYaml inner(entry, fmt::format("{}[{}]", below(key), index++), problems_);
        read(inner);
        inner.finish();
    }
}

void StrictYaml::texts(const char* key, std::vector<std::string>& out) {
    asked_.insert(key);
    if (!has(key)) return;
    const YAML::Node list = find(key);
    if (!list.IsSequence()) {
        problems_.add(list.Mark(), below(key), "should be a list");
        return;
    }
    for (const auto& entry : list) {
        if (entry.IsScalar()) {
            out.push_back(entry.Scalar());
        } else {
            problems_.add(entry.Mark(), below(key), "should be a list of texts");
        }
    }
}

void StrictYaml::problem(const char* key, const std::string& text) {
    const bool there = key != nullptr && has(key);
    const YAML::Mark mark = there ? find(key).Mark() : node_.Mark();
    problems_.add(mark, key == nullptr ? path_ : below(key), text);
}

void StrictYaml::require(const char* key, const std::string& meaning) {
    asked_.insert(key);
    if (!has(key)) problem(key, fmt::format("is missing: {}", meaning));
}

void StrictYaml::finish() {
    for (const auto& entry : node_) {
        const auto key = entry.first.as<std::string>("");
        if (asked_.contains(key)) continue;
        problems_.add(entry.first.Mark(), below(key.c_str()), "is no key that belongs here");
    }
}

}  // namespace wye::dataplane
