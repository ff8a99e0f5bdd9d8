#include "dataplane/control/leases.hh"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

namespace wye::control {

using ring::LeasePage;
using ring::LeaseState;

void Leases::Unmap::operator()(LeasePage* page) const noexcept {
    munmap(page, sizeof(LeasePage));
}

/// Sealed, so that no descriptor of it, however it was come by, can write, or cut it short.
Result<Leases::Page> Leases::make_page(Descriptor& for_reader) {
    Descriptor file(memfd_create("wye-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file.valid() || ftruncate(file.get(), sizeof(LeasePage)) != 0) {
        return fail("no memory for the page of a lease");
    }
    void* at = mmap(nullptr, sizeof(LeasePage), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (at == MAP_FAILED) return fail("the page of a lease cannot be mapped");
    Page page(new (at) LeasePage{LeaseState::valid});
    constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    if (fcntl(file.get(), F_ADD_SEALS, kSeals) != 0) {
        return fail("the page of a lease cannot be sealed: Linux 5.1 or later is needed");
    }
    const std::string self = "/proc/self/fd/" + std::to_string(file.get());
    for_reader = Descriptor(open(self.c_str(), O_RDONLY | O_CLOEXEC));
    if (!for_reader.valid()) return fail("the page of a lease cannot be opened: is /proc there?");
    return page;
}

bool Leases::is_short(const table::ArenaWriter& arena) const noexcept {
    const std::size_t sixteenth = arena.view().header().limits.heap_bytes / 16;
    return arena.retired_bytes() > std::min(limits_.bytes, sixteenth) ||
           arena.free_bytes() < sixteenth;
}

Result<LeaseTerms> Leases::grant(const table::ArenaWriter& arena, std::chrono::milliseconds wanted,
                                 std::uint64_t epoch) {
    if (wanted.count() <= 0) return fail("a lease of no time was asked for");
    if (held_.size() >= limits_.most) {
        return fail("there are " + std::to_string(held_.size()) +
                    " leases already, as many as there may be: try again in a second");
    }
    if (is_short(arena)) {
        return fail("too much memory of the tables waits to be freed: try again in a second");
    }
    LeaseTerms terms;
    auto page = make_page(terms.page);
    if (!page) return tl::unexpected(page.error());
    terms.lease = ++last_;
    terms.granted = std::min(wanted, limits_.longest);
    terms.deadline = monotonic_now() + terms.granted;
    held_.push_back({terms.lease, epoch, terms.deadline, std::move(*page)});
    oldest_ = std::min(oldest_, epoch);
    return terms;
}

void Leases::revoke(Held& held, LeaseState why) {
    held.page->state.store(why, std::memory_order_relaxed);
    constexpr std::size_t kRemembered = 64;
    if (ended_.size() == kRemembered) ended_.erase(ended_.begin());
    ended_.push_back({held.lease, why});
}

void Leases::forget_revoked() {
    // The end of a lease is seen before any reuse of what it held.
    std::atomic_thread_fence(std::memory_order_release);
    std::erase_if(held_, [](const Held& held) {
        return held.page->state.load(std::memory_order_relaxed) != LeaseState::valid;
    });
    oldest_ = kHoldsNothing;
    for (const Held& held : held_) oldest_ = std::min(oldest_, held.epoch);
}

LeaseState Leases::end(std::uint64_t lease) {
    for (Held& held : held_) {
        if (held.lease != lease) continue;
        revoke(held, LeaseState::ended);
        ended_.pop_back();
        forget_revoked();
        return LeaseState::valid;
    }
    const auto found = std::find_if(ended_.begin(), ended_.end(),
                                    [lease](const Ended& one) { return one.lease == lease; });
    return found == ended_.end() ? LeaseState::none : found->why;
}

void Leases::enforce(const table::ArenaWriter& arena) {
    if (held_.empty()) return;
    const Nanoseconds now = monotonic_now();
    const bool too_much = is_short(arena);
    bool any = false;
    for (Held& held : held_) {
        if (now >= held.deadline) {
            revoke(held, LeaseState::expired);
        } else if (too_much && held.epoch != kHoldsNothing) {
            revoke(held, LeaseState::over_budget);
        } else {
            continue;
        }
        any = true;
    }
    if (any) forget_revoked();
}

void Leases::revoke_all(LeaseState why) {
    if (held_.empty()) return;
    for (Held& held : held_) revoke(held, why);
    forget_revoked();
}

}  // namespace wye::control
