// wyectl: asks a running wye-shim; `wyectl host` looks at the machine itself. Options and exit codes:
// docs/man/wyectl.1.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "controlplane-shim/api/client.hh"
#include "controlplane-shim/api/columns.hh"
#include "controlplane-shim/cli/instance.hh"
#include "controlplane-shim/cli/table.hh"
#include "controlplane-shim/cli/worker_commands.hh"
#include "controlplane-shim/host/commands.hh"

namespace wye::cli {
namespace {

using nlohmann::json;

enum ExitCode : int { kDone = 0, kRefused = 1, kUsage = 2, kNoShim = 3 };

struct Options {
    std::string socket, instance;
    std::string file;  // apply
    std::string what;  // show
    std::map<std::string, std::string> filters;
    bool nonzero = false;
    bool failed = false;
    bool json_output = false;
};

int complain(const std::string& text, ExitCode code) {
    std::fprintf(stderr, "wyectl: %s\n", printable(text).c_str());
    return code;
}

std::string environment(const char* name, const char* otherwise) {
    const char* value = std::getenv(name);
    return value == nullptr || *value == '\0' ? otherwise : value;
}

/// Words for the --help of each filter.
const std::map<std::string_view, std::string>& filter_words() {
    static const std::map<std::string_view, std::string> words{
        {"tenant", "only of this tenant"},
        {"vrf", "only of this VRF"},
        {"port", "only of this port"},
        {"prefix", "only the route with exactly this prefix"},
        {"match", "only the route of the longest match for this address, in each VRF"},
        {"nonzero", "only rows with a count that is not zero"},
        {"failed", "only what is not in the fast path as FRR wants it, with the reason"},
    };
    return words;
}

void add_show(CLI::App& app, Options& options) {
    CLI::App* show = app.add_subcommand("show", "Show what is there");
    show->require_subcommand(1);
    show->fallthrough();
    for (const api::Show& one : api::shows()) {
        const std::string what(one.what);
        CLI::App* command = show->add_subcommand(what, std::string(one.words));
        command->fallthrough();
        command->callback([&options, what] { options.what = what; });
        command->add_flag("--json", options.json_output, "Print JSON instead of a table");
        for (const std::string_view filter : one.filters) {
            const std::string name(filter);
            if (filter == "nonzero") {
                command->add_flag("--nonzero", options.nonzero, filter_words().at(filter));
            } else if (filter == "failed") {
                command->add_flag("--failed", options.failed, filter_words().at(filter));
            } else {
                command->add_option("--" + name, options.filters[name], filter_words().at(filter))
                    ->type_name(filter == "prefix" ? "PREFIX"
                                                   : (filter == "match" ? "ADDRESS" : "NAME"));
            }
        }
    }
}

json filter_of(const Options& options) {
    json filter = json::object();
    for (const auto& [key, value] : options.filters) {
        if (!value.empty()) filter[key] = value;
    }
    if (options.nonzero) filter["nonzero"] = true;
    if (options.failed) filter["failed"] = true;
    return filter;
}

/// Prints the answer, or what was refused, one a line.
int print(const Result<api::Reply>& reply, const Options& options) {
    if (!reply) return complain(reply.error().text, kNoShim);
    if (!reply->ok) {
        for (const std::string& error : reply->errors) {
            std::fprintf(stderr, "%s\n", printable(error).c_str());
        }
        return kRefused;
    }
    const std::string out =
        options.json_output
            ? reply->result.dump(2, ' ', false, json::error_handler_t::replace) + "\n"
        : options.what.empty() ? render_changes(reply->result)
                               : render_show(options.what, reply->result);
    std::fputs(out.c_str(), stdout);
    return kDone;
}

/// The manifest's text, from the file or ("-") the standard input.
bool read_manifest(const std::string& path, std::string& text) {
    errno = 0;
    std::ifstream file;
    if (path != "-") file.open(path, std::ios::binary);
    std::istream& in = path == "-" ? std::cin : file;
    if (!in) return false;
    std::ostringstream all;
    all << in.rdbuf();
    text = all.str();
    return !text.empty() || errno == 0;  // a directory opens, but does not read
}

int run(Options& options, const WorkerCommands& workers) {
    const json filter = filter_of(options);
    if (!options.what.empty()) {
        const auto problems = api::check_filter(options.what, filter);
        for (const std::string& problem : problems) complain(problem, kUsage);
        if (!problems.empty()) return kUsage;
    }
    std::string text;
    if (options.what.empty() && !workers.chosen() && !read_manifest(options.file, text)) {
        return complain("cannot read " + options.file + ": " + std::strerror(errno), kUsage);
    }
    if (options.socket.empty()) {
        const Found found = find_socket(environment("WYE_RUN_DIR", "/run/wye"), options.instance);
        if (found.socket.empty()) return complain(found.error, found.usage ? kUsage : kNoShim);
        options.socket = found.socket;
    }
    auto client = api::Client::connect(options.socket);
    if (!client) return complain(client.error().text, kNoShim);
    if (workers.chosen()) {
        options.json_output = workers.json_output();
        return print(workers.run(*client), options);
    }
    const std::string file = options.file == "-" ? "standard input" : options.file;
    return print(
        options.what.empty() ? client->apply(file, text) : client->show(options.what, filter),
        options);
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app{"Asks and changes a running wye router", "wyectl"};
    app.set_version_flag("--version", "wyectl " WYE_VERSION);
    app.require_subcommand(1);
    app.footer(
        "Everywhere: --socket PATH or --instance NAME (default: WYE_INSTANCE, or the only one).\n"
        "Exit codes: 0 done, 1 refused by the shim, 2 wrong usage, 3 no shim answers.");
    CLI::Option* socket =
        app.add_option("--socket", options.socket, "The shim's socket")->type_name("PATH");
    options.instance = environment("WYE_INSTANCE", "");
    app.add_option("--instance", options.instance,
                   "The instance; default: WYE_INSTANCE, or the only one that runs")
        ->type_name("NAME")
        ->excludes(socket);
    CLI::App* apply = app.add_subcommand("apply", "Make a manifest the one in force");
    apply->fallthrough();
    apply->add_option("-f,--file", options.file, "The manifest; - reads the standard input")
        ->required()
        ->type_name("FILE");
    apply->add_flag("--json", options.json_output, "Print JSON instead of lines");
    add_show(app, options);
    const WorkerCommands workers(app);
    host::Commands host(app);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // help, version
        return complain(std::string(error.what()) + " (see wyectl --help)", kUsage);
    }
    return host.chosen() ? host.run() : run(options, workers);
}

}  // namespace
}  // namespace wye::cli

int main(int argc, char** argv) {
    return wye::cli::run(argc, argv);
}
