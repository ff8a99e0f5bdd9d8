#include "dataplane/table/epoch.hh"

#include <rte_rcu_qsbr.h>

#include <cstddef>
#include <cstdlib>

#include "dataplane/base/check.hh"

namespace wye::table {

struct Epochs::Impl {
    rte_rcu_qsbr* state = nullptr;
    ~Impl() { std::free(state); }
};

Epochs::Epochs(std::uint32_t max_readers) : impl_(std::make_unique<Impl>()) {
    const std::size_t bytes = rte_rcu_qsbr_get_memsize(max_readers);
    WYE_CHECK(max_readers > 0 && bytes != 1, "epochs need at least one reader");
    impl_->state = static_cast<rte_rcu_qsbr*>(std::aligned_alloc(
        RTE_CACHE_LINE_SIZE,
        (bytes + RTE_CACHE_LINE_SIZE - 1) / RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE));
    WYE_CHECK(impl_->state != nullptr, "no memory for epochs");
    WYE_CHECK(rte_rcu_qsbr_init(impl_->state, max_readers) == 0, "epochs cannot be set up");
}

Epochs::~Epochs() = default;

std::uint64_t Epochs::advance() noexcept {
    return rte_rcu_qsbr_start(impl_->state);
}

bool Epochs::reached(std::uint64_t epoch) const noexcept {
    return rte_rcu_qsbr_check(impl_->state, epoch, false) == 1;
}

void Epochs::register_reader(std::uint32_t reader) noexcept {
    WYE_CHECK(rte_rcu_qsbr_thread_register(impl_->state, reader) == 0, "reader out of range");
    rte_rcu_qsbr_thread_online(impl_->state, reader);
}

void Epochs::unregister_reader(std::uint32_t reader) noexcept {
    rte_rcu_qsbr_thread_offline(impl_->state, reader);
    WYE_CHECK(rte_rcu_qsbr_thread_unregister(impl_->state, reader) == 0, "reader out of range");
}

void Epochs::online(std::uint32_t reader) noexcept {
    rte_rcu_qsbr_thread_online(impl_->state, reader);
}

void Epochs::offline(std::uint32_t reader) noexcept {
    rte_rcu_qsbr_thread_offline(impl_->state, reader);
}

void Epochs::quiescent(std::uint32_t reader) noexcept {
    rte_rcu_qsbr_quiescent(impl_->state, reader);
}

std::uint64_t Epochs::current() const noexcept {
    return __atomic_load_n(&impl_->state->token, __ATOMIC_ACQUIRE);
}

}  // namespace wye::table
