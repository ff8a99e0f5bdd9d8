// Frames for Linux's own forwarding, as net_wye_source (bench/source-pmd) makes them for applications on
// DPDK: ready-made headers are copied into buffers, which then come in by a device.
//
// The kernel has a source of its own: BPF_PROG_TEST_RUN with BPF_F_TEST_XDP_LIVE_FRAMES runs an XDP
// program on buffers of a page pool, and what it passes goes into the stack in batches of 64, as from a
// driver's poll (Documentation/bpf/bpf_prog_run.rst). The XDP program, written here instruction by
// instruction, copies the next template. All that forwarding costs is done within that system call, by
// this thread, up to the device that it leaves by: so this thread's processor time is the forwarding's.
//
// With `redirect` it is a source for somebody else: the program sends its frames by OUT, a veth whose
// other end then receives them by native XDP, and nothing is captured.
//
// usage: linux_source TEMPLATES COUNTERS CAPTURE IN OUT [redirect]
//   TEMPLATES  frames of 64 bytes
//   COUNTERS   struct shared of source_pmd.c: which templates are wanted; nothing is counted there
//   CAPTURE    pcap file for the first batch that leaves by OUT
//   IN, OUT    devices, which are there once a line has come on the standard input
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr std::size_t kFrame = 64;
constexpr std::size_t kSharedBytes = 128 * 17;
constexpr std::uint32_t kBatch = 64;      // the kernel's own, and what its drivers poll
constexpr std::uint32_t kAtOnce = 65536;  // a call makes a page pool: seldom enough to be nothing

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + std::strerror(errno));
}

