#include "controlplane-shim/cli/worker_commands.hh"

#include <fmt/format.h>

#include <chrono>
#include <thread>
#include <vector>

#include "controlplane-shim/cli/balance.hh"

namespace wye::cli {

using nlohmann::json;

WorkerCommands::WorkerCommands(CLI::App& app) {
    CLI::App* worker = app.add_subcommand("worker", "Change the data plane's workers, live");
    worker->require_subcommand(1);
    worker->fallthrough();
    const auto add = [&](const char* name, const char* words) {
        CLI::App* command = worker->add_subcommand(name, words);
        command->fallthrough();
        command->callback([this, name] { what_ = name; });
        command->add_flag("--json", json_output_, "Print JSON instead of lines");
        return command;
    };
    const auto with_core = [this](CLI::App* command) {
        command->add_option("--core", core_, "The logical CPU to run on, as Linux numbers it")
            ->required()
            ->type_name("CPU");
        command->add_flag("--share", share_, "Also if another worker has this core");
    };
    const auto with_worker = [this](CLI::App* command) {
        command->add_option("worker", worker_, "Its number")->required()->type_name("WORKER");
    };
    with_core(add("add", "Start a worker, and give it its part of the queues"));
    CLI::App* move = add("move", "Move a worker to another core");
    with_worker(move);
    with_core(move);
    with_worker(add("remove", "Give a worker's queues to others, and end it"));
    CLI::App* place = add("place", "Give a queue (show queues) to a worker");
    place->add_option("queue", queue_, "The queue's number")->required()->type_name("QUEUE");
    with_worker(place);
    CLI::App* rebalance = add("rebalance", "Measure the load, and even it out");
    rebalance->add_flag("--dry-run", dry_run_, "Say what would be moved, move nothing");
    rebalance->add_option("--seconds", seconds_, "Measure for so long")
        ->check(CLI::Range(1, 60))
        ->type_name("SECONDS");
}

Result<api::Reply> WorkerCommands::run(api::Client& client) const {
    if (what_ == "rebalance") return rebalance(client);
    json request{{"do", what_}};
    if (worker_) request["worker"] = *worker_;
    if (what_ == "add" || what_ == "move") {
        request["core"] = core_;
        request["share"] = share_;
    }
    if (what_ == "place") request["queue"] = queue_;
    return client.worker(request);
}

Result<api::Reply> WorkerCommands::rebalance(api::Client& client) const {
    const auto before = client.show("queues", json::object());
    if (!before || !before->ok) return before;
    std::this_thread::sleep_for(std::chrono::seconds(seconds_));
    const auto after = client.show("queues", json::object());
    if (!after || !after->ok) return after;
    const auto workers = client.show("workers", json::object());
    if (!workers || !workers->ok) return workers;
    std::vector<std::uint32_t> running;
    for (const json& row : workers->result) {
        if (row.value("state", "") == "running") running.push_back(row["worker"]);
    }
    json rows = json::array();
    for (const QueueMove& move :
         plan_moves(loads_between(before->result, after->result), running)) {
        if (!dry_run_) {
            const auto moved =
                client.worker({{"do", "place"}, {"queue", move.queue}, {"worker", move.to}});
            if (!moved || !moved->ok) return moved;
        }
        rows.push_back({{"change", dry_run_ ? "would be moved" : "moved"},
                        {"kind", "queue"},
                        {"name", fmt::format("{} ({}) from worker {} to worker {}", move.queue,
                                             move.words, move.from, move.to)}});
    }
    return api::Reply{true, std::move(rows), {}};
}

}  // namespace wye::cli
