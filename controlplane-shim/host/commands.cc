#include "controlplane-shim/host/commands.hh"

namespace wye::host {

Commands::Commands(CLI::App& app)
    : host_(app.add_subcommand("host", "Look at and prepare this machine; asks no shim")) {
    host_->require_subcommand(1);
    add_placement();
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

int Commands::run() {
    return run_placement(placement_options_);
}

}  // namespace wye::host
