#include "controlplane-shim/host/sriov/host_file.hh"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>

#include "controlplane-shim/manifest/section.hh"
#include "controlplane-shim/manifest/yaml_tree.hh"
#include "drivers/sriov/find_function.hh"

namespace wye::host {
namespace {

using manifest::Node;
using manifest::Problems;
using manifest::Section;

constexpr std::uint32_t kMostVfs = 256;
constexpr std::uint32_t kHighestRate = 1'000'000;  // Mb/s
constexpr std::uint16_t kServiceTag = 0x88a8, kCustomerTag = 0x8100;

class Reader {
  public:
    Reader(HostFile& file, Problems& problems) : file_(file), problems_(problems) {}

    void read(const Node& root) {
        Section document(root, "", problems_);
        document.require("physical_functions", "a list, one entry for each NIC port");
        document.each("physical_functions",
                      [&](const Node& node, std::string path) { read_pf(node, std::move(path)); });
        document.finish();
    }

  private:
    void once(std::map<std::string, std::string>& taken, const std::string& value, Section& section,
              const char* key) {
        const auto [other, fresh] = taken.emplace(value, section.place().path);
        if (!fresh) section.problem(key, value + " is also that of " + other->second);
    }

    std::string pci_address(Section& section) {
        const auto address = section.text("address", "a PCI address");
        if (!address || drivers::is_pci_address(*address)) return address.value_or("");
        section.problem("address", "should be a PCI address like 0000:3b:00.0");
        return {};
    }

    void read_pf(const Node& node, std::string path) {
        Section section(node, std::move(path), problems_);
        HostFile::Pf pf;
        pf.line = node.line;
        const auto interface = section.interface_name("interface");
        const std::string address = pci_address(section);
        if (section.has("interface") == section.has("address")) {
            section.problem("interface", "give either interface or address, to say which NIC");
        }
        pf.device = interface.value_or(address);
        if (!pf.device.empty())
            once(devices_, pf.device, section, interface ? "interface" : "address");
        section.require("vfs", "the number of VFs");
        pf.count = static_cast<std::uint32_t>(section.number("vfs", 0, kMostVfs).value_or(0));
        std::map<std::string, std::string> numbers;
        section.each("functions", [&](const Node& item, std::string below) {
            read_vf(item, std::move(below), section.has("vfs") ? pf.count : kMostVfs, numbers, pf);
        });
        section.finish();
        file_.pfs.push_back(std::move(pf));
    }

    void read_vf(const Node& node, std::string path, std::uint32_t count,
                 std::map<std::string, std::string>& numbers, HostFile::Pf& pf) {
        Section section(node, std::move(path), problems_);
        HostFile::Vf vf;
        vf.line = node.line;
        const auto number = section.number("number", 0, kMostVfs - 1);
        if (number) {
            vf.number = static_cast<std::uint32_t>(*number);
            if (*number >= count) {
                section.problem("number", "VFs are numbered from 0: with vfs: " +
                                              std::to_string(count) + " the last is " +
                                              (count == 0 ? "none" : std::to_string(count - 1)));
            }
            once(numbers, "VF " + std::to_string(*number), section, "number");
        }
        vf.address = pci_address(section);
        if (!vf.address.empty()) once(addresses_, vf.address, section, "address");
        if (section.has("number") == section.has("address")) {
            section.problem("number", "give either number or address, to say which VF");
        }
        vf.name = section.name("name").value_or("");
        if (vf.name == "." || vf.name == "..") section.problem("name", "is no name of a file");
        if (!vf.name.empty()) once(names_, vf.name, section, "name");
        read_attributes(section, vf.attributes);
        static constexpr std::string_view kDrivers[] = {"auto", "vfio-pci", "kernel"};
        vf.driver = static_cast<HostFile::Driver>(section.choice("driver", kDrivers).value_or(0));
        section.finish();
        pf.vfs.push_back(std::move(vf));
    }

    void read_attributes(Section& section, VfAttributes& attributes) {
        attributes.mac = section.mac("mac");
        if (attributes.mac) once(macs_, net::to_string(*attributes.mac), section, "mac");
        read_vlan(section, attributes);
        attributes.trust = section.boolean("trust");
        attributes.spoof_check = section.boolean("spoof_check");
        const auto low = section.number("min_rate", 0, kHighestRate, "Mb/s");
        const auto high = section.number("max_rate", 0, kHighestRate, "Mb/s");
        if (low || high) {
            attributes.rate = {static_cast<std::uint32_t>(low.value_or(0)),
                               static_cast<std::uint32_t>(high.value_or(0))};
            if (high.value_or(0) != 0 && low.value_or(0) > *high) {
                section.problem("min_rate", "is more than max_rate");
            }
        }
        static constexpr std::string_view kStates[] = {"auto", "enable", "disable"};
        if (const auto state = section.choice("link_state", kStates)) {
            attributes.link_state = static_cast<LinkState>(*state);
        }
    }

    void read_vlan(Section& section, VfAttributes& attributes) {
        const auto id = section.number("vlan", 0, 4094, "0 is none");
        const auto priority = section.number("vlan_priority", 0, 7);
        static constexpr std::string_view kProtocols[] = {"802.1Q", "802.1ad"};
        const auto protocol = section.choice("vlan_protocol", kProtocols);
        for (const char* const key : {"vlan_priority", "vlan_protocol"}) {
            if (section.has(key) && id.value_or(section.has("vlan") ? 1 : 0) == 0) {
                section.problem(key, "needs vlan");
            }
        }
        if (!id) return;
        attributes.vlan = {static_cast<std::uint16_t>(*id),
                           static_cast<std::uint8_t>(priority.value_or(0)),
                           protocol.value_or(0) == 1 ? kServiceTag : kCustomerTag};
    }

    HostFile& file_;
    Problems& problems_;
    std::map<std::string, std::string> devices_, addresses_, names_, macs_;
};

}  // namespace

HostFileResult parse_host_file(std::string_view text, const std::string& path) {
    Problems problems(path);
    HostFile file;
    file.path = path;
    if (const auto root = manifest::parse_yaml(text, problems)) Reader(file, problems).read(*root);
    if (!problems.none()) return {std::nullopt, problems.take_sorted()};
    return {std::move(file), {}};
}

HostFileResult read_host_file(const std::string& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text;
    if (file) text.assign(std::istreambuf_iterator<char>(file), {});
    if (file && errno == 0) return parse_host_file(text, path);
    return {std::nullopt, {{path, 0, "", std::string("cannot be read: ") + std::strerror(errno)}}};
}

}  // namespace wye::host
