#include "controlplane-shim/host/sriov/wish.hh"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "drivers/sriov/find_function.hh"

namespace wye::host {
namespace {

/// The number of the VF with this address: by its link, or as PCI counts (SR-IOV 1.1, 2.1.2).
std::optional<std::uint32_t> number_of(const drivers::SysTree& sys, const PfState& pf,
                                       std::uint32_t count, const std::string& address) {
    for (std::uint32_t i = 0; i < pf.vfs.size(); ++i) {
        if (pf.vfs[i].address == address) return i;
    }
    const std::string folder = drivers::kPciDevices + pf.address;
    const auto offset = sys.read_number(folder + "/sriov_offset");
    const auto stride = sys.read_number(folder + "/sriov_stride");
    if (!offset || !stride) return std::nullopt;
    const auto part = [&](std::size_t at, std::size_t size) {
        return static_cast<std::uint32_t>(std::stoul(pf.address.substr(at, size), nullptr, 16));
    };
    const std::uint32_t id = part(5, 2) << 8 | part(8, 2) << 3 | part(11, 1);
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t vf = id + *offset + i * *stride;
        if (fmt::format("{}:{:02x}:{:02x}.{:x}", pf.address.substr(0, 4), vf >> 8, vf >> 3 & 31,
                        vf & 7) == address) {
            return i;
        }
    }
    return std::nullopt;
}

DriverGoal driver_goal(bool kernel) {
    return kernel ? DriverGoal{"", "", true} : DriverGoal{kVfio, kVfio, true};
}

/// One PF of the file.
class PfWish {
  public:
    PfWish(const drivers::SysTree& sys, const HostFile& file, const HostFile::Pf& pf,
           const PfState& now, std::vector<std::string>& errors)
        : sys_(sys), file_(file), pf_(pf), now_(now), errors_(errors) {}

    PfGoal make(Wish& wish) {
        PfGoal goal{now_.address, pf_.count, {}};
        for (std::uint32_t i = 0; i < pf_.count; ++i) goal.vfs[i].driver = driver_goal(now_.mlx5);
        for (const auto& vf : pf_.vfs) {
            const auto number = place(vf);
            if (!number) continue;
            if (now_.mlx5 && vf.driver == HostFile::Driver::vfio) {
                refuse(vf,
                       "a VF of an mlx5 NIC stays with its kernel driver, DPDK uses it there: "
                       "leave driver out");
            }
            VfGoal& one = goal.vfs[*number];
            one.attributes = vf.attributes;
            if (vf.driver == HostFile::Driver::kernel) one.driver = driver_goal(true);
            if (!vf.name.empty()) wish.names[vf.name] = {now_.address, *number};
            wish.declared[now_.address][*number] = vf.attributes;
        }
        return goal;
    }

  private:
    void refuse(const HostFile::Vf& vf, const std::string& text) {
        errors_.push_back(fmt::format("{}:{}: {}", file_.path, vf.line, text));
    }

    std::optional<std::uint32_t> place(const HostFile::Vf& vf) {
        const auto number = vf.number ? vf.number : number_of(sys_, now_, pf_.count, vf.address);
        if (!number) {
            refuse(vf, fmt::format("{} is none of the first {} VFs of {}", vf.address, pf_.count,
                                   pf_.device));
            return std::nullopt;
        }
        if (std::ranges::find(seen_, *number) != seen_.end()) {
            refuse(vf, fmt::format("{} is VF {}, which is there already", vf.address, *number));
            return std::nullopt;
        }
        seen_.push_back(*number);
        return number;
    }

    const drivers::SysTree& sys_;
    const HostFile& file_;
    const HostFile::Pf& pf_;
    const PfState& now_;
    std::vector<std::string>& errors_;
    std::vector<std::uint32_t> seen_;
};

/// What an earlier apply set and the file no longer has goes back to what it was.
void take_back(const Record& record, PfGoal& goal) {
    const auto known = record.pfs.find(goal.address);
    if (known == record.pfs.end()) return;
    for (const auto& [number, declared] : known->second.declared) {
        const auto fresh = known->second.fresh.find(number);
        if (fresh == known->second.fresh.end() || !goal.vfs.contains(number)) continue;
        VfAttributes& wanted = goal.vfs[number].attributes;
        VfAttributes back = masked(fresh->second, declared);
        overlay(back, wanted);
        wanted = back;
    }
}

PfGoal back(const Record::Pf& pf) {
    PfGoal goal = goal_of(pf.before);
    // Others may have changed since what was not ours: that stays.
    for (auto& [number, vf] : goal.vfs) {
        const auto declared = pf.declared.find(number);
        vf.attributes = masked(vf.attributes,
                               declared == pf.declared.end() ? VfAttributes{} : declared->second);
    }
    return goal;
}

}  // namespace

Wish wish_for(const drivers::SysTree& sys, const HostFile& file, const Survey& survey,
              std::vector<std::string>& errors) {
    Wish wish;
    for (const auto& pf : file.pfs) {
        const std::string& address = survey.addresses.at(pf.device);
        PfGoal goal = PfWish(sys, file, pf, survey.states.at(address), errors).make(wish);
        take_back(survey.record, goal);
        wish.goals[address] = std::move(goal);
    }
    for (const auto& [address, pf] : survey.record.pfs) {
        if (!wish.goals.contains(address)) wish.goals[address] = back(pf);
    }
    return wish;
}

Wish wish_back(const Record& record) {
    Wish wish;
    for (const auto& [address, pf] : record.pfs) wish.goals[address] = back(pf);
    return wish;
}

}  // namespace wye::host
