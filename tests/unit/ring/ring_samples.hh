// What the tests of the channel send: commands that carry their own number and their batch.
#pragma once

#include <cstdint>
#include <cstring>

#include "dataplane/ring/vocabulary.hh"

namespace wye::ring {

struct Sample {
    std::uint32_t batch;
    std::uint32_t position;
    std::uint32_t size;  // of the batch
    std::uint32_t echo;  // batch again at the end of the body, to see torn copies
};

inline Command make_sample(std::uint32_t sequence, Sample sample) {
    Command command;
    command.header.opcode = Opcode::route_set;
    command.header.sequence = sequence;
    std::memcpy(command.body.bytes.data(), &sample, sizeof sample);
    std::memcpy(command.body.bytes.data() + sizeof command.body.bytes - sizeof sample.batch,
                &sample.batch, sizeof sample.batch);
    return command;
}

inline Sample read_sample(const Command& command) {
    Sample sample{};
    std::memcpy(&sample, command.body.bytes.data(), sizeof sample);
    std::memcpy(&sample.echo,
                command.body.bytes.data() + sizeof command.body.bytes - sizeof sample.echo,
                sizeof sample.echo);
    return sample;
}

}  // namespace wye::ring
