// The command loop: takes batches, executes in order, publishes the epoch, completes.
#pragma once

#include "dataplane/control/answer.hh"
#include "dataplane/ring/vocabulary.hh"

namespace wye::control {

struct Core;

/// One command, whatever its bytes are.
Answer execute(Core& core, ring::Stream stream, const ring::Command& command);

/// Takes and executes a bounded batch of the stream. True if there was anything.
bool run_stream(Core& core, ring::Stream stream);
/// Publishes what the batch changed as one epoch.
void publish_epoch(Core& core);
/// Completions of the batch, all of them with the present epoch.
void complete(Core& core, ring::Stream stream);
/// Epochs that all workers have passed: deferred work is done, memory is free again. True if any.
bool advance_reached(Core& core);

/// What the session began and did not finish is undone.
void undo_unfinished(Core& core);

}  // namespace wye::control
