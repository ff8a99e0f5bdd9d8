// wye-shim: what stands between FRR, the manifest, the kernel and the data plane.
// docs/man/wye-shim.8 describes it.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>

#include "controlplane-shim/main/loop.hh"
#include "controlplane-shim/main/privileges.hh"
#include "dataplane/base/systemd.hh"

namespace {

using namespace wye;
using shim::say;

enum ExitCode : int {
    kOk = 0,        // ended by SIGTERM or SIGINT
    kFailed = 1,    // anything without a code of its own
    kUsage = 2,     // wrong command line
    kManifest = 3,  // the manifest has problems, or the kernel lacks what it names; each printed
    kRunDir = 4,    // the run directory or a socket in it cannot be made
    kRunning = 5,   // another wye-shim has this instance
};

struct Arguments {
    std::string manifest, instance = "wye", run_dir, zebra_socket;
    std::vector<std::string> bfdds;
};

int fail_with(ExitCode code, const std::string& text) {
    say(text);
    return code;
}

/// The lock is held until the process ends, however it ends.
Descriptor lock_instance(const std::string& path, bool& taken) {
    Descriptor lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    taken = lock.valid() && flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    return lock;
}

int serve(const Arguments& arguments, Descriptor signals, const manifest::Manifest& manifest) {
    state::StateOptions options;
    options.instance = arguments.instance;
    options.run_dir = arguments.run_dir;
    options.zebra_expected = !arguments.zebra_socket.empty();
    options.log = say;
    state::State state(options);
    auto kernel = kernel::LinuxKernel::create(arguments.instance, state);
    if (!kernel) return fail_with(kFailed, kernel.error().text);
    std::unique_ptr<frr::RouteSource> routes;
    if (!arguments.zebra_socket.empty()) {
        auto made = frr::make_route_source(arguments.zebra_socket, state);
        if (!made) return fail_with(kRunDir, made.error().text);
        routes = std::move(*made);
    }
    state.wire(**kernel, routes.get());
    std::unique_ptr<bfdd::Links> bfdds;
    if (!arguments.bfdds.empty()) {
        std::vector<bfdd::Address> addresses;
        for (const std::string& text : arguments.bfdds) {
            auto address = bfdd::parse_address(text);
            if (!address) return fail_with(kUsage, address.error().text);
            addresses.push_back(std::move(*address));
        }
        auto made = bfdd::Links::make(std::move(addresses), state.bfd());
        if (!made) return fail_with(kFailed, made.error().text);
        bfdds = std::move(*made);
        state.bfd().wire(*bfdds);
    }
    const std::vector<std::string> errors = state.apply_manifest(manifest);
    for (const std::string& error : errors) say(error);
    if (!errors.empty()) return kManifest;
    auto server = api::Server::listen(arguments.run_dir + "/shim.sock", state);
    if (!server) return fail_with(kRunDir, server.error().text);
    if (const Status dropped = shim::drop_privileges(); !dropped)
        return fail_with(kFailed, dropped.error().text);
    std::printf("wye-shim: ready, instance %s, manifest %s\n", arguments.instance.c_str(),
                arguments.manifest.c_str());
    std::fflush(stdout);
    tell_systemd_ready();
    shim::Loop loop({state, **kernel, routes.get(), bfdds.get(), *server,
                     arguments.run_dir + "/dataplane.sock", arguments.manifest},
                    std::move(signals));
    const Status ended = loop.run();
    return ended ? kOk : fail_with(kFailed, ended.error().text);
}

int run(Arguments arguments) {
    Descriptor signals = shim::catch_signals();
    if (arguments.run_dir.empty()) arguments.run_dir = "/run/wye/" + arguments.instance;
    const manifest::Loaded loaded = manifest::load_manifest_file(arguments.manifest);
    for (const manifest::Problem& problem : loaded.problems)
        std::fprintf(stderr, "%s\n", problem.to_string().c_str());
    if (!loaded.manifest) return kManifest;
    std::error_code error;
    std::filesystem::create_directories(arguments.run_dir, error);
    if (error) return fail_with(kRunDir, arguments.run_dir + " cannot be made: " + error.message());
    bool taken = false;
    const std::string lock_file = arguments.run_dir + "/shim.lock";
    const Descriptor lock = lock_instance(lock_file, taken);
    if (!lock.valid())
        return fail_with(kRunDir, lock_file + " cannot be opened: " + std::strerror(errno));
    if (taken) {
        return fail_with(kRunning, "another wye-shim has the instance " + arguments.instance +
                                       ": stop it, or give another --instance and --run-dir");
    }
    return serve(arguments, std::move(signals), *loaded.manifest);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("wye-shim: routes, manifest and kernel of the wye software router");
    Arguments arguments;
    app.add_option("--manifest", arguments.manifest, "tenants, VRFs, vports, tunnels and ACLs")
        ->required()
        ->type_name("FILE");
    app.add_option("--instance", arguments.instance, "name of this router on the machine")
        ->type_name("NAME")
        ->capture_default_str();
    app.add_option("--run-dir", arguments.run_dir, "where the data plane's socket is")
        ->type_name("PATH")
        ->default_str("/run/wye/NAME");
    app.add_option("--zebra-socket", arguments.zebra_socket,
                   "listen here for zebra's plugin; without it there is no FRR")
        ->type_name("PATH");
    app.add_option(
           "--bfdd", arguments.bfdds,
           "connect to FRR's bfdd there: unix:/PATH, or VRF=unix:/PATH for one that speaks for "
           "one VRF; may be repeated")
        ->type_name("ADDRESS");
    app.set_version_flag("--version", "wye-shim " WYE_VERSION);
    try {
        app.parse(argc, argv);
        return run(arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kOk : kUsage;
    } catch (const std::exception& error) {
        say(error.what());
        return kFailed;
    }
}
