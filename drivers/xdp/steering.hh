// Steering: the XDP program (steer.bpf.c) that gives the router its frames of an interface and leaves
// the rest with the kernel.
//
// Life: load (the kernel verifies it, and we verify what was loaded), attach, set_socket for each queue.
// It stays attached when the router ends: without sockets it passes everything on, and taking it off
// would make many drivers set up their queues anew, which costs the kernel frames. A later start
// replaces it in one step. A program that is not ours is never touched. docs/adr/0016-af-xdp.md.
//
// Needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; nothing of it is needed again later.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/result.hh"
#include "drivers/ethdev/port_specification.hh"

namespace wye::drivers {

class Steering {
  public:
    /// Errors carry what the kernel's verifier said. `queues`: of the interface.
    static Result<std::unique_ptr<Steering>> load(const XdpSpecification& rules,
                                                  std::uint32_t queues);
    ~Steering();  // the program stays attached
    Steering(const Steering&) = delete;
    Steering& operator=(const Steering&) = delete;

    /// Native where the driver can, or as asked for. Refused if another program is there.
    Status attach(unsigned interface_index, XdpMode wanted);
    /// Takes it off again, if there was none before attach(): for a start that fails.
    void undo();
    /// From now on the router's frames of that queue go to the socket.
    Status set_socket(std::uint32_t queue, int socket);

    [[nodiscard]] bool native() const { return native_; }
    /// As the kernel says now: "native", "generic", "offloaded"; "off": somebody took it off.
    [[nodiscard]] std::string mode_in_use() const;
    /// Of a predecessor that has ended.
    [[nodiscard]] bool took_over() const { return took_over_; }
    /// Why it is not native although that was tried; else empty.
    [[nodiscard]] const std::string& why_generic() const { return why_generic_; }
    /// The program's descriptor, for tests.
    [[nodiscard]] int program() const;

  private:
    struct Object;
    Steering();
    Status verify(std::uint32_t queues) const;
    Status try_mode(bool native);
    Status find_predecessor();
    Status take_off(std::uint32_t mode);

    std::unique_ptr<Object> object_;
    unsigned interface_ = 0;
    bool native_ = false;
    bool attached_ = false;
    bool took_over_ = false;
    std::string why_generic_;
};

}  // namespace wye::drivers
