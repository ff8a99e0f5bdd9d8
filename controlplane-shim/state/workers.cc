// Workers and queues: asked for once, by a person, and passed on to the data plane.
#include "controlplane-shim/state/state.hh"
#include "dataplane/table/counter_file.hh"

namespace wye::state {
namespace {

using What = api::WorkerRequest::What;

ring::Command command_of(const api::WorkerRequest& request, std::uint32_t worker) {
    ring::Command command;
    if (request.what == What::place) {
        command.header.opcode = ring::Opcode::queue_place;
        command.body.queue = {request.queue, worker};
        return command;
    }
    command.header.opcode = request.what == What::add    ? ring::Opcode::worker_add
                            : request.what == What::move ? ring::Opcode::worker_move
                                                         : ring::Opcode::worker_remove;
    command.body.worker = {worker, request.core, static_cast<std::uint8_t>(request.share), {}};
    return command;
}

const char* change_of(What what) {
    switch (what) {
        case What::add:
            return "added";
        case What::remove:
            return "removed";
        case What::move:
        case What::place:
            return "moved";
    }
    return "?";
}

}  // namespace

/// The lowest number without a thread, as the counter file says.
std::optional<std::uint32_t> State::free_worker() const {
    const auto file = table::CounterFile::open_read_only(options_.run_dir + "/counters");
    if (!file) return std::nullopt;
    for (std::uint32_t i = 0; i < file->limits().workers; ++i) {
        if (table::is_host_block(file->limits(), i)) break;
        const auto report = file->record(WorkerId{i}).read();
        if (report && report->state == table::WorkerState::absent) return i;
    }
    return std::nullopt;
}

api::Reply State::worker(const api::WorkerRequest& request) {
    const std::vector<std::string> silent{"the data plane went away or did not answer in time"};
    if (sink_ == nullptr) return {false, nullptr, {"there is no session with a data plane"}};
    const auto worker = request.worker ? request.worker : free_worker();
    if (!worker) {
        return {false,
                nullptr,
                {"there is no room for another worker: raise max_workers in the data plane's "
                 "configuration and restart it"}};
    }
    if (!wait_until([&] { return policy_replayed_ && policy_.settled(); })) {
        return {false, nullptr, silent};
    }
    const bool is_queue = request.what == What::place;
    const std::string name = std::to_string(*worker);
    const std::string of_queue = is_queue ? " for queue " + std::to_string(request.queue) : "";
    std::vector<std::string> errors =
        run_commands({{command_of(request, *worker), ring::ObjectKind::worker, name + of_queue}});
    if (sink_ == nullptr) errors = silent;
    if (!errors.empty()) return {false, nullptr, std::move(errors)};
    return {
        true,
        nlohmann::json::array(
            {{{"change", change_of(request.what)},
              {"kind", is_queue ? "queue" : "worker"},
              {"name", is_queue ? std::to_string(request.queue) + " to worker " + name : name}}}),
        {}};
}

}  // namespace wye::state