long bpf(bpf_cmd command, bpf_attr& attributes) {
    return syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

template <class T>
std::uint64_t address_of(const T* pointer) {
    return reinterpret_cast<std::uint64_t>(pointer);
}

/// What the XDP program reads and writes: a map of one value, in memory that both see.
struct Templates {
    struct Window {
        std::uint64_t next, end, first;
    };
    int map = -1;
    std::uint32_t count = 0;
    std::byte* value = nullptr;

    explicit Templates(const std::vector<char>& frames)
        : count(static_cast<std::uint32_t>(frames.size() / kFrame)) {
        bpf_attr attributes{};
        attributes.map_type = BPF_MAP_TYPE_ARRAY;
        attributes.key_size = sizeof(std::uint32_t);
        attributes.value_size = static_cast<std::uint32_t>((count + 1) * kFrame);
        attributes.max_entries = 1;
        attributes.map_flags = BPF_F_MMAPABLE;
        map = static_cast<int>(bpf(BPF_MAP_CREATE, attributes));
        if (map < 0) fail("cannot make the map of templates");
        void* const at =
            mmap(nullptr, attributes.value_size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
        if (at == MAP_FAILED) fail("cannot map the templates");
        value = static_cast<std::byte*>(at);
        std::memcpy(value + kFrame, frames.data(), count * kFrame);
    }
    /// As source_pmd.c's: a count of 0 is all.
    void choose(std::uint64_t first, std::uint64_t wanted) const {
        const bool good = wanted != 0 && first < count && wanted <= count - first;
        Window window{};
        std::memcpy(&window, value, sizeof window);
        const std::uint64_t end = good ? first + wanted : count;
        if (!good) first = 0;
        if (window.first == first && window.end == end) return;
        window = {first, end, first};
        std::memcpy(value, &window, sizeof window);
    }
};

bpf_insn instruction(int code, unsigned to, unsigned from, int offset, std::int32_t constant) {
    bpf_insn made{};
    made.code = static_cast<std::uint8_t>(code);
    made.dst_reg = static_cast<std::uint8_t>(to & 15);
    made.src_reg = static_cast<std::uint8_t>(from & 15);
    made.off = static_cast<std::int16_t>(offset);
    made.imm = constant;
    return made;
}
bpf_insn load(int size, unsigned to, unsigned from, int offset) {
    return instruction(BPF_LDX | BPF_MEM | size, to, from, offset, 0);
}
bpf_insn store(unsigned to, unsigned from, int offset) {
    return instruction(BPF_STX | BPF_MEM | BPF_DW, to, from, offset, 0);
}
bpf_insn operate(int operation, unsigned to, std::int32_t constant) {
    return instruction(BPF_ALU64 | BPF_K | operation, to, 0, 0, constant);
}
bpf_insn operate_by(int operation, unsigned to, unsigned from) {
    return instruction(BPF_ALU64 | BPF_X | operation, to, from, 0, 0);
}

/// r1 the context, then the map's value; r2 the packet; r3 its end; r5 the template's number.
/// `send_by`: a device that sends the frames; 0: the stack has them.
std::vector<bpf_insn> xdp_program(const Templates& templates, std::uint32_t send_by) {
    std::vector<bpf_insn> code{
        load(BPF_W, 2, 1, offsetof(xdp_md, data)),
        load(BPF_W, 3, 1, offsetof(xdp_md, data_end)),
        operate_by(BPF_MOV, 4, 2),
        operate(BPF_ADD, 4, kFrame),
        instruction(BPF_JMP | BPF_X | BPF_JGT, 4, 3, 0, 0),
        instruction(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_VALUE, 0, templates.map),
        instruction(0, 0, 0, 0, 0),
        load(BPF_DW, 5, 1, offsetof(Templates::Window, next)),
        operate_by(BPF_MOV, 0, 5),
        operate(BPF_ADD, 0, 1),
        load(BPF_DW, 4, 1, offsetof(Templates::Window, end)),
        instruction(BPF_JMP | BPF_X | BPF_JLT, 0, 4, 1, 0),
        load(BPF_DW, 0, 1, offsetof(Templates::Window, first)),
        store(1, 0, offsetof(Templates::Window, next)),
        instruction(BPF_JMP | BPF_K | BPF_JGE, 5, 0, 0, static_cast<std::int32_t>(templates.count)),
        operate(BPF_LSH, 5, 6),
        operate_by(BPF_ADD, 1, 5),
    };
    for (int at = 0; at < static_cast<int>(kFrame); at += 8) {
        code.push_back(load(BPF_DW, 0, 1, static_cast<int>(kFrame) + at));
        code.push_back(store(2, 0, at));
    }
    if (send_by == 0) {
        code.push_back(operate(BPF_MOV, 0, XDP_PASS));
    } else {
        code.push_back(operate(BPF_MOV, 1, static_cast<std::int32_t>(send_by)));
        code.push_back(operate(BPF_MOV, 2, 0));
        code.push_back(instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect));
    }
    code.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    const auto aborted = static_cast<int>(code.size());
    code.push_back(operate(BPF_MOV, 0, XDP_ABORTED));
    code.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
    for (const std::size_t jump : {4u, 14u}) {  // a packet, a number that is out of bounds
        code[jump].off = static_cast<std::int16_t>(aborted - static_cast<int>(jump) - 1);
    }
    return code;
}

int load_program(const std::vector<bpf_insn>& code) {
    std::vector<char> log(65536);
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_XDP;
    attributes.insns = address_of(code.data());
    attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
    attributes.license = address_of("BSD");
    attributes.log_level = 1;
    attributes.log_size = static_cast<std::uint32_t>(log.size());
    attributes.log_buf = address_of(log.data());
    const long program = bpf(BPF_PROG_LOAD, attributes);
    if (program < 0) fail(std::string("the kernel refuses the XDP program: ") + log.data());
    return static_cast<int>(program);
}

/// Lets `count` frames come in; false: a signal came between.
bool receive(int program, std::uint32_t device, std::uint32_t count) {
    static const std::array<char, kFrame> frame{};
    xdp_md context{};
    context.data_end = kFrame;
    context.ingress_ifindex = device;
    bpf_attr attributes{};
    attributes.test.prog_fd = static_cast<std::uint32_t>(program);
    attributes.test.data_in = address_of(frame.data());
    attributes.test.data_size_in = kFrame;
    attributes.test.ctx_in = address_of(&context);
    attributes.test.ctx_size_in = sizeof context;
    attributes.test.repeat = count;
    attributes.test.batch_size = kBatch;
    attributes.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    if (bpf(BPF_PROG_TEST_RUN, attributes) == 0) return true;
    if (errno != EINTR && errno != EAGAIN) fail("the kernel does not run the XDP program");
    return false;
}

/// What leaves by a device, as net_wye_source writes it.
class Capture {
  public:
    explicit Capture(std::uint32_t device)
        : socket_(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))) {
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(device);
        if (socket_ < 0 ||
            bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            fail("cannot capture");
        }
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    ~Capture() { close(socket_); }

    void write(const char* path) const {
        std::ofstream file(path, std::ios::binary);
        const std::array<std::uint32_t, 6> header{0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
        file.write(reinterpret_cast<const char*>(header.data()), sizeof header);
        std::array<char, 2048> frame{};
        ssize_t bytes = 0;
        while ((bytes = recv(socket_, frame.data(), frame.size(), MSG_DONTWAIT)) > 0) {
            const auto length = static_cast<std::uint32_t>(bytes);
            const std::array<std::uint32_t, 4> record{0, 0, length, length};
            file.write(reinterpret_cast<const char*>(record.data()), sizeof record);
            file.write(frame.data(), bytes);
        }
    }

  private:
    int socket_;
};

volatile std::uint64_t* open_counters(const char* path) {
    const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, kSharedBytes) != 0) fail(path);
    void* const at = mmap(nullptr, kSharedBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) fail(path);
    close(file);
    return static_cast<volatile std::uint64_t*>(at);
}

std::uint32_t device(const char* name) {
    const unsigned number = if_nametoindex(name);
    if (number == 0) fail(name);
    return number;
}

void run(char** arguments, bool redirect) {
    volatile std::uint64_t* const wanted = open_counters(arguments[2]);
    std::string line;
    if (!std::getline(std::cin, line))
        throw std::runtime_error("nobody says that the devices are there");
    std::ifstream file(arguments[1], std::ios::binary);
    const Templates templates({std::istreambuf_iterator<char>(file), {}});
    if (templates.count == 0) throw std::runtime_error("there are no templates");
    const std::uint32_t in = device(arguments[4]), out = device(arguments[5]);
    const int program = load_program(xdp_program(templates, redirect ? out : 0));
    templates.choose(wanted[0], wanted[1]);
    if (!redirect) {
        const Capture capture(out);
        while (!receive(program, in, kBatch)) continue;
        capture.write(arguments[3]);
    }
    for (;;) {
        templates.choose(wanted[0], wanted[1]);
        (void)receive(program, in, kAtOnce);
    }
}

}  // namespace

int main(int count, char** arguments) {
    const bool redirect = count == 7 && std::strcmp(arguments[6], "redirect") == 0;
    if (count != 6 && !redirect) {
        std::fprintf(stderr, "usage: linux_source TEMPLATES COUNTERS CAPTURE IN OUT [redirect]\n");
        return 2;
    }
    try {
        run(arguments, redirect);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "linux_source: %s\n", error.what());
        return 1;
    }
    return 0;
}
