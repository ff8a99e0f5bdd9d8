#include "dataplane/tools/routes.hh"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <span>
#include <utility>

#include "dataplane/table/fib_rib.hh"
#include "dataplane/table/vrf.hh"

namespace wye::tools {

using table::FibBits;
using table::Leaf;
using table::SlotKind;

namespace {

class Fnv {  // FNV-1a, 64 bits
  public:
    void add(std::span<const std::byte> bytes) noexcept {
        for (const std::byte byte : bytes) {
            value_ = (value_ ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3u;
        }
    }
    void add(const std::string& text) noexcept {
        add(std::as_bytes(std::span(text.c_str(), text.size() + 1)));
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

  private:
    std::uint64_t value_ = 0xcbf29ce484222325u;
};

constexpr FibBits kLastAddress = ~FibBits{0};

/// Turns nested prefixes into ranges that do not overlap, and hashes those.
class Ranges {
  public:
    void enter(const net::IpPrefix& prefix, const std::string& text) {
        const FibBits first = table::FibRib::prefix_of(prefix).bits;
        const FibBits rest = prefix.length == 128 ? 0 : kLastAddress >> prefix.length;
        while (!open_.empty() && open_.back().last < first) leave();
        if (!open_.empty() && cursor_ < first) put(cursor_, first - 1, open_.back().text);
        cursor_ = first;
        open_.push_back({first | rest, text});
    }
    std::uint64_t finish() {
        while (!open_.empty()) leave();
        flush();
        return hash_.value();
    }

  private:
    struct Open {
        FibBits last;
        std::string text;
    };
    void leave() {
        const Open range = std::move(open_.back());
        open_.pop_back();
        if (at_end_ || cursor_ > range.last) return;
        put(cursor_, range.last, range.text);
        at_end_ = range.last == kLastAddress;
        cursor_ = range.last + 1;
    }
    void put(FibBits first, FibBits last, const std::string& text) {
        if (has_piece_ && piece_last_ + 1 == first && text == piece_text_) {
            piece_last_ = last;
            return;
        }
        flush();
        has_piece_ = true;
        piece_first_ = first;
        piece_last_ = last;
        piece_text_ = text;
    }
    void flush() {
        if (!has_piece_) return;
        hash_.add(std::as_bytes(std::span(&piece_first_, 1)));
        hash_.add(std::as_bytes(std::span(&piece_last_, 1)));
        hash_.add(piece_text_);
    }

    std::vector<Open> open_;
    FibBits cursor_ = 0;
    bool at_end_ = false;  // everything up to the last address is out
    bool has_piece_ = false;
    FibBits piece_first_ = 0, piece_last_ = 0;
    std::string piece_text_;
    Fnv hash_;
};

}  // namespace

std::string to_string(const Hop& hop) {
    if (hop.kind == "adjacency") return fmt::format("via {} on {}", hop.via, hop.vport);
    return hop.vport.empty() ? hop.kind : fmt::format("{} on {}", hop.kind, hop.vport);
}

std::string to_string(const std::vector<Hop>& hops) {
    std::vector<std::string> texts;
    for (const Hop& hop : hops) texts.push_back(to_string(hop));
    return fmt::format("{}", fmt::join(texts, ", "));
}

Result<Hop> Hops::read(NextHopId id) {
    const auto found = table::read_nexthop(source_.arena(), id);
    if (!found) return tl::unexpected(found.error());
    const table::NextHop& nexthop = **found;
    const auto vport = [&] { return source_.name(SlotKind::vport, nexthop.vport.value); };
    switch (nexthop.kind) {
        case NextHopKind::adjacency:
            return Hop{"adjacency", net::to_string(nexthop.gateway), vport()};
        case NextHopKind::glean:
            return Hop{"connected", "", vport()};
        case NextHopKind::local:
            return Hop{"local", "", vport()};
        case NextHopKind::blackhole:
            return Hop{"blackhole", "", ""};
        case NextHopKind::unreachable:
            return Hop{"unreachable", "", ""};
        case NextHopKind::prohibit:
            return Hop{"prohibit", "", ""};
        case NextHopKind::none:
            break;
    }
    return fail(fmt::format("next hop {} changed while it was read", id.value));
}

Result<const std::vector<Hop>*> Hops::of(Leaf leaf) {
    const auto before = known_.find(leaf.value);
    if (before != known_.end()) return &before->second;
    std::vector<NextHopId> ids{leaf.nexthop()};
    if (leaf.is_group()) {
        auto group = table::read_group(source_.arena(), leaf.group());
        if (!group) return tl::unexpected(group.error());
        ids = std::move(group->members);
    }
    std::vector<Hop> hops;
    for (const NextHopId id : ids) {
        auto hop = read(id);
        if (!hop) return tl::unexpected(hop.error());
        hops.push_back(std::move(*hop));
    }
    std::sort(hops.begin(), hops.end());
    return &known_.emplace(leaf.value, std::move(hops)).first->second;
}

Result<Fib> read_fib(Source& source, Hops& hops, net::IpFamily family, VrfId vrf) {
    const table::Vrf* const record = source.arena().vrf(vrf);
    const std::uint32_t root =
        family == net::IpFamily::ipv4 ? record->fib4.load().unit : record->fib6.load().unit;
    Fib fib;
    table::SeenUnits seen;
    const Status walked = table::walk_fib(source.arena(), family, root, seen,
                                          [&fib](const net::IpPrefix& prefix, Leaf leaf) {
                                              fib.routes.push_back({prefix, leaf, false});
                                          });
    if (!walked) return tl::unexpected(walked.error());
    fib.bytes = seen.bytes();
    for (Route& route : fib.routes) {
        const auto to = hops.of(route.leaf);
        if (!to) {
            return fail(fmt::format("{}: {}", net::to_string(route.prefix), to.error().text));
        }
        route.is_neighbor = route.prefix.length == net::address_bits(family) &&
                            (*to)->size() == 1 && (*to)->front().kind == "adjacency" &&
                            (*to)->front().via == net::to_string(route.prefix.address);
    }
    return fib;
}

Result<std::uint64_t> digest(Hops& hops, const std::vector<Route>& routes) {
    Ranges ranges;
    for (const Route& route : routes) {
        if (route.is_neighbor) continue;
        const auto to = hops.of(route.leaf);
        if (!to) return tl::unexpected(to.error());
        ranges.enter(route.prefix, to_string(**to));
    }
    return ranges.finish();
}

}  // namespace wye::tools
