// Section: one mapping of the manifest, read key by key. A value that is wrong is noted with its
// line and path and reads as absent; finish() notes the keys that nobody asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane-shim/manifest/problems.hh"
#include "controlplane-shim/manifest/yaml_tree.hh"
#include "dataplane/net/address.hh"

namespace wye::manifest {

/// Where an object was written: for problems that show only when all is read. The node outlives it.
struct Place {
    const Node* node = nullptr;
    std::string path;
};
/// Notes a problem at the object's key, or at the object if it has no such key.
void problem_at(Problems& problems, const Place& place, std::string_view key, std::string text);
/// The line of the object's key, or of the object.
int line_at(const Place& place, std::string_view key);

class Section {
  public:
    Section(const Node& node, std::string path, Problems& problems);

    [[nodiscard]] bool has(std::string_view key) const;
    /// Notes a problem if the key is absent. True if it is there.
    bool require(std::string_view key, std::string_view what_it_is);

    std::optional<std::string> text(std::string_view key, std::string_view wanted = "a text");
    std::optional<bool> boolean(std::string_view key);
    /// `why` is added to the problem when the number is out of range.
    std::optional<std::uint64_t> number(std::string_view key, std::uint64_t low, std::uint64_t high,
                                        std::string_view why = "");
    /// The index of the word.
    std::optional<std::size_t> choice(std::string_view key,
                                      std::span<const std::string_view> words);
    /// A name of one of our objects: 1 to 31 of [A-Za-z0-9._-].
    std::optional<std::string> name(std::string_view key);
    /// A name of a Linux interface: at most 15 bytes, not "." or "..".
    std::optional<std::string> interface_name(std::string_view key);
    /// Neither multicast nor zero.
    std::optional<net::MacAddress> mac(std::string_view key);
    /// A unicast address that a host can have and that is routed (not link-local).
    std::optional<net::IpAddress> unicast(std::string_view key);
    std::optional<net::IpPrefix> prefix(std::string_view key);

    using ReadItem = std::function<void(const Node& item, std::string path)>;
    /// Each item of a sequence; absent is the same as empty.
    void each(std::string_view key, const ReadItem& read);
    /// The value itself, whatever it is; null: absent.
    const Node* raw(std::string_view key);

    void problem(std::string_view key, std::string text);
    void finish();
    [[nodiscard]] Place place() const { return {&node_, path_}; }
    [[nodiscard]] std::string below(std::string_view key) const;

  private:
    [[nodiscard]] const Node* find(std::string_view key) const;
    void ask(std::string_view key);

    const Node& node_;
    std::string path_;
    Problems& problems_;
    std::vector<std::string_view> asked_;  // literals of the readers
};

/// Why no host can have this address and be routed to; empty: it can.
std::string_view why_not_unicast(const net::IpAddress& address);
/// Whole text or nothing, decimal.
std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace wye::manifest
