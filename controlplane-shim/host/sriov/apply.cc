#include "controlplane-shim/host/sriov/apply.hh"

#include <fmt/format.h>

#include <algorithm>

#include "controlplane-shim/host/sriov/vf_names.hh"

namespace wye::host {
namespace {

class Application {
  public:
    Application(HostSystem& system, Survey survey, const Wish& wish, SriovReport& report)
        : system_(system),
          survey_(std::move(survey)),
          record_(survey_.record),
          states_(survey_.states),
          names_before_(names_there(system)),
          wish_(wish),
          report_(report) {}

    Status run() {
        for (const auto& [address, goal] : wish_.goals) {
            record_.pfs.try_emplace(address, Record::Pf{states_.at(address), {}, {}});
        }
        return write_record(system_.state, record_)
            .and_then([&] { return run_counts(); })
            .and_then([&] { return note_fresh(); })
            .and_then([&] { return run_vfs(); })
            .and_then([&] { return verify(); })
            .and_then([&] { return run_names(); })
            .and_then([&] { return close_record(); });
    }

    void roll_back();

  private:
    Status take(const Step& step) {
        report_.steps.push_back(step.text);
        report_.changed = true;
        const Status done = run_step(system_, step);
        if (done) return done;
        return fail(fmt::format("step {} failed: {}", report_.steps.size(), done.error().text));
    }
    Status run_counts();
    Status note_fresh();
    Status run_vfs();
    Status verify();
    Status run_names();
    Status close_record();
    bool undo(const std::string& address, const PfGoal& goal);
    void say_failed(const Error& error) {
        report_.errors.push_back("rolling back failed: " + error.text);
    }

    HostSystem& system_;
    const Survey survey_;  // when this began
    Record record_;
    PfStates states_;  // as read last
    const VfNames names_before_;
    const Wish& wish_;
    SriovReport& report_;
};

Status Application::run_counts() {
    for (const auto& [address, goal] : wish_.goals) {
        const auto steps = count_steps(states_.at(address), goal);
        for (const Step& step : steps) {
            if (const Status done = take(step); !done) return done;
        }
        if (!steps.empty()) record_.pfs[address].fresh.clear();
    }
    return read_again(system_, states_);
}

/// Before an attribute is set: what the VFs had.
Status Application::note_fresh() {
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
        const auto declared = wish_.declared.find(address);
        if (declared == wish_.declared.end()) continue;
        // With the old ones: killed half way, both are ours.
        for (const auto& [number, attributes] : declared->second) {
            overlay(pf.declared[number], attributes);
        }
    }
    return write_record(system_.state, record_);
}

Status Application::run_vfs() {
    for (const auto& [address, goal] : wish_.goals) {
        for (const Step& step : vf_steps(states_.at(address), goal)) {
            if (const Status done = take(step); !done) return done;
        }
    }
    return {};
}

Status Application::verify() {
    if (!report_.changed) return {};
    if (const Status fresh = read_again(system_, states_); !fresh) return fresh;
    for (const auto& [address, goal] : wish_.goals) {
        const auto left = vf_steps(states_.at(address), goal);
        if (left.empty()) continue;
        return fail(left.front().text +
                    ": was taken, but is not there afterwards (the driver cannot do it: leave it "
                    "out)");
    }
    return {};
}

Status Application::run_names() {
    for (const NameStep& step : name_steps(system_, states_, wish_)) {
        report_.steps.push_back(step.text);
        report_.changed = true;
        if (const Status done = run_step(system_, step); !done) return done;
    }
    return {};
}

/// PFs that are back where they were, and not in the file, are forgotten.
Status Application::close_record() {
    for (auto pf = record_.pfs.begin(); pf != record_.pfs.end();) {
        const bool in_file = std::ranges::any_of(
            survey_.addresses, [&](const auto& one) { return one.second == pf->first; });
        if (!in_file) {
            pf = record_.pfs.erase(pf);
            continue;
        }
        pf->second.declared.clear();
        const auto declared = wish_.declared.find(pf->first);
        if (declared != wish_.declared.end()) pf->second.declared = declared->second;
        ++pf;
    }
    return record_.pfs.empty() ? remove_record(system_.state)
                               : write_record(system_.state, record_);
}

/// Goes on whatever fails; false: something did.
bool Application::undo(const std::string& address, const PfGoal& goal) {
    bool whole = true;
    for (const bool counts : {true, false}) {
        const auto now = read_pf(system_, address);
        if (!now) {
            say_failed(now.error());
            return false;
        }
        for (const Step& step : counts ? count_steps(*now, goal) : vf_steps(*now, goal)) {
            const Status done = run_step(system_, step);
            if (done) continue;
            whole = false;
            say_failed(done.error());
        }
    }
    return whole;
}

void Application::roll_back() {
    restore_names(system_, names_before_);
    bool whole = true;
    for (const auto& [address, before] : survey_.states) {
        whole = undo(address, goal_of(before)) && whole;
    }
    if (!whole) {
        report_.errors.emplace_back(
            "what was there before is kept in the record: wyectl host release --yes");
        return;
    }
    report_.errors.emplace_back("everything is as it was before");
    report_.changed = false;
    if (!survey_.has_record) (void)remove_record(system_.state);
}

}  // namespace

void apply_wish(HostSystem& system, Survey survey, const Wish& wish, SriovReport& report) {
    Application application(system, std::move(survey), wish, report);
    const Status done = application.run();
    if (done) return;
    report.errors.push_back(done.error().text);
    application.roll_back();
}

}  // namespace wye::host
