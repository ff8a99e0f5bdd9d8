// A shim that has a route source and nothing else: for the test of the zebra plugin.
//
//   zebra_plugin_shim SOCKET
//
// Says on standard output, a line each, what the plugin tells it; keeps the table that a real shim
// would have (a snapshot ends in mark and sweep) and does what standard input says:
//
//   auto | hold | refuse   acknowledge at once (the default), not at all, or as not installed
//   release                acknowledge what was held, and from now on at once
//   quiet | loud           print no routes, or each
//   dump                   print the table, then "dumped N"
#include <poll.h>
#include <unistd.h>

#include <iostream>
#include <map>
#include <set>
#include <string>

#include "controlplane-shim/frr/route_source.hh"

namespace {

using namespace wye::frr;
namespace net = wye::net;

std::string describe(const Route& route) {
    static const char* const kKinds[] = {"unicast", "blackhole", "unreachable", "prohibit"};
    std::string text = kKinds[static_cast<unsigned>(route.kind)];
    text +=
        " type " + std::to_string(route.zebra_type) + " distance " + std::to_string(route.distance);
    for (const auto& hop : route.nexthops) {
        text += " |";
        if (hop.kind == RouteNextHop::Kind::gateway) text += " via " + net::to_string(hop.gateway);
        if (hop.kind == RouteNextHop::Kind::evpn)
            text += " vni " + std::to_string(hop.vni) + " to " + net::to_string(hop.gateway);
        text += " if " + std::to_string(hop.interface_index);
        if (hop.weight != 1) text += " weight " + std::to_string(hop.weight);
        if (hop.onlink) text += " onlink";
    }
    return text;
}

class Table : public RouteSink {
  public:
    enum class Answer { at_once, later, refused };

    void vrf_named(std::uint32_t id, const std::string& name) override {
        const bool renamed = names_.contains(id) && names_[id] != name;
        names_[id] = name;
        if (renamed) {
            std::erase_if(routes_, [id](const auto& route) { return route.first.vrf_id == id; });
        }
        std::cout << "vrf " << id << " " << name << (renamed ? " renamed" : "") << std::endl;
    }
    void route_installed(Operation operation, const RouteKey& key, Route&& route) override {
        if (loud) std::cout << "install " << name_of(key) << " " << describe(route) << std::endl;
        routes_[key] = describe(route);
        stale_.erase(key);
        answer(operation);
    }
    void route_removed(Operation operation, const RouteKey& key) override {
        if (loud) std::cout << "remove " << name_of(key) << std::endl;
        routes_.erase(key);
        stale_.erase(key);
        answer(operation);
    }
    void snapshot_begin() override {
        std::cout << "snapshot begin" << std::endl;
        for (const auto& [key, route] : routes_) stale_.insert(key);
    }
    void snapshot_end() override {
        for (const auto& key : stale_) routes_.erase(key);
        std::cout << "snapshot end " << routes_.size() << " swept " << stale_.size() << std::endl;
        stale_.clear();
    }
    void disconnected() override {
        std::cout << "disconnected" << std::endl;
        held_.clear();
    }

    void command(const std::string& text) {
        if (text == "auto") mode_ = Answer::at_once;
        if (text == "hold") mode_ = Answer::later;
        if (text == "refuse") mode_ = Answer::refused;
        if (text == "quiet" || text == "loud") loud = text == "loud";
        if (text == "release") {
            mode_ = Answer::at_once;
            for (const auto operation : held_) source->acknowledge(operation, true);
            held_.clear();
        }
        if (text == "dump") dump();
    }

    bool loud = true;
    RouteSource* source = nullptr;

  private:
    std::string name_of(const RouteKey& key) {
        return names_[key.vrf_id] + " " + net::to_string(key.prefix);
    }
    void answer(Operation operation) {
        if (mode_ == Answer::later) {
            held_.push_back(operation);
        } else {
            source->acknowledge(operation, mode_ == Answer::at_once);
        }
    }
    void dump() {
        for (const auto& [key, route] : routes_) {
            std::cout << "has " << name_of(key) << " " << route << "\n";
        }
        std::cout << "dumped " << routes_.size() << std::endl;
    }

    Answer mode_ = Answer::at_once;
    std::map<std::uint32_t, std::string> names_;
    std::map<RouteKey, std::string> routes_;
    std::set<RouteKey> stale_;
    std::vector<Operation> held_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: zebra_plugin_shim SOCKET\n";
        return 2;
    }
    Table table;
    auto source = make_route_source(argv[1], table);
    if (!source) {
        std::cerr << source.error().text << "\n";
        return 1;
    }
    table.source = source->get();
    std::cout << "listening" << std::endl;
    std::string input;
    while (true) {
        pollfd ready[] = {{(*source)->descriptor(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        if (::poll(ready, 2, -1) < 0) continue;
        if (ready[0].revents != 0) (*source)->run();
        if (ready[1].revents != 0) {
            char buffer[256];
            const auto got = ::read(STDIN_FILENO, buffer, sizeof buffer);
            if (got <= 0) return 0;
            input.append(buffer, static_cast<std::size_t>(got));
        }
        for (std::size_t end; (end = input.find('\n')) != std::string::npos;) {
            table.command(input.substr(0, end));
            input.erase(0, end + 1);
        }
        (*source)->flush();
    }
}
