#include "dataplane/ring/lease.hh"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <utility>

#include "dataplane/ring/unix_socket.hh"

namespace wye::ring {
namespace {

constexpr timeval kPatience{2, 0};

Result<Received> receive_answer(int socket) {
    auto received = receive_message(socket);
    if (!received) return received;
    if (received->state == Received::State::closed) {
        return fail("the data plane ended while the lease was held");
    }
    if (received->state == Received::State::nothing) {
        return fail("the data plane does not answer within two seconds");
    }
    return received;
}

}  // namespace

std::string_view to_string(LeaseState state) noexcept {
    switch (state) {
        case LeaseState::valid:
            return "the lease is valid";
        case LeaseState::expired:
            return "the lease's time is over";
        case LeaseState::over_budget:
            return "the lease was taken back: too much memory waited to be freed";
        case LeaseState::superseded:
            return "the lease was taken back: the workers forward from another arena now";
        case LeaseState::ended:
            return "the data plane has ended";
        case LeaseState::none:
            break;
    }
    return "there is no lease";
}

Result<Lease> Lease::take(const std::string& path, std::chrono::milliseconds wanted) {
    auto socket = connect_unix(path, SOCK_SEQPACKET, "data plane");
    if (!socket) return tl::unexpected(socket.error());
    Lease lease;
    lease.socket_ = std::move(*socket);
    const int fd = lease.socket_.get();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    auto request = make_message<LeaseRequest>();
    request.version = kLeaseVersion;
    request.milliseconds = static_cast<std::uint32_t>(wanted.count());
    // A refusal may be there before the request could be sent.
    const Status sent = send_message(fd, bytes_of(request));
    auto answer = receive_answer(fd);
    if (!answer) return tl::unexpected(sent ? answer.error() : sent.error());
    const auto grant = decode<LeaseGrant>(answer->bytes);
    if (!grant) return tl::unexpected(grant.error());
    if (grant->version != kLeaseVersion || answer->descriptors.size() != 2) {
        return fail("the data plane grants leases of version " + std::to_string(grant->version) +
                    ", this program takes version " + std::to_string(kLeaseVersion) +
                    ": use the same build of both");
    }
    lease.grant_ = *grant;
    lease.arena_ = std::move(answer->descriptors[0]);
    void* page =
        mmap(nullptr, sizeof(LeasePage), PROT_READ, MAP_SHARED, answer->descriptors[1].get(), 0);
    if (page == MAP_FAILED) return fail("the page of the lease cannot be mapped");
    lease.page_ = static_cast<const LeasePage*>(page);
    return lease;
}

Lease::Lease(Lease&& other) noexcept
    : socket_(std::move(other.socket_)),
      arena_(std::move(other.arena_)),
      grant_(other.grant_),
      page_(std::exchange(other.page_, nullptr)) {}

Lease& Lease::operator=(Lease&& other) noexcept {
    std::swap(socket_, other.socket_);
    std::swap(arena_, other.arena_);
    std::swap(grant_, other.grant_);
    std::swap(page_, other.page_);
    return *this;
}

Lease::~Lease() {
    if (page_ != nullptr) munmap(const_cast<LeasePage*>(page_), sizeof(LeasePage));
}

Status Lease::check() const {
    // What was read before this line was read before the state: the other half is in Leases.
    std::atomic_thread_fence(std::memory_order_acquire);
    const LeaseState state = page_->state.load(std::memory_order_relaxed);
    if (state != LeaseState::valid) return fail(std::string(to_string(state)));
    // A control thread that hangs, or is no more, cannot say so itself.
    if (monotonic_now().count() > grant_.deadline) {
        return fail(std::string(to_string(LeaseState::expired)));
    }
    return {};
}

Result<std::uint64_t> Lease::release() {
    auto message = make_message<LeaseRelease>();
    message.lease = grant_.lease;
    const Status sent = send_message(socket_.get(), bytes_of(message));
    if (!sent) return tl::unexpected(sent.error());
    const auto answer = receive_answer(socket_.get());
    if (!answer) return tl::unexpected(answer.error());
    const auto released = decode<LeaseReleased>(answer->bytes);
    if (!released) return tl::unexpected(released.error());
    if (released->state != LeaseState::valid) {
        return fail(std::string(to_string(released->state)));
    }
    return released->epoch;
}

}  // namespace wye::ring
