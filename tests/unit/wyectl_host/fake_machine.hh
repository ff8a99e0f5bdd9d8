// A machine with NICs that have VFs: a sysfs tree in a folder that reacts as the kernel does when it is
// written to, and the attributes that PFs hold. Every change can be made to fail.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane-shim/host/sriov/vf_steps.hh"

namespace wye::host {

namespace fs = std::filesystem;

class FakeMachine : public drivers::SysTree, public VfLink {
  public:
    explicit FakeMachine(const std::string& folder)
        : SysTree(folder + "/sys"), folder_(folder), system_{*this, *this, [this] {
                                                                 if (fails()) return ENOENT;
                                                                 fs::create_directories(full(
                                                                     "bus/pci/drivers/vfio-pci"));
                                                                 return 0;
                                                             }} {
        fs::remove_all(folder);
        system_.proc = folder + "/proc";
        system_.state = folder + "/run";
        fs::create_directories(system_.proc);
        fs::create_directories(full("bus/pci/devices"));
        fs::create_directories(full("bus/pci/drivers/igbvf"));
    }
    ~FakeMachine() override { fs::remove_all(folder_); }

    /// VFs are 0000:BB:10.N of a PF 0000:BB:00.0.
    void add_pf(const std::string& address, const std::string& interface, std::uint32_t total = 7,
                const std::string& vendor = "0x8086") {
        const std::string device = "bus/pci/devices/" + address;
        fs::create_directories(full(device + "/net/" + interface));
        fs::create_directories(full("class/net/" + interface));
        fs::create_directory_symlink(full(device), full("class/net/" + interface + "/device"));
        put(device + "/vendor", vendor);
        put(device + "/sriov_totalvfs", std::to_string(total));
        put(device + "/sriov_numvfs", "0");
        put(device + "/sriov_drivers_autoprobe", "1");
        put(device + "/sriov_offset", "128");
        put(device + "/sriov_stride", "1");
    }

    int write(const std::string& path, const std::string& text) override {
        if (fails()) return EIO;
        ++writes;
        const std::string value = text.substr(0, text.find('\n'));
        const fs::path at(path);
        if (at.filename() == "sriov_numvfs") return set_count(at.parent_path(), value);
        if (at.filename() == "unbind") {
            fs::remove(full(at.parent_path()));
            return 0;
        }
        if (at.filename() == "drivers_probe") return probe(value);
        if (at.filename() == "bind") return bind(value, at.parent_path().filename());
        const bool reset = at.filename() == "driver_override" && value.empty();
        put(path, reset ? "(null)" : value);
        return 0;
    }

    Result<std::vector<VfAttributes>> read(const std::string& interface) override {
        return attributes[interface];
    }
    [[nodiscard]] std::optional<std::string> read(const std::string& path) const override {
        return SysTree::read(path);
    }

    int set(const std::string& interface, std::uint32_t vf, const VfAttributes& one) override {
        if (fails()) return EOPNOTSUPP;
        ++writes;
        if (vf >= attributes[interface].size()) return EINVAL;
        VfAttributes& now = attributes[interface][vf];
        if (one.mac) now.mac = one.mac;
        if (one.vlan) now.vlan = one.vlan;
        if (one.trust) now.trust = one.trust;
        if (one.spoof_check) now.spoof_check = one.spoof_check;
        if (one.rate) now.rate = one.rate;
        if (one.link_state && !no_link_state) now.link_state = one.link_state;
        return 0;
    }

