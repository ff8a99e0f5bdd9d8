// wye-dataplane: the fast path of wye. docs/man/wye-dataplane.8 describes it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "dataplane/base/instruction_set.hh"
#include "dataplane/main/configuration.hh"
#include "dataplane/main/dataplane.hh"
#include "dataplane/main/exit_code.hh"
#include "dataplane/main/notify.hh"

namespace {

using namespace wye;
using namespace wye::dataplane;

int code_of(ExitCode code) {
    return static_cast<int>(code);
}

int fail_with(const Failure& failure) {
    say(failure.text);
    return code_of(failure.code);
}

int run(const std::string& path, bool check_only) {
    ConfigurationResult read = read_configuration(path);
    for (const std::string& problem : read.problems) {
        std::fprintf(stderr, "%s\n", problem.c_str());
    }
    if (!read.problems.empty()) return code_of(ExitCode::configuration);
    if (const char* const setting = std::getenv(kInstructionSetVariable);
        setting != nullptr && !instruction_set_of(setting)) {
        return fail_with({ExitCode::configuration,
                          std::string(kInstructionSetVariable) + "=" + setting +
                              ": should be one of x86-64-v2, avx2, avx512, or not set"});
    }
    const Status found = find_ports(read.configuration, wye::drivers::SysTree());
    if (!found) return fail_with({ExitCode::device, found.error().text});
    if (check_only) {
        if (const auto good = check_cores(read.configuration); !good)
            return fail_with(good.error());
        std::printf("%s: good\n", path.c_str());
        return code_of(ExitCode::ok);
    }
    auto dataplane = Dataplane::start(read.configuration);
    if (!dataplane) return fail_with(dataplane.error());
    return code_of((*dataplane)->run());
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("wye-dataplane: the fast path of the wye software router");
    std::string path;
    bool check_only = false;
    app.add_option("--config", path, "the machine's configuration (docs/configuration.md)")
        ->required()
        ->type_name("FILE");
    app.add_flag("--check", check_only, "check the configuration and the cores, start nothing");
    app.set_version_flag("--version", "wye-dataplane " WYE_VERSION);
    try {
        app.parse(argc, argv);
        return run(path, check_only);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? code_of(ExitCode::ok) : code_of(ExitCode::usage);
    } catch (const std::exception& error) {
        say(error.what());
        return code_of(ExitCode::failed);
    }
}
