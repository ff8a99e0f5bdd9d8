#include "controlplane-shim/host/sriov.hh"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>

#include "controlplane-shim/host/record.hh"
#include "dataplane/base/descriptor.hh"
#include "drivers/sriov/find_function.hh"

namespace wye::host {
namespace {

namespace fs = std::filesystem;

using States = std::map<std::string, PfState>;  // by address
using Goals = std::map<std::string, PfGoal>;
using Names = std::map<std::string, std::pair<std::string, std::uint32_t>>;  // name: PF, number

struct Wish {
    Goals goals;
    Names names;
    std::map<std::string, std::map<std::uint32_t, VfAttributes>> declared;
};

DriverGoal vfio_goal() {
    return {kVfio, kVfio, true};
}
DriverGoal kernel_goal() {
    return {"", "", true};
}

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

class Session {
  public:
    Session(HostSystem& system, SriovReport& report) : system_(system), report_(report) {}

    /// One at a time on a machine; a plan does without.
    bool take_lock() {
        std::error_code none;
        fs::create_directories(system_.state, none);
        const std::string path = system_.state + "/lock";
        lock_ = Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (!lock_.valid()) {
            return refuse(fmt::format("{}: {} (run it as root)", path, std::strerror(errno)));
        }
        if (flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return true;
        return refuse("another wyectl host runs: wait for it");
    }

    bool read_all(const HostFile* file) {
        auto record = read_record(system_.state);
        if (!record) return refuse(record.error().text);
        has_record_ = record->has_value();
        if (has_record_) record_ = std::move(**record);
        bool good = true;
        if (file != nullptr) {
            for (const auto& pf : file->pfs) good = find(*file, pf) && good;
        }
        for (const auto& [address, pf] : record_.pfs) {
            if (!states_.contains(address)) good = read(address) && good;
        }
        return good;
    }

    /// What the file asks for; PFs that only the record knows go back to what they were.
    bool wish_for(const HostFile& file) {
        bool good = true;
        for (const auto& pf : file.pfs) good = wish_for(file, pf) && good;
        for (const auto& [address, pf] : record_.pfs) {
            if (!wish_.goals.contains(address)) wish_.goals[address] = back(pf);
        }
        return good;
    }

    void wish_back() {
        for (const auto& [address, pf] : record_.pfs) wish_.goals[address] = back(pf);
    }

    /// Is something in the way that only a person can decide about?
    bool check(bool recreate) {
        bool good = true;
        for (const auto& [address, goal] : wish_.goals) {
            const PfState& now = states_.at(address);
            const bool ours = record_.pfs.contains(address);
            const auto counts = count_steps(now, goal);
            if (!counts.empty() && !now.vfs.empty() && !ours && !recreate) {
                good =
                    refuse(fmt::format("{} has {} VFs that wyectl did not make, and should have "
                                       "{}: --recreate removes "
                                       "them, or say vfs: {}",
                                       address, now.vfs.size(), goal.count, now.vfs.size()));
            }
            good = check_users(now, goal, !counts.empty()) && good;
        }
        return good;
    }

    void say_plan() {
        for (const auto& [address, goal] : wish_.goals) {
            for (const Step& step : count_steps(states_.at(address), goal)) say(step);
        }
        for (const auto& [address, goal] : wish_.goals) {
            for (const Step& step : vf_steps(states_.at(address), goal)) say(step);
        }
        for (const auto& [name, vf] : wish_.names) {
            const std::string address = address_of(vf);
            if (!address.empty() && link_of(name) == address) continue;
            report_.steps.push_back(name_words(name, vf));
        }
        for (const std::string& name : stale_names()) {
            report_.steps.push_back("name " + name + ": removed");
        }
    }

    /// Everything, or nothing.
    void run() {
        begun_ = states_;
        names_before_ = names_there();
        for (const auto& [address, goal] : wish_.goals) {
            record_.pfs.try_emplace(address, Record::Pf{states_.at(address), {}, {}});
        }
        const Status done = write_record(system_.state, record_)
                                .and_then([&] { return run_counts(); })
                                .and_then([&] { return note_fresh(); })
                                .and_then([&] { return run_vfs(); })
                                .and_then([&] { return verify(); })
                                .and_then([&] { return link_names(); })
                                .and_then([&] { return close_record(); });
        if (done) return;
        report_.errors.push_back(done.error().text);
        roll_back();
    }

    [[nodiscard]] bool nothing_applied() const { return !has_record_; }

  private:
    bool refuse(std::string text) {
        report_.errors.push_back(std::move(text));
        return false;
    }
    bool refuse(const HostFile& file, int line, const std::string& text) {
        return refuse(fmt::format("{}:{}: {}", file.path, line, text));
    }
    void say(const Step& step) { report_.steps.push_back(step.text); }

    bool read(const std::string& address) {
        auto pf = read_pf(system_, address);
        if (!pf) return refuse(pf.error().text);
        states_[address] = std::move(*pf);
        return true;
    }

    bool find(const HostFile& file, const HostFile::Pf& pf) {
        const auto address = drivers::find_pf(system_.sys, pf.device);
        if (!address) return refuse(file, pf.line, address.error().text);
        if (!addresses_.emplace(pf.device, *address).second || states_.contains(*address)) {
            return refuse(file, pf.line, pf.device + " is the same NIC as one before: " + *address);
        }
        const auto state = read_pf(system_, *address);
        if (!state) return refuse(file, pf.line, state.error().text);
        states_[*address] = *state;
        if (pf.count <= state->total) return true;
        return refuse(file, pf.line,
                      fmt::format("vfs: {} is more than {} can have ({})", pf.count, pf.device,
                                  state->total));
    }

    bool wish_for(const HostFile& file, const HostFile::Pf& pf) {
        const std::string address = addresses_.at(pf.device);
        const PfState& now = states_.at(address);
        PfGoal goal{address, pf.count, {}};
        for (std::uint32_t i = 0; i < pf.count; ++i) {
            goal.vfs[i].driver = now.mlx5 ? kernel_goal() : vfio_goal();
        }
        bool good = true;
        std::vector<std::uint32_t> seen;
        for (const auto& vf : pf.vfs) {
            const auto number =
                vf.number ? vf.number : number_of(system_.sys, now, pf.count, vf.address);
            if (!number || std::ranges::find(seen, *number) != seen.end()) {
                good = refuse(file, vf.line,
                              number ? vf.address + " is VF " + std::to_string(*number) +
                                           ", which is there already"
                                     : vf.address + " is none of the first " +
                                           std::to_string(pf.count) + " VFs of " + pf.device);
                continue;
            }
            seen.push_back(*number);
            if (now.mlx5 && vf.driver == HostFile::Driver::vfio) {
                good = refuse(file, vf.line,
                              "a VF of an mlx5 NIC stays with its kernel driver, DPDK uses it "
                              "there: leave driver out");
            }
            VfGoal& one = goal.vfs[*number];
            one.attributes = vf.attributes;
            if (vf.driver == HostFile::Driver::kernel) one.driver = kernel_goal();
            if (!vf.name.empty()) wish_.names[vf.name] = {address, *number};
            wish_.declared[address][*number] = vf.attributes;
        }
        take_back(address, goal);
        wish_.goals[address] = std::move(goal);
        return good;
    }

    /// What an earlier apply set and the file no longer has goes back to what it was.
    void take_back(const std::string& address, PfGoal& goal) const {
        const auto known = record_.pfs.find(address);
        if (known == record_.pfs.end()) return;
        for (const auto& [number, declared] : known->second.declared) {
            const auto fresh = known->second.fresh.find(number);
            if (fresh == known->second.fresh.end() || !goal.vfs.contains(number)) continue;
            VfAttributes& wanted = goal.vfs[number].attributes;
            VfAttributes back = masked(fresh->second, declared);
            overlay(back, wanted);
            wanted = back;
        }
    }

    [[nodiscard]] static PfGoal back(const Record::Pf& pf) {
        PfGoal goal = goal_of(pf.before);
        // Others may have changed since what was not ours: that stays.
        for (auto& [number, vf] : goal.vfs) {
            const auto declared = pf.declared.find(number);
            vf.attributes = masked(
                vf.attributes, declared == pf.declared.end() ? VfAttributes{} : declared->second);
        }
        return goal;
    }

    bool check_users(const PfState& now, const PfGoal& goal, bool all_go) {
        std::vector<std::uint32_t> taken;
        for (std::uint32_t i = 0; all_go && i < now.vfs.size(); ++i) taken.push_back(i);
        if (!all_go) {
            for (const Step& step : vf_steps(now, goal)) {
                if (step.kind == Step::Kind::driver) taken.push_back(step.vf);
            }
        }
        bool good = true;
        for (const std::uint32_t vf : taken) {
            const std::string user = user_of(system_, now.vfs[vf]);
            if (user.empty()) continue;
            good = refuse(fmt::format("VF {} of {}, {}, is in use: {}", vf, now.address,
                                      now.vfs[vf].address, user));
        }
        return good;
    }

    Status take(const Step& step) {
        say(step);
        report_.changed = true;
        const Status done = run_step(system_, step);
        if (done) return done;
        return fail(fmt::format("step {} failed: {}", report_.steps.size(), done.error().text));
    }

    Status refresh() {
        for (auto& [address, state] : states_) {
            auto pf = read_pf(system_, address);
            if (!pf) return tl::unexpected(pf.error());
            state = std::move(*pf);
        }
        return {};
    }

    Status run_counts() {
        for (const auto& [address, goal] : wish_.goals) {
            const auto steps = count_steps(states_.at(address), goal);
            for (const Step& step : steps) {
                if (const Status done = take(step); !done) return done;
            }
            if (!steps.empty()) record_.pfs[address].fresh.clear();
        }
        return refresh();
    }

    /// Before an attribute is set: what the VFs had.
    Status note_fresh() {
        for (const auto& [address, goal] : wish_.goals) {
            const PfState& now = states_.at(address);
            if (now.vfs.size() != goal.count) {
                return fail(fmt::format("{} has {} VFs now, not {} (see dmesg)", address,
                                        now.vfs.size(), goal.count));
            }
            Record::Pf& pf = record_.pfs[address];
            for (std::uint32_t i = 0; i < goal.count; ++i) {
                pf.fresh.try_emplace(i, now.vfs[i].attributes);
            }
            // With the old ones: killed half way, both are ours.
            for (const auto& [number, attributes] : wish_.declared[address]) {
                overlay(pf.declared[number], attributes);
            }
        }
        return write_record(system_.state, record_);
    }

    Status run_vfs() {
        for (const auto& [address, goal] : wish_.goals) {
            for (const Step& step : vf_steps(states_.at(address), goal)) {
                if (const Status done = take(step); !done) return done;
            }
        }
        return {};
    }

    Status verify() {
        if (!report_.changed) return {};
        if (const Status fresh = refresh(); !fresh) return fresh;
        for (const auto& [address, goal] : wish_.goals) {
            const auto left = vf_steps(states_.at(address), goal);
            if (left.empty()) continue;
            return fail(
                left.front().text +
                ": was taken, but is not there afterwards (the driver cannot do it: leave it "
                "out)");
        }
        return {};
    }

    [[nodiscard]] std::string names_folder() const { return system_.state + "/vf"; }
    [[nodiscard]] std::string link_of(const std::string& name) const {
        std::error_code error;
        const auto target = fs::read_symlink(names_folder() + "/" + name, error);
        return error ? std::string() : target.filename().string();
    }
    [[nodiscard]] std::string address_of(const std::pair<std::string, std::uint32_t>& vf) const {
        const PfState& pf = states_.at(vf.first);
        const bool there = pf.vfs.size() == wish_.goals.at(vf.first).count;
        return there && vf.second < pf.vfs.size() ? pf.vfs[vf.second].address : "";
    }
    [[nodiscard]] std::string name_words(const std::string& name,
                                         const std::pair<std::string, std::uint32_t>& vf) const {
        const std::string address = address_of(vf);
        return fmt::format("name {}: VF {} of {}{}", name, vf.second, vf.first,
                           address.empty() ? "" : ", " + address);
    }
    [[nodiscard]] std::map<std::string, std::string> names_there() const {
        std::map<std::string, std::string> names;
        std::error_code error;
        for (fs::directory_iterator entry(names_folder(), error), end; !error && entry != end;
             entry.increment(error)) {
            const std::string name = entry->path().filename();
            names[name] = link_of(name);
        }
        return names;
    }
    [[nodiscard]] std::vector<std::string> stale_names() const {
        std::vector<std::string> names;
        for (const auto& [name, address] : names_there()) {
            if (!wish_.names.contains(name)) names.push_back(name);
        }
        return names;
    }

    /// In one step, so that a reader finds the old or the new.
    Status make_link(const std::string& name, const std::string& address) {
        // No VF's name, and gone at the next boot.
        const std::string path = names_folder() + "/" + name, beside = system_.state + "/link.new";
        std::error_code error;
        fs::create_directories(names_folder(), error);
        fs::remove(beside, error);
        fs::create_symlink(system_.sys.full(drivers::kPciDevices + address), beside, error);
        if (!error) fs::rename(beside, path, error);
        if (error) return fail(path + ": " + error.message());
        return {};
    }

    Status link_names() {
        std::error_code error;
        for (const std::string& name : stale_names()) {
            report_.steps.push_back("name " + name + ": removed");
            report_.changed = true;
            fs::remove(names_folder() + "/" + name, error);
        }
        for (const auto& [name, vf] : wish_.names) {
            const std::string address = address_of(vf);
            if (link_of(name) == address) continue;
            report_.steps.push_back(name_words(name, vf));
            report_.changed = true;
            if (const Status made = make_link(name, address); !made) return made;
        }
        return {};
    }

    void restore_names() {
        std::error_code error;
        for (const auto& [name, address] : names_there()) {
            if (!names_before_.contains(name)) fs::remove(names_folder() + "/" + name, error);
        }
        for (const auto& [name, address] : names_before_) {
            if (link_of(name) != address) (void)make_link(name, address);
        }
    }

    /// PFs that are back where they were, and not in the file, are forgotten.
    Status close_record() {
        for (auto pf = record_.pfs.begin(); pf != record_.pfs.end();) {
            const auto declared = wish_.declared.find(pf->first);
            const bool in_file = std::ranges::any_of(
                addresses_, [&](const auto& one) { return one.second == pf->first; });
            if (!in_file) {
                pf = record_.pfs.erase(pf);
                continue;
            }
            pf->second.declared = declared == wish_.declared.end() ? decltype(pf->second.declared){}
                                                                   : declared->second;
            ++pf;
        }
        return record_.pfs.empty() ? remove_record(system_.state)
                                   : write_record(system_.state, record_);
    }

    /// Back to what was there when this run began; goes on whatever fails.
    void roll_back() {
        bool whole = true;
        restore_names();
        const auto undo = [&](const Step& step) {
            const Status done = run_step(system_, step);
            if (done) return;
            whole = false;
            report_.errors.push_back("rolling back failed: " + done.error().text);
        };
        for (const auto& [address, before] : begun_) {
            const PfGoal goal = goal_of(before);
            for (const bool counts : {true, false}) {
                const auto now = read_pf(system_, address);
                if (!now) {
                    whole = false;
                    report_.errors.push_back("rolling back failed: " + now.error().text);
                    break;
                }
                for (const Step& step : counts ? count_steps(*now, goal) : vf_steps(*now, goal)) {
                    undo(step);
                }
            }
        }
        if (!whole) {
            report_.errors.emplace_back(
                "what was there before is kept in the record: wyectl host release --yes");
            return;
        }
        report_.errors.emplace_back("everything is as it was before");
        report_.changed = false;
        if (!has_record_) (void)remove_record(system_.state);
    }

    HostSystem& system_;
    SriovReport& report_;
    Descriptor lock_;
    std::map<std::string, std::string> addresses_;  // of the file's devices
    States states_, begun_;
    std::map<std::string, std::string> names_before_;
    Record record_;
    bool has_record_ = false;
    Wish wish_;
};

}  // namespace

SriovReport plan_sriov(HostSystem& system, const HostFile& file, const SriovOptions& options) {
    SriovReport report;
    Session session(system, report);
    if (session.read_all(&file) && session.wish_for(file)) {
        session.say_plan();
        (void)session.check(options.recreate);
    }
    return report;
}

SriovReport apply_sriov(HostSystem& system, const HostFile& file, const SriovOptions& options) {
    SriovReport report;
    Session session(system, report);
    if (session.take_lock() && session.read_all(&file) && session.wish_for(file) &&
        session.check(options.recreate)) {
        session.run();
    }
    return report;
}

SriovReport release_sriov(HostSystem& system, bool really) {
    SriovReport report;
    Session session(system, report);
    if (really && !session.take_lock()) return report;
    if (!session.read_all(nullptr)) return report;
    if (session.nothing_applied()) {
        report.notes.emplace_back("nothing was applied since the machine started");
        return report;
    }
    session.wish_back();
    const bool good = session.check(true);
    if (!really) {
        session.say_plan();
    } else if (good) {
        session.run();
    }
    return report;
}

}  // namespace wye::host
