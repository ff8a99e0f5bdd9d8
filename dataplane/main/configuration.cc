#include "dataplane/main/configuration.hh"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "dataplane/main/strict_yaml.hh"
#include "drivers/sriov/find_function.hh"

namespace wye::dataplane {
namespace {

using drivers::PortKind;
using drivers::PortSpecification;

constexpr std::size_t kMostPorts = 32;  // of Debian's DPDK
constexpr std::size_t kMostWorkers = 64;
constexpr std::size_t kMostUdpPorts = 8;  // WYE_STEER_UDP_PORTS

template <class T>
auto into(T& out) {
    return [&out](std::uint64_t value) { out = static_cast<T>(value); };
}

void read_instance(StrictYaml& yaml, Configuration& into_configuration) {
    yaml.text("instance", into_configuration.instance);
    if (!ObjectName::from(into_configuration.instance)) {
        yaml.problem("instance", "should be 1 to 31 characters of A-Z a-z 0-9 . _ -");
    }
    into_configuration.run_dir = "/run/wye/" + into_configuration.instance;
    yaml.text("run_dir", into_configuration.run_dir);
    if (into_configuration.run_dir.empty() || into_configuration.run_dir.front() != '/') {
        yaml.problem("run_dir", "should be an absolute path");
    }
}

void read_workers(StrictYaml& yaml, WorkersKey key, Configuration& configuration) {
    if (key == WorkersKey::required) {
        yaml.require("workers",
                     "a list with one entry for each worker, like \"workers: [{core: 1}]\"");
    }
    yaml.boolean("share_cores", configuration.share_cores);
    std::map<std::uint32_t, std::string> taken;
    yaml.mappings("workers", [&](StrictYaml& worker) {
        worker.require("core", "the number of the logical CPU to run on");
        worker.number("core", 0, 8191, [&](std::uint64_t value) {
            const auto core = static_cast<std::uint32_t>(value);
            const auto [other, fresh] = taken.emplace(core, worker.path());
            if (!fresh && !configuration.share_cores) {
                worker.problem("core",
                               fmt::format("core {} is taken by {}; share_cores: true would "
                                           "let them share it",
                                           core, other->second));
            }
            configuration.worker_cores.push_back(core);
        });
    });
    if (yaml.has("workers") && taken.empty()) yaml.problem("workers", "should have an entry");
    if (configuration.worker_cores.size() > kMostWorkers) {
        yaml.problem("workers", fmt::format("at most {} workers", kMostWorkers));
    }
    const auto listed = static_cast<std::uint32_t>(configuration.worker_cores.size());
    configuration.max_workers = listed;
    yaml.number("max_workers", 1, kMostWorkers, into(configuration.max_workers));
    if (configuration.max_workers < listed) {
        yaml.problem("max_workers", fmt::format("{} workers are listed", listed));
    }
    yaml.choice("idle", {"poll", "adaptive"},
                [&](std::size_t index) { configuration.idle = static_cast<Idle>(index); });
    yaml.number("stall_milliseconds", 0, 3'600'000, into(configuration.stall_milliseconds));
}

void read_memory(StrictYaml& yaml, MemoryConfiguration& memory) {
    yaml.mapping("memory", [&](StrictYaml& inner) {
        inner.choice("hugepages", {"auto", "never", "required"},
                     [&](std::size_t index) { memory.hugepages = static_cast<Hugepages>(index); });
        inner.number("megabytes", 64, 1u << 20, into(memory.megabytes));
    });
}

void read_tables(StrictYaml& yaml, TablesConfiguration& tables) {
    yaml.mapping("tables", [&](StrictYaml& inner) {
        std::string folder = "auto";
        inner.text("folder", folder);
        if (folder == "auto") return;
        if (!folder.starts_with('/')) {
            inner.problem("folder", "should be auto or an absolute path");
        }
        tables.folder = folder;
    });
}

void read_limits(StrictYaml& yaml, Configuration& configuration) {
    table::ArenaLimits& limits = configuration.limits;
    yaml.mapping("limits", [&](StrictYaml& inner) {
        inner.number("tenants", 1, 65536, into(limits.tenants));
        inner.number("vrfs", 1, 65536, into(limits.vrfs));
        inner.number("vports", 1, 1u << 20, into(limits.vports));
        inner.number("tunnels", 1, 1u << 20, into(limits.tunnels));
        inner.number("nexthops", 16, 1u << 24, into(limits.nexthops));
        inner.number("groups", 16, 1u << 24, into(limits.groups));
        inner.number("acl_rules", 1, 1u << 24, into(configuration.max_acl_rules));
        inner.number("table_megabytes", 16, 15u << 10,
                     [&](std::uint64_t value) { limits.heap_bytes = value << 20; });
    });
}

/// A key that the kind must have; one that other kinds have is then an unknown key.
void need_text(StrictYaml& yaml, const char* key, const char* meaning, std::string& out) {
    yaml.require(key, meaning);
    yaml.text(key, out);
}

void check_interface(StrictYaml& yaml, const std::string& interface) {
    const bool good = !interface.empty() && interface.size() <= 15 &&
                      interface.find_first_of("/ ,:%=") == std::string::npos;
    if (yaml.has("interface") && !good) {
        yaml.problem("interface",
                     "should be the name of a Linux interface (at most 15 characters)");
    }
}

/// A function by its address, a VF by its name, or by its PF and number: one of the three.
void read_pci(StrictYaml& yaml, PortSpecification& port) {
    yaml.text("address", port.pci_address);
    yaml.text("vf", port.vf);
    yaml.text("pf", port.pf);
    yaml.number("number", 0, 255, into(port.vf_number));
    const int ways = int{yaml.has("address")} + int{yaml.has("vf")} + int{yaml.has("pf")};
    if (ways != 1) {
        yaml.problem(nullptr,
                     "should have one of address (like 0000:3b:02.1, as lspci -D shows it), vf (a "
                     "name from host.yaml), or pf and number");
    }
    if (yaml.has("address") && !drivers::is_pci_address(port.pci_address)) {
        yaml.problem("address", "should be a PCI address like 0000:3b:02.1");
    }
    if (yaml.has("vf") && !ObjectName::from(port.vf)) {
        yaml.problem("vf", "should be 1 to 31 characters of A-Z a-z 0-9 . _ -");
    }
    if (yaml.has("pf") && (port.pf.empty() || port.pf.find('/') != std::string::npos)) {
        yaml.problem("pf", "should be a PCI address or an interface");
    }
    if (yaml.has("pf") != yaml.has("number")) {
        yaml.problem(yaml.has("pf") ? "pf" : "number", "pf and number belong together");
    }
}

void read_numbers(StrictYaml& yaml, const char* key, std::uint16_t low, std::uint16_t high,
                  std::vector<std::uint16_t>& out) {
    std::vector<std::string> words;
    yaml.texts(key, words);
    if (yaml.has(key)) out.clear();
    for (const std::string& word : words) {
        std::uint16_t value = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (error != std::errc{} || end != word.data() + word.size() || value < low ||
            value > high) {
            yaml.problem(key,
                         fmt::format("\"{}\" should be a number from {} to {}", word, low, high));
        } else if (std::find(out.begin(), out.end(), value) != out.end()) {
            yaml.problem(key, fmt::format("{} is there twice", value));
        } else {
            out.push_back(value);
        }
    }
}

void read_xdp(StrictYaml& yaml, drivers::XdpSpecification& xdp) {
    yaml.choice("steer", {"tunnels", "all"},
                [&](std::size_t i) { xdp.steer = static_cast<drivers::Steer>(i); });
    read_numbers(yaml, "udp_ports", 1, 65535, xdp.udp_ports);
    read_numbers(yaml, "vlans", 1, 4094, xdp.vlans);
    if (xdp.udp_ports.size() > kMostUdpPorts) {
        yaml.problem("udp_ports", fmt::format("at most {} ports", kMostUdpPorts));
    }
    for (const char* key : {"udp_ports", "vlans"}) {
        if (xdp.steer != drivers::Steer::all || !yaml.has(key)) continue;
        yaml.problem(key, "says nothing beside steer: all");
    }
    if (xdp.steer == drivers::Steer::tunnels && xdp.udp_ports.empty() && xdp.vlans.empty()) {
        yaml.problem("udp_ports", "nothing is left for the router: name a port, or vlans");
    }
    yaml.choice("mode", {"auto", "native", "generic"},
                [&](std::size_t i) { xdp.mode = static_cast<drivers::XdpMode>(i); });
    yaml.choice("zero_copy", {"auto", "never", "required"},
                [&](std::size_t i) { xdp.zero_copy = static_cast<drivers::ZeroCopy>(i); });
    if (xdp.mode == drivers::XdpMode::generic && xdp.zero_copy == drivers::ZeroCopy::required) {
        yaml.problem("zero_copy", "cannot be had in generic mode");
    }
}

void read_socket(StrictYaml& yaml, PortSpecification& port) {
    drivers::SocketSpecification& socket = port.socket;
    need_text(yaml, "socket", "the path of the socket where the two ends meet", socket.path);
    const bool good = socket.path.starts_with('/') &&
                      socket.path.find_first_of(",= ") == std::string::npos &&
                      socket.path.size() < 108;
    if (yaml.has("socket") && !good) {
        yaml.problem("socket",
                     "should be an absolute path of less than 108 characters without , = "
                     "and spaces");
    }
    yaml.choice("role", {"server", "client"}, [&](std::size_t i) { socket.listens = i == 0; });
    std::string mode = "0600";
    yaml.text("socket_mode", mode);
    const bool octal = mode.size() >= 3 && mode.size() <= 4 &&
                       mode.find_first_not_of("01234567") == std::string::npos &&
                       (mode.size() == 3 || mode[0] == '0');
    if (octal) {
        socket.mode = static_cast<std::uint16_t>(std::stoul(mode, nullptr, 8));
    } else {
        yaml.problem("socket_mode", "should be an octal mode like 0660");
    }
    if (!socket.listens && yaml.has("socket_mode")) {
        yaml.problem("socket_mode", "says nothing in a client: the other end makes the socket");
    }
    if (port.kind != PortKind::memif) return;
    yaml.number("id", 0, 0xffffffff, into(socket.id));
    yaml.number("buffer_bytes", 256, 65535, into(socket.buffer_bytes));
    yaml.boolean("zero_copy", socket.zero_copy);
    if (socket.listens && yaml.has("buffer_bytes")) {
        yaml.problem("buffer_bytes", "says nothing in a server: the client makes the buffers");
    }
    if (socket.zero_copy && socket.listens) {
        yaml.problem("zero_copy", "only a client has its buffers where the other end sees them");
    }
}

void read_device(StrictYaml& yaml, PortSpecification& port) {
    switch (port.kind) {
        case PortKind::pci:
            read_pci(yaml, port);
            break;
        case PortKind::af_packet:
        case PortKind::tap:
            need_text(yaml, "interface", "the Linux interface", port.interface);
            check_interface(yaml, port.interface);
            break;
        case PortKind::af_xdp:
            need_text(yaml, "interface", "the Linux interface", port.interface);
            check_interface(yaml, port.interface);
            read_xdp(yaml, port.xdp);
            break;
        case PortKind::pcap:
            yaml.text("receive_file", port.rx_file);
            yaml.text("transmit_file", port.tx_file);
            yaml.boolean("repeat", port.repeat);
            if (port.rx_file.empty() && port.tx_file.empty()) {
                yaml.problem(nullptr, "needs receive_file, transmit_file or both");
            }
            if ((port.rx_file + port.tx_file).find_first_of(",=") != std::string::npos) {
                yaml.problem(nullptr, "a capture file's name cannot contain , or =");
            }
            break;
        case PortKind::ring:
            break;
        case PortKind::memif:
        case PortKind::vhost_user:
            read_socket(yaml, port);
            break;
        case PortKind::vdev:
            need_text(yaml, "devargs", "as DPDK takes it, like \"net_null0,size=64\"",
                      port.devargs);
            break;
    }
}

/// DPDK 22.11's memif leaves marks of frames that lay in several buffers, by which later ones are joined.
void check_buffer(StrictYaml& yaml, const PortSpecification& port) {
    const std::uint32_t whole = port.mtu.value_or(1500) + 14u + 2 * 4u;
    if (port.socket.buffer_bytes == 0 || port.socket.buffer_bytes >= whole) return;
    yaml.problem("buffer_bytes",
                 fmt::format("a buffer should hold a whole frame, which has up to {} bytes: DPDK's "
                             "memif damages frames that lie in several",
                             whole));
}

bool is_power_of_two(std::uint16_t value) {
    return (value & (value - 1)) == 0;
}

PortSpecification read_port(StrictYaml& yaml) {
    PortSpecification port;
    std::string name;
    need_text(yaml, "name", "what commands and people call the port", name);
    if (const auto valid = ObjectName::from(name)) {
        port.name = *valid;
    } else if (yaml.has("name")) {
        yaml.problem("name", "should be 1 to 31 characters of A-Z a-z 0-9 . _ -");
    }
    yaml.require("kind", "pci, af_packet, tap, pcap, ring, vdev, af_xdp, memif or vhost_user");
    bool known = false;
    yaml.choice(
        "kind",
        {"pci", "af_packet", "tap", "pcap", "ring", "vdev", "af_xdp", "memif", "vhost_user"},
        [&](std::size_t i) {
            port.kind = static_cast<PortKind>(i);
            known = true;
        });
    if (known) read_device(yaml, port);
    yaml.number("mtu", 576, 9216,
                [&](std::uint64_t mtu) { port.mtu = static_cast<std::uint16_t>(mtu); });
    check_buffer(yaml, port);
    yaml.boolean("promiscuous", port.promiscuous);
    yaml.boolean("spread", port.spread);
    yaml.number("receive_queues", 1, 64, into(port.receive_queues));
    if (port.spread && port.receive_queues > 1) {
        yaml.problem("receive_queues", "a port that is spread in software has one");
    }
    yaml.number("rx_descriptors", 64, 8192, into(port.rx_descriptors));
    yaml.number("tx_descriptors", 64, 8192, into(port.tx_descriptors));
    if (!is_power_of_two(port.rx_descriptors)) yaml.problem("rx_descriptors", "no power of two");
    if (!is_power_of_two(port.tx_descriptors)) yaml.problem("tx_descriptors", "no power of two");
    return port;
}

/// What of two ports must differ: the name, and the device behind.
std::string device_of(const PortSpecification& port) {
    switch (port.kind) {
        case PortKind::pci:
            if (!port.vf.empty()) return "VF " + port.vf;
            if (!port.pf.empty()) return fmt::format("VF {} of {}", port.vf_number, port.pf);
            return "PCI device " + port.pci_address;
        case PortKind::af_packet:
        case PortKind::tap:
        case PortKind::af_xdp:
            return "interface " + port.interface;
        case PortKind::memif:
            return fmt::format("interface {} on socket {}", port.socket.id, port.socket.path);
        case PortKind::vhost_user:
            return "socket " + port.socket.path;
        case PortKind::vdev:
            return "device " + port.devargs.substr(0, port.devargs.find(','));
        case PortKind::pcap:
            return port.tx_file.empty() ? "" : "file " + port.tx_file;
        case PortKind::ring:
            return "";
    }
    return "";
}

/// Interfaces of memif may meet on one socket; what speaks another protocol has one of its own.
class Sockets {
  public:
    void add(StrictYaml& yaml, const PortSpecification& port) {
        const std::string& path = port.socket.path;
        if (path.empty()) return;
        const auto [first, added] = first_.emplace(path, Owner{port.kind, yaml.path()});
        if (added || first->second.kind == port.kind) return;
        yaml.problem("socket",
                     fmt::format("{} is also that of {}, of another kind", path, first->second.at));
    }

