#include "controlplane-shim/manifest/section.hh"

#include <algorithm>
#include <charconv>
#include <map>

#include "controlplane-shim/manifest/nearest.hh"
#include "dataplane/base/name.hh"

namespace wye::manifest {
namespace {

constexpr std::size_t kLongestInterfaceName = 15;  // IFNAMSIZ - 1
constexpr std::size_t kLongestQuote = 48;

/// What was written, short enough and safe to print.
std::string printable(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, kLongestQuote)) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte < 0x20 || byte == 0x7f ? '?' : c;
    }
    return text.size() > kLongestQuote ? out + "…" : out;
}
std::string quoted(std::string_view text) {
    return "\"" + printable(text) + "\"";
}

std::string list_of(std::span<const std::string_view> words) {
    std::string out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i != 0) out += i + 1 == words.size() ? " or " : ", ";
        out += words[i];
    }
    return out;
}

const Node* find_in(const Node& node, std::string_view key) {
    for (std::size_t i = 0; i < node.values.size() && i < node.keys.size(); ++i) {
        if (node.keys[i].text == key) return &node.values[i];
    }
    return nullptr;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string_view why_not_unicast(const net::IpAddress& address) {
    if (address.is_ipv4()) {
        const std::uint32_t host = address.ipv4().host();
        if (host >> 24 == 0) return "is no host's address (0.0.0.0/8, RFC 1122 3.2.1.3)";
        if (host >> 24 == 127) return "is loopback (127.0.0.0/8)";
        if (host >> 28 == 14) return "is multicast";
        if (host >> 28 == 15) return "is reserved (240.0.0.0/4)";
        return {};
    }
    const net::Ipv6Address v6 = address.ipv6();
    if (v6.is_multicast()) return "is multicast";
    if (v6.is_unspecified()) return "is the unspecified address";
    if (v6.is_loopback()) return "is loopback";
    return {};
}

int line_at(const Place& place, std::string_view key) {
    const Node* value = find_in(*place.node, key);
    return value == nullptr ? place.node->line : value->line;
}

void problem_at(Problems& problems, const Place& place, std::string_view key, std::string text) {
    const bool there = find_in(*place.node, key) != nullptr;
    std::string path = place.path;
    if (there) path += (path.empty() ? "" : ".") + std::string(key);
    problems.add(line_at(place, key), std::move(path), std::move(text));
}

Section::Section(const Node& node, std::string path, Problems& problems)
    : node_(node), path_(std::move(path)), problems_(problems) {
    if (node_.kind == Node::Kind::refused) return;
    if (node_.kind != Node::Kind::mapping) {
        problems_.add(node_.line, path_, "must be a mapping (key: value)");
        return;
    }
    std::map<std::string_view, int> first_line;
    for (const Node& key : node_.keys) {
        if (key.kind != Node::Kind::scalar) {
            problems_.add(key.line, path_, "has a key that is no plain word");
            continue;
        }
        const auto [first, is_new] = first_line.emplace(key.text, key.line);
        if (is_new) continue;
        problems_.add(
            key.line, below(printable(key.text)),
            "is given twice, first on line " + std::to_string(first->second) + ": keep one");
    }
}

std::string Section::below(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}
const Node* Section::find(std::string_view key) const {
    return find_in(node_, key);
}
bool Section::has(std::string_view key) const {
    return find(key) != nullptr;
}

void Section::ask(std::string_view key) {
    if (std::ranges::find(asked_, key) == asked_.end()) asked_.push_back(key);
}
const Node* Section::raw(std::string_view key) {
    ask(key);
    return find(key);
}

void Section::problem(std::string_view key, std::string text) {
    const Node* value = find(key);
    problems_.add(value == nullptr ? node_.line : value->line,
                  value == nullptr ? path_ : below(key), std::move(text));
}

bool Section::require(std::string_view key, std::string_view what_it_is) {
    ask(key);
    if (has(key)) return true;
    if (node_.kind == Node::Kind::mapping) {
        problems_.add(node_.line, path_,
                      "has no " + std::string(key) + " (" + std::string(what_it_is) + ")");
    }
    return false;
}

std::optional<std::string> Section::text(std::string_view key, std::string_view wanted) {
    const Node* value = raw(key);
    if (value == nullptr || value->kind == Node::Kind::refused) return std::nullopt;
    if (value->kind == Node::Kind::empty) {
        problem(key, "is empty: give " + std::string(wanted) + ", or leave the key out");
        return std::nullopt;
    }
    if (value->kind != Node::Kind::scalar) {
        problem(key, "must be " + std::string(wanted));
        return std::nullopt;
    }
    return value->text;
}

std::optional<bool> Section::boolean(std::string_view key) {
    const auto word = text(key, "true or false");
    if (!word) return std::nullopt;
    if (*word == "true") return true;
    if (*word == "false") return false;
    problem(key, quoted(*word) + " must be true or false");
    return std::nullopt;
}

std::optional<std::uint64_t> Section::number(std::string_view key, std::uint64_t low,
                                             std::uint64_t high, std::string_view why) {
    const auto word = text(key, "a number");
    if (!word) return std::nullopt;
    const auto value = parse_number(*word);
    if (value && *value >= low && *value <= high) return value;
    std::string words = quoted(*word) + " must be a number from " + std::to_string(low) + " to " +
                        std::to_string(high);
    if (!why.empty()) words += ": " + std::string(why);
    problem(key, std::move(words));
    return std::nullopt;
}

std::optional<std::size_t> Section::choice(std::string_view key,
                                           std::span<const std::string_view> words) {
    const auto word = text(key, list_of(words));
    if (!word) return std::nullopt;
    const auto found = std::ranges::find(words, *word);
    if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
    problem(key, quoted(*word) + " must be " + list_of(words));
    return std::nullopt;
}

std::optional<std::string> Section::name(std::string_view key) {
    auto word = text(key, "a name");
    if (!word || ObjectName::from(*word)) return word;
    problem(key, quoted(*word) + " is no name: 1 to 31 of A-Z a-z 0-9 . _ -");
    return std::nullopt;
}

std::optional<std::string> Section::interface_name(std::string_view key) {
    auto word = text(key, "an interface name");
    if (!word) return std::nullopt;
    if (word->size() <= kLongestInterfaceName && ObjectName::from(*word) && *word != "." &&
        *word != "..") {
        return word;
    }
    problem(key,
            quoted(*word) + " is no interface name that Linux takes: 1 to 15 of A-Z a-z 0-9 . _ -");
    return std::nullopt;
}

std::optional<net::MacAddress> Section::mac(std::string_view key) {
    const auto word = text(key, "a MAC address");
    if (!word) return std::nullopt;
    const auto mac = net::parse_mac(*word);
    if (!mac) {
        problem(key, quoted(*word) + " is no MAC address such as 02:00:00:00:00:01");
    } else if (mac->is_multicast()) {
        problem(key, quoted(*word) +
                         " is a multicast MAC address: the lowest bit of its first "
                         "byte must be 0");
    } else if (mac->is_zero()) {
        problem(key, "the MAC address 00:00:00:00:00:00 belongs to nobody: give another");
    } else {
        return mac;
    }
    return std::nullopt;
}

std::optional<net::IpAddress> Section::unicast(std::string_view key) {
    const auto word = text(key, "an IPv4 or IPv6 address");
    if (!word) return std::nullopt;
    const auto address = net::parse_ip(*word);
    if (!address) {
        problem(key, quoted(*word) + " is no IPv4 or IPv6 address (without a prefix length)");
        return std::nullopt;
    }
    std::string_view why = why_not_unicast(*address);
    if (why.empty() && !address->is_ipv4() && address->ipv6().is_link_local()) {
        why = "is link-local (fe80::/10) and so not routed (RFC 4291 2.5.6)";
    }
    if (why.empty()) return address;
    problem(key, *word + " " + std::string(why) + ": give a unicast address");
    return std::nullopt;
}

std::optional<net::IpPrefix> Section::prefix(std::string_view key) {
    const auto word = text(key, "a prefix");
    if (!word) return std::nullopt;
    if (auto prefix = net::parse_prefix(*word)) return prefix;
    if (const auto loose = net::parse_interface_address(*word)) {
        const net::IpPrefix meant{net::mask(loose->address, loose->length), loose->length};
        problem(key, *word + " has host bits set: did you mean " + net::to_string(meant) + "?");
    } else if (const auto bare = net::parse_ip(*word)) {
        problem(key, *word + " has no length: did you mean " + *word + "/" +
                         std::to_string(net::address_bits(bare->family)) + "?");
    } else {
        problem(key, quoted(*word) + " is no prefix such as 10.0.0.0/8 or 2001:db8::/32");
    }
    return std::nullopt;
}

void Section::each(std::string_view key, const ReadItem& read) {
    const Node* value = raw(key);
    if (value == nullptr || value->kind == Node::Kind::refused) return;
    if (value->kind != Node::Kind::sequence) {
        problem(key, "must be a list (- item)");
        return;
    }
    for (std::size_t i = 0; i < value->values.size(); ++i) {
        read(value->values[i], below(key) + "[" + std::to_string(i) + "]");
    }
}

void Section::finish() {
    for (const Node& key : node_.keys) {
        if (key.kind != Node::Kind::scalar) continue;
        if (std::ranges::find(asked_, key.text) != asked_.end()) continue;
        problems_.add(key.line, below(printable(key.text)),
                      "is no known key: " + suggest(key.text, asked_));
    }
}

}  // namespace wye::manifest
