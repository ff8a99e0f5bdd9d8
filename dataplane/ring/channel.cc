#include "dataplane/ring/channel.hh"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "dataplane/base/check.hh"
#include "dataplane/base/descriptor.hh"
#include "dataplane/ring/shared_ring.hh"

namespace wye::ring {
namespace {

constexpr std::uint64_t kChannelMagic = 0x6c6e6863'31657977;  // "wye1chnl"
constexpr std::uint32_t kChannelLayout = 1;
constexpr std::uint32_t kMaxSlots = 1u << 20;
constexpr std::size_t kStreams = 2;

using Flag = std::atomic<std::uint32_t>;
static_assert(Flag::is_always_lock_free, "flags are shared between processes");

struct alignas(64) PaddedFlag {
    Flag value{0};
};

struct ChannelHeader {
    std::uint64_t magic = kChannelMagic;
    std::uint64_t bytes = 0;
    std::uint32_t layout = kChannelLayout;
    std::uint32_t command_size = sizeof(Command);
    std::uint32_t completion_size = sizeof(Completion);
    std::uint32_t event_size = sizeof(Event);
    ChannelSizes sizes;
    // A reader sets its flag before it sleeps, a writer takes it and rings the bell.
    PaddedFlag control_asleep, shim_asleep;
    // A producer that found no room sets its ring's flag, the consumer takes it and rings.
    std::array<PaddedFlag, kStreams> command_room_wanted, completion_room_wanted;
};

constexpr std::size_t kAlignment = 128;
constexpr std::size_t align_up(std::size_t n) noexcept {
    return (n + kAlignment - 1) / kAlignment * kAlignment;
}

/// Where everything is, from the sizes alone: both sides compute it, nothing of it is shared.
struct Layout {
    std::array<std::size_t, kStreams> commands{}, completions{};
    std::size_t events = 0;
    std::size_t bytes = 0;

    explicit Layout(const ChannelSizes& sizes) noexcept {
        std::size_t end = align_up(sizeof(ChannelHeader));
        const auto take = [&end](std::size_t n) { return std::exchange(end, end + align_up(n)); };
        for (auto& offset : commands) offset = take(SharedRing<Command>::bytes(sizes.commands));
        for (auto& offset : completions) {
            offset = take(SharedRing<Completion>::bytes(sizes.completions));
        }
        events = take(SharedRing<Event>::bytes(sizes.events));
        bytes = end;
    }
};

bool possible(std::uint32_t slots) noexcept {
    return slots >= 2 && slots <= kMaxSlots && std::has_single_bit(slots);
}
bool possible(const ChannelSizes& sizes) noexcept {
    return possible(sizes.commands) && possible(sizes.completions) && possible(sizes.events);
}

std::string errno_text() {
    return std::strerror(errno);
}

// The wake-up protocol. Both sides use a read-modify-write of the same flag, so one of them is
// first: if the sleeper was, the writer sees the flag and rings; if the writer was, the sleeper
// synchronises with it and sees what was written when it looks at the rings once more.
bool take(Flag& flag) noexcept {
    return flag.exchange(0, std::memory_order_acq_rel) != 0;
}
void raise(Flag& flag) noexcept {
    flag.exchange(1, std::memory_order_acq_rel);
}

void ring_bell(int eventfd_descriptor) noexcept {
    const std::uint64_t one = 1;
    // Fails only when the counter is at its limit: then the reader is awake in any case.
    [[maybe_unused]] const auto written = write(eventfd_descriptor, &one, sizeof one);
}
void quiet_bell(int eventfd_descriptor) noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = read(eventfd_descriptor, &count, sizeof count);
}

std::size_t index(Stream stream) noexcept {
    return static_cast<std::size_t>(stream);
}

}  // namespace

