// wye-arena: looks into the tables of a data plane from outside. docs/man/wye-arena.8 describes it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include "dataplane/tools/commands.hh"
#include "dataplane/tools/source.hh"

namespace wye::tools {
namespace {

enum ExitCode : int { kDone = 0, kFault = 1, kUsage = 2, kNoArena = 3, kNoLease = 4 };

struct Options {
    std::string run_dir, file;
    std::uint32_t milliseconds = 1000;
    bool json_output = false;
    Question question;
};

/// One try: an answer, or why not.
struct Outcome {
    ExitCode code = kDone;
    std::string text;   // the answer or the error
    bool once = false;  // no other try can help
};

/// Only of one state is a digest a digest, and a verdict a verdict.
bool needs_one_state(const Question& question) {
    return question.command == "digest" || question.command == "check";
}

Outcome ask(const Options& options) {
    auto source =
        options.file.empty()
            ? Source::live(options.run_dir, std::chrono::milliseconds(options.milliseconds))
            : Source::file(options.file);
    if (!source) return {kNoArena, source.error().text, true};
    const auto said = answer(**source, options.question);
    const auto one_state = (*source)->finish();
    // What was read under a lease that did not hold says nothing, be it an answer or a fault.
    if (!one_state) return {kNoLease, one_state.error().text, false};
    if (!said) return {kFault, said.error().text, *one_state};
    if (!*one_state && needs_one_state(options.question)) {
        return {kNoLease, "the tables changed while they were read", false};
    }
    return {kDone, options.json_output ? said->dump(2) + "\n" : as_text(options.question, *said),
            true};
}

int run(const Options& options) {
    constexpr int kTries = 5;
    Outcome outcome;
    for (int i = 0; i < kTries; ++i) {
        if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(50 << i));
        outcome = ask(options);
        if (outcome.once) break;
    }
    if (outcome.code == kDone) {
        std::fputs(outcome.text.c_str(), stdout);
    } else {
        fmt::print(stderr, "wye-arena: {}\n", outcome.text);
    }
    return outcome.code;
}

CLI::App* add_command(CLI::App& app, Options& options, const std::string& name,
                      const std::string& words) {
    CLI::App* command = app.add_subcommand(name, words);
    command->fallthrough();
    command->callback([&options, name] { options.question.command = name; });
    return command;
}

int main_of(int argc, char** argv) {
    Options options;
    CLI::App app{"Looks into the tables of a data plane, from outside and read-only", "wye-arena"};
    app.set_version_flag("--version", "wye-arena " WYE_VERSION);
    app.require_subcommand(1);
    app.footer(
        "Exit codes: 0 done, 1 a fault in the tables or nothing of that name, 2 wrong usage,\n"
        "3 no arena or no data plane, 4 the lease did not hold or the tables kept changing.");
    CLI::Option* run_dir =
        app.add_option("--run-dir", options.run_dir, "of a running data plane: /run/wye/INSTANCE")
            ->type_name("DIR");
    app.add_option("--file", options.file, "an arena that no process uses any more")
        ->type_name("PATH")
        ->excludes(run_dir);
    app.add_option("--lease", options.milliseconds, "how long the tables may be held, in ms")
        ->check(CLI::Range(1, 1000))
        ->type_name("MS");
    app.add_flag("--json", options.json_output, "print JSON instead of text");
    add_command(app, options, "summary", "What is there, and how large it is");
    CLI::App* routes = add_command(app, options, "routes", "The routes installed in a VRF");
    CLI::App* lookup =
        add_command(app, options, "lookup", "Where the workers' lookup sends an address");
    for (CLI::App* command : {routes, lookup}) {
        command->add_option("vrf", options.question.vrf, "the VRF's name")->required();
    }
    lookup->add_option("address", options.question.address, "IPv4 or IPv6")->required();
    add_command(app, options, "digest", "A digest of each VRF's routes, to compare two states");
    add_command(app, options, "check", "Whether everything in the tables leads to something");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kDone : kUsage;
    }
    if (options.run_dir.empty() == options.file.empty()) {
        fmt::print(stderr, "wye-arena: --run-dir DIR or --file PATH is needed\n");
        return kUsage;
    }
    return run(options);
}

}  // namespace
}  // namespace wye::tools

int main(int argc, char** argv) {
    return wye::tools::main_of(argc, argv);
}
