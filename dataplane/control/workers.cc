// Workers are no objects of the tables: the commands go on to whoever owns the threads.
#include "dataplane/control/core.hh"
#include "dataplane/control/families.hh"
#include "dataplane/control/fields.hh"

namespace wye::control {

Answer change_worker(Core& core, ring::Opcode opcode, const ring::WorkerChange& command) {
    WorkerKeeper* keeper = core.wiring.workers;
    if (keeper == nullptr) return refuse(ring::Outcome::no_such_worker);
    if (command.shares_core > 1) return malformed(WYE_FIELD(WorkerChange, shares_core));
    const bool shares = command.shares_core == 1;
    switch (opcode) {
        case ring::Opcode::worker_add:
            return {keeper->add(command.worker, command.core, shares)};
        case ring::Opcode::worker_move:
            return {keeper->move(command.worker, command.core, shares)};
        default:
            return {keeper->remove(command.worker)};
    }
}

Answer place_queue(Core& core, const ring::QueuePlace& command) {
    WorkerKeeper* keeper = core.wiring.workers;
    if (keeper == nullptr) return refuse(ring::Outcome::no_such_queue);
    return {keeper->place(command.queue, command.worker)};
}

}  // namespace wye::control