struct Channel::Impl {
    Descriptor memfd, control_wakeup, shim_wakeup;
    ChannelSizes sizes;
    void* base = MAP_FAILED;
    std::size_t mapped = 0;
    std::array<SharedRing<Command>, kStreams> commands;
    std::array<SharedRing<Completion>, kStreams> completions;
    SharedRing<Event> events;

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        if (base != MAP_FAILED) munmap(base, mapped);
    }

    bool map(std::size_t bytes) noexcept {
        base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
        mapped = bytes;
        return base != MAP_FAILED;
    }
    [[nodiscard]] ChannelHeader& header() const noexcept {
        return *static_cast<ChannelHeader*>(base);
    }
    void find_rings() noexcept {
        const Layout layout(sizes);
        auto* bytes = static_cast<std::byte*>(base);
        for (std::size_t s = 0; s < kStreams; ++s) {
            commands[s] = {bytes + layout.commands[s], sizes.commands};
            completions[s] = {bytes + layout.completions[s], sizes.completions};
        }
        events = {bytes + layout.events, sizes.events};
    }
    void format_rings() noexcept {
        for (auto& ring : commands) ring.format();
        for (auto& ring : completions) ring.format();
        events.format();
    }
    [[nodiscard]] bool rings_sound() const noexcept {
        for (const auto& ring : commands) {
            if (!ring.sound()) return false;
        }
        for (const auto& ring : completions) {
            if (!ring.sound()) return false;
        }
        return events.sound();
    }

    void wake_control() const noexcept {
        if (take(header().control_asleep.value)) ring_bell(control_wakeup.get());
    }
    void wake_shim() const noexcept {
        if (take(header().shim_asleep.value)) ring_bell(shim_wakeup.get());
    }
};

namespace {

/// Enqueues; without room asks to be woken when there is some, and tries once more, because the
/// consumer may have made room before it could see the wish.
template <class T>
bool put(SharedRing<T>& ring, std::span<const T> values, Flag* room_wanted) noexcept {
    WYE_CHECK(values.size() <= ring.capacity(), "a batch larger than its ring never fits");
    if (ring.enqueue(values)) return true;
    if (room_wanted == nullptr) return false;
    raise(*room_wanted);
    return ring.enqueue(values);
}

template <class T>
std::size_t room_or_wish(const SharedRing<T>& ring, Flag& room_wanted) noexcept {
    const std::size_t room = ring.room();
    if (room != 0) return room;
    raise(room_wanted);
    return ring.room();
}

}  // namespace

Channel::Channel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&&) noexcept = default;
Channel::~Channel() = default;

