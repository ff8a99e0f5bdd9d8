#include "controlplane-shim/host/commands.hh"

namespace wye::host {

Commands::Commands(CLI::App& app)
    : host_(app.add_subcommand("host", "Look at and prepare this machine; asks no shim")) {
    host_->require_subcommand(1);
    add_placement();
    add_sriov();
}

void Commands::add_placement() {
    PlacementOptions& options = placement_options_;
    placement_ = host_->add_subcommand(
        "placement", "Plan where workers, queues, buffers and the other threads go");
    placement_
        ->add_option("--config", options.config,
                     "The data plane's configuration; without it every NIC counts as a port")
        ->type_name("FILE");
    placement_
        ->add_option("--workers", options.workers,
                     "Propose so many (or auto), whatever the configuration has")
        ->type_name("N");
    placement_->add_option("--svg", options.svg, "Draw the plan into this file")->type_name("FILE");
    auto* json = placement_->add_flag("--json", options.json, "Print JSON instead of lines");
    placement_
        ->add_flag("--yaml", options.yaml, "Print the section \"workers:\" of dataplane.yaml alone")
        ->excludes(json);
    auto* topology =
        placement_
            ->add_option("--topology", options.topology,
                         "Another machine: hwloc's XML file, or its synthetic notation")
            ->type_name("XML|TEXT");
    placement_
        ->add_option("--isolated", options.isolated, "Isolated CPUs of that other machine, as 2-7")
        ->type_name("LIST")
        ->needs(topology);
}

void Commands::add_sriov() {
    using What = SriovCommand::What;
    const auto add = [this](What what, const char* name, const char* words) {
        CLI::App* command = host_->add_subcommand(name, words);
        command->callback([this, what] { sriov_.what = what; });
        command->add_flag("--json", sriov_.json, "Print JSON instead of lines");
        return command;
    };
    CLI::App* plan = add(What::plan, "plan", "Say what apply would do; changes nothing");
    CLI::App* apply =
        add(What::apply, "apply", "Make the VFs that host.yaml asks for; with --yes, else a plan");
    CLI::App* release =
        add(What::release, "release", "Bring back what was there before; with --yes, else a plan");
    for (CLI::App* command : {plan, apply}) {
        command->add_option("-f,--file", sriov_.file, "The VFs that there should be")
            ->type_name("FILE")
            ->capture_default_str();
        command->add_flag("--recreate", sriov_.recreate,
                          "Remove VFs that are there, where another number is asked for");
    }
    for (CLI::App* command : {apply, release}) {
        command->add_flag("--yes", sriov_.yes, "Do it");
    }
    apply
        ->add_option("--wait", sriov_.wait_seconds,
                     "Wait for NICs that are not there yet, as after a start of the machine")
        ->type_name("SECONDS")
        ->check(CLI::Range(0, 600));
}

int Commands::run() {
    return placement_->parsed() ? run_placement(placement_options_) : run_sriov(sriov_);
}

}  // namespace wye::host
