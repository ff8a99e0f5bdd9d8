// What the generator and the device that it is tested with have in common: how a program begins and
// ends, and its ports. All of it throws std::runtime_error with what is wrong and what to do.
#pragma once

#include <rte_eal.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>

struct rte_mempool;

namespace wye::rfc2544 {

/// main() of such a program: EAL takes its own options, body(count, words) gets the rest, before which
/// there is the program's name. Returns the exit code.
template <class Body>
int run_program(const char* name, int count, char** words, Body body) {
    try {
        const int used = rte_eal_init(count, words);
        if (used < 0) throw std::runtime_error("DPDK does not start");
        body(count - used, words + used);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << name << ": " << error.what() << '\n';
        return 1;
    }
}

/// Buffers for frames of at most `longest` bytes: for those under way, and for what these ports' queues
/// hold.
rte_mempool* make_buffers(std::size_t longest, std::span<const std::uint16_t> ports,
                          std::uint16_t descriptors);

/// One queue each way, promiscuous, for frames of at most `longest` bytes (without check sequence).
void start_port(std::uint16_t port, std::size_t longest, std::uint16_t descriptors,
                rte_mempool* buffers);

void close_ports(std::span<const std::uint16_t> ports);

}  // namespace wye::rfc2544