  private:
    struct Owner {
        PortKind kind;
        std::string at;
    };
    std::map<std::string, Owner> first_;
};

void read_ports(StrictYaml& yaml, std::vector<PortSpecification>& ports) {
    yaml.require("ports", "a list; see docs/configuration.md");
    std::map<std::string, std::string> names;
    std::map<std::string, std::string> devices;
    Sockets sockets;
    yaml.mappings("ports", [&](StrictYaml& inner) {
        const PortSpecification port = read_port(inner);
        const std::string name(port.name.view());
        if (!name.empty() && !names.emplace(name, inner.path()).second) {
            inner.problem("name", fmt::format("\"{}\" is also {}", name, names[name]));
        }
        const std::string device = device_of(port);
        if (!device.empty() && !devices.emplace(device, inner.path()).second) {
            inner.problem(nullptr, fmt::format("{} is also that of {}", device, devices[device]));
        }
        sockets.add(inner, port);
        ports.push_back(port);
    });
    if (ports.size() > kMostPorts) {
        yaml.problem("ports", fmt::format("at most {} ports", kMostPorts));
    }
}

void read_everything(StrictYaml& yaml, WorkersKey workers, Configuration& configuration) {
    read_instance(yaml, configuration);
    read_workers(yaml, workers, configuration);
    read_memory(yaml, configuration.memory);
    read_tables(yaml, configuration.tables);
    read_ports(yaml, configuration.ports);
    yaml.texts("eal_drivers", configuration.eal_drivers);
    read_limits(yaml, configuration);
    yaml.finish();
}

}  // namespace

Status find_ports(Configuration& configuration, const drivers::SysTree& sys,
                  const std::string& names) {
    std::map<std::string, std::string_view> taken;
    for (PortSpecification& port : configuration.ports) {
        if (port.kind != PortKind::pci) continue;
        if (!port.vf.empty() || !port.pf.empty()) {
            auto found = port.vf.empty() ? drivers::find_vf(sys, port.pf, port.vf_number)
                                         : drivers::find_named_vf(port.vf, names);
            if (!found) {
                return fail(fmt::format("port \"{}\": {}", port.name.view(), found.error().text));
            }
            port.pci_address = std::move(*found);
        }
        const auto [other, fresh] = taken.emplace(port.pci_address, port.name.view());
        if (fresh) continue;
        return fail(fmt::format("ports \"{}\" and \"{}\" are both PCI device {}", other->second,
                                port.name.view(), port.pci_address));
    }
    return {};
}

ConfigurationResult parse_configuration(const std::string& text, const std::string& path,
                                        WorkersKey workers) {
    ConfigurationResult result;
    YamlProblems problems(path);
    try {
        StrictYaml yaml(YAML::Load(text), "", problems);
        read_everything(yaml, workers, result.configuration);
    } catch (const YAML::Exception& broken) {
        problems.add(broken.mark, "", fmt::format("is not YAML: {}", broken.msg));
    }
    result.problems = problems.in_order();
    return result;
}

ConfigurationResult read_configuration(const std::string& path, WorkersKey workers) {
    std::ifstream file(path);
    std::stringstream text;
    if (file) text << file.rdbuf();
    if (!file || !text) {
        ConfigurationResult result;
        result.problems.push_back(fmt::format("{}:1: cannot be read", path));
        return result;
    }
    return parse_configuration(text.str(), path, workers);
}

}  // namespace wye::dataplane