Result<Channel> Channel::create(const ChannelSizes& sizes) {
    if (!possible(sizes)) {
        return fail("ring sizes must be powers of two from 2 to " + std::to_string(kMaxSlots));
    }
    auto impl = std::make_unique<Impl>();
    impl->sizes = sizes;
    impl->memfd = Descriptor(memfd_create("wye-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    impl->control_wakeup = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    impl->shim_wakeup = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!impl->memfd.valid() || !impl->control_wakeup.valid() || !impl->shim_wakeup.valid()) {
        return fail("cannot make the descriptors of a channel: " + errno_text());
    }
    const std::size_t bytes = Layout(sizes).bytes;
    // Sealed, so that neither side can make the other's access to the mapping fault.
    if (ftruncate(impl->memfd.get(), static_cast<off_t>(bytes)) != 0 ||
        fcntl(impl->memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
        !impl->map(bytes)) {
        return fail("cannot make a channel of " + std::to_string(bytes) +
                    " bytes of shared memory: " + errno_text());
    }
    auto* header = new (impl->base) ChannelHeader;
    header->bytes = bytes;
    header->sizes = sizes;
    impl->find_rings();
    impl->format_rings();
    return Channel(std::move(impl));
}

Result<Channel> Channel::attach(int memfd, int control_wakeup, int shim_wakeup) {
    auto impl = std::make_unique<Impl>();
    impl->memfd = Descriptor(memfd);
    impl->control_wakeup = Descriptor(control_wakeup);
    impl->shim_wakeup = Descriptor(shim_wakeup);
    const int seals = fcntl(memfd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_GROW) == 0) {
        return fail("the channel is no memory file sealed against shrinking and growing");
    }
    struct stat status {};
    if (fstat(memfd, &status) != 0 || status.st_size < 0) {
        return fail("cannot look at the channel: " + errno_text());
    }
    const auto bytes = static_cast<std::size_t>(status.st_size);
    const std::string size_text = "the channel has " + std::to_string(bytes) + " bytes";
    if (bytes < sizeof(ChannelHeader)) return fail(size_text + ", less than its header");
    if (bytes > Layout({kMaxSlots, kMaxSlots, kMaxSlots}).bytes) {
        return fail(size_text + ", more than any channel has");
    }
    if (!impl->map(bytes)) return fail("cannot map the channel: " + errno_text());
    const ChannelHeader& header = impl->header();
    if (header.magic != kChannelMagic) return fail("the channel does not begin with its magic");
    if (header.layout != kChannelLayout) {
        return fail("the channel has layout " + std::to_string(header.layout) + ", this side has " +
                    std::to_string(kChannelLayout) + ": restart both with the same build");
    }
    if (header.command_size != sizeof(Command) || header.completion_size != sizeof(Completion) ||
        header.event_size != sizeof(Event)) {
        return fail(
            "the channel's commands, completions or events have another size than this "
            "side's: restart both with the same build");
    }
    impl->sizes = header.sizes;
    if (!possible(impl->sizes)) return fail("the channel announces impossible ring sizes");
    if (header.bytes != bytes || Layout(impl->sizes).bytes != bytes) {
        return fail(size_text + ", which are not those of its ring sizes");
    }
    impl->find_rings();
    if (!impl->rings_sound()) return fail("a ring of the channel has a damaged header");
    return Channel(std::move(impl));
}

int Channel::memfd() const noexcept {
    return impl_->memfd.get();
}
int Channel::control_wakeup() const noexcept {
    return impl_->control_wakeup.get();
}
int Channel::shim_wakeup() const noexcept {
    return impl_->shim_wakeup.get();
}
const ChannelSizes& Channel::sizes() const noexcept {
    return impl_->sizes;
}

bool Channel::send(Stream stream, std::span<const Command> commands) {
    const std::size_t s = index(stream);
    if (!put(impl_->commands[s], commands, &impl_->header().command_room_wanted[s].value)) {
        return false;
    }
    impl_->wake_control();
    return true;
}

std::size_t Channel::receive_commands(Stream stream, std::span<Command> out) {
    const std::size_t s = index(stream);
    const std::size_t n = impl_->commands[s].dequeue(out);
    if (n != 0 && take(impl_->header().command_room_wanted[s].value)) {
        ring_bell(impl_->shim_wakeup.get());
    }
    return n;
}

bool Channel::complete(Stream stream, std::span<const Completion> completions) {
    const std::size_t s = index(stream);
    if (!put(impl_->completions[s], completions,
             &impl_->header().completion_room_wanted[s].value)) {
        return false;
    }
    impl_->wake_shim();
    return true;
}

std::size_t Channel::receive_completions(Stream stream, std::span<Completion> out) {
    const std::size_t s = index(stream);
    const std::size_t n = impl_->completions[s].dequeue(out);
    if (n != 0 && take(impl_->header().completion_room_wanted[s].value)) {
        ring_bell(impl_->control_wakeup.get());
    }
    return n;
}

bool Channel::publish(std::span<const Event> events) {
    if (!put(impl_->events, events, nullptr)) return false;
    impl_->wake_shim();
    return true;
}

std::size_t Channel::receive_events(std::span<Event> out) {
    return impl_->events.dequeue(out);
}

std::size_t Channel::command_room(Stream stream) const {
    const std::size_t s = index(stream);
    return room_or_wish(impl_->commands[s], impl_->header().command_room_wanted[s].value);
}
std::size_t Channel::completion_room(Stream stream) const {
    const std::size_t s = index(stream);
    return room_or_wish(impl_->completions[s], impl_->header().completion_room_wanted[s].value);
}

void Channel::control_prepare_sleep() noexcept {
    raise(impl_->header().control_asleep.value);
}
void Channel::control_finish_sleep() noexcept {
    take(impl_->header().control_asleep.value);
    quiet_bell(impl_->control_wakeup.get());
}
void Channel::shim_prepare_sleep() noexcept {
    raise(impl_->header().shim_asleep.value);
}
void Channel::shim_finish_sleep() noexcept {
    take(impl_->header().shim_asleep.value);
    quiet_bell(impl_->shim_wakeup.get());
}

}  // namespace wye::ring