    /// A process that has the VF's IOMMU group open.
    void open_group(const std::string& vf, const std::string& pid) {
        fs::create_directories(folder_ + "/proc/" + pid + "/fd");
        fs::create_symlink("/dev/vfio/" + link_name("bus/pci/devices/" + vf + "/iommu_group"),
                           folder_ + "/proc/" + pid + "/fd/7");
    }
    [[nodiscard]] std::string driver_of(const std::string& vf) const {
        return link_name("bus/pci/devices/" + vf + "/driver");
    }
    void put(const std::string& path, const std::string& text) const {
        std::ofstream(full(path)) << text << "\n";
    }
    /// All that can be seen of the machine, to compare.
    [[nodiscard]] std::string picture() const {
        std::string out;
        std::vector<std::string> lines;
        for (const auto& entry : fs::recursive_directory_iterator(full("bus/pci/devices"))) {
            std::string line = entry.path().string() + " ";
            if (entry.is_symlink()) {
                line += fs::read_symlink(entry.path()).string();
            } else if (entry.is_regular_file()) {
                std::ifstream file(entry.path());
                std::string text;
                std::getline(file, text);
                line += text;
            }
            lines.push_back(line);
        }
        for (const auto& [interface, vfs] : attributes) {
            for (std::size_t i = 0; i < vfs.size(); ++i) {
                const VfAttributes& a = vfs[i];
                lines.push_back(interface + " " + std::to_string(i) + " " + to_string(*a.mac) +
                                " " + std::to_string(a.vlan->id) +
                                std::to_string(a.vlan->protocol) + " " + std::to_string(*a.trust) +
                                std::to_string(*a.spoof_check) + " " + std::to_string(a.rate->low) +
                                " " + std::to_string(a.rate->high) + " " +
                                std::to_string(static_cast<int>(*a.link_state)));
            }
        }
        std::ranges::sort(lines);
        for (const std::string& line : lines) out += line + "\n";
        return out;
    }

    HostSystem& system() { return system_; }

    std::map<std::string, std::vector<VfAttributes>> attributes;  // by interface of the PF
    int writes = 0;
    int fail_at = -1;    // this change fails, counted from 0
    int fail_count = 1;  // and so many from there on
    int changes = 0;     // tried
    bool iommu = true;
    bool no_link_state = false;  // taken, and forgotten

  private:
    bool fails() {
        const int now = changes++;
        return fail_at >= 0 && now >= fail_at && now < fail_at + fail_count;
    }

    std::string interface_of(const std::string& pf) const { return list(pf + "/net").front(); }

    int set_count(const std::string& pf, const std::string& value) {
        const auto now = read_number(pf + "/sriov_numvfs").value_or(0);
        const auto wanted = static_cast<std::uint32_t>(std::stoul(value));
        if (now != 0 && wanted != 0) return EBUSY;  // as the kernel has it
        const std::string bus = fs::path(pf).filename().string().substr(0, 8);
        for (std::uint32_t i = 0; i < std::max(now, wanted); ++i) {
            const std::string vf = bus + "10." + std::to_string(i);
            const std::string device = "bus/pci/devices/" + vf;
            const std::string link = full(pf + "/virtfn" + std::to_string(i));
            fs::remove_all(full(device));
            fs::remove(link);
            if (wanted == 0) continue;
            fs::create_directories(full(device));
            put(device + "/driver_override", "(null)");
            fs::create_directory_symlink(full(device), link);
            if (iommu) {
                const std::string group = full("kernel/iommu_groups/1" + std::to_string(i));
                fs::create_directories(group);
                fs::create_directory_symlink(group, full(device + "/iommu_group"));
            }
            if (read_number(pf + "/sriov_drivers_autoprobe") == 1) (void)probe(vf);
        }
        put(pf + "/sriov_numvfs", value);
        VfAttributes fresh;
        fresh.mac = net::MacAddress{};
        fresh.vlan = VfAttributes::Vlan{};
        fresh.trust = false;
        fresh.spoof_check = true;
        fresh.rate = VfAttributes::Rate{};
        fresh.link_state = LinkState::automatic;
        attributes[interface_of(pf)].assign(wanted, fresh);
        return 0;
    }

    int probe(const std::string& vf) {
        const auto wanted =
            SysTree::read("bus/pci/devices/" + vf + "/driver_override").value_or("");
        return bind(vf, wanted.empty() || wanted == "(null)" ? "igbvf" : wanted);
    }

    int bind(const std::string& vf, const std::string& driver) {
        const std::string device = "bus/pci/devices/" + vf;
        if (exists(device + "/driver")) return EBUSY;
        if (driver == "vfio-pci" && !iommu) return 0;  // the probe fails, the write does not
        if (!exists("bus/pci/drivers/" + driver)) return 0;
        fs::create_directory_symlink(full("bus/pci/drivers/" + driver), full(device + "/driver"));
        return 0;
    }

    std::string folder_;
    HostSystem system_;
};

}  // namespace wye::host
