// FibWriter: the RIB, the root and the choice of its form. See fib_trie.hh.
#include <new>
#include <utility>

#include "dataplane/base/check.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/fib6_writer.hh"
#include "dataplane/table/fib_rib.hh"
#include "dataplane/table/fib_table_writer.hh"
#include "dataplane/table/fib_trie_writer.hh"

namespace wye::table {
namespace {

/// A table of 2^18 or 2^16 words pays off when the trie is of its size.
constexpr std::size_t kMakeLargeAt = 8192;
/// Far enough below, so that a VRF at the border does not go to and fro.
constexpr std::size_t kMakeSmallAt = 2048;

constexpr std::size_t root_bytes(FibForm form) noexcept {
    if (form == FibForm::table) return FibTableWriter::root_bytes();
    return form == FibForm::pages ? Fib6Writer::root_bytes() : sizeof(FibRoot);
}

}  // namespace

struct FibWriter::Impl {
    ArenaWriter& arena;
    net::IpFamily family;
    std::atomic<std::uint32_t>& published;
    FibTrieWriter tries;
    FibTableWriter table;
    FibRib rib;
    Fib6Writer pages;
    std::size_t make_large_at = kMakeLargeAt;

    Impl(ArenaWriter& a, net::IpFamily f, std::atomic<std::uint32_t>& root)
        : arena(a), family(f), published(root), tries(a), table(a, tries), pages(a, tries, rib) {}

    [[nodiscard]] Ref<FibRoot> root() const noexcept {
        return {published.load(std::memory_order_relaxed)};
    }
    [[nodiscard]] FibRoot& root_record() noexcept { return *arena.writable(root()); }
    [[nodiscard]] Ref<FibRoot> make_root(FibForm form);

    void prefetch(const FibRib::Prefix& prefix, FibStage stage) const noexcept;
    bool publish_change(const FibRib::Prefix& prefix, bool erased);
    bool fill_root(FibRoot& root);
    void drop_root(Ref<FibRoot> ref, bool was_published);
    void choose_form();
    bool change_form(FibForm form);
};

Ref<FibRoot> FibWriter::Impl::make_root(FibForm form) {
    const auto ref = arena.allocate<FibRoot>(root_bytes(form));
    if (!ref) return ref;
    auto* made = new (arena.writable(ref)) FibRoot{};
    made->form = form;
    return ref;
}

void FibWriter::Impl::prefetch(const FibRib::Prefix& prefix, FibStage stage) const noexcept {
    const Ref<FibRoot> ref = root();
    if (!ref) return;
    const FibRoot& record = *arena.view().at(ref);
    if (record.form == FibForm::table) table.prefetch(record, prefix, stage);
    if (record.form == FibForm::pages) pages.prefetch(record, prefix, stage);
}

/// The RIB has changed at `prefix`: the same in the arena. False: the arena is full.
bool FibWriter::Impl::publish_change(const FibRib::Prefix& prefix, bool erased) {
    FibRoot& record = root_record();
    if (erased) {
        record.erases.store(record.erases.load(std::memory_order_relaxed) + 1,
                            std::memory_order_release);
    }
    if (prefix.length == 0) {
        record.default_leaf.store(rib.default_leaf().value, std::memory_order_release);
        return true;
    }
    if (record.form == FibForm::table) return table.change(record, rib, prefix, erased, true);
    if (record.form == FibForm::pages) return pages.change(record, prefix, erased, true);
    return tries.change({record.child, 0, true}, rib, prefix, erased);
}

/// All routes into a root that nobody sees yet.
bool FibWriter::Impl::fill_root(FibRoot& root) {
    root.default_leaf.store(rib.default_leaf().value, std::memory_order_relaxed);
    if (root.form == FibForm::table) return table.fill(root, rib);
    if (root.form == FibForm::pages) return pages.fill(root);
    return rib.each_node([&](FibBits bits, unsigned position) {
        return tries.add_node({root.child, 0, false}, rib, bits, position);
    });
}

void FibWriter::Impl::drop_root(Ref<FibRoot> ref, bool was_published) {
    FibRoot& record = *arena.writable(ref);
    const FibForm form = record.form;
    tries.drop(record.child, was_published);
    if (form == FibForm::table) table.drop(record, was_published);
    if (form == FibForm::pages) pages.drop(record, was_published);
    if (was_published) {
        arena.retire(ref, root_bytes(form));
    } else {
        arena.discard(ref, root_bytes(form));
    }
}

bool FibWriter::Impl::change_form(FibForm form) {
    const Ref<FibRoot> made = make_root(form);
    if (!made) return false;
    if (!fill_root(*arena.writable(made))) {
        drop_root(made, false);
        return false;
    }
    const Ref<FibRoot> old = root();
    published.store(made.unit, std::memory_order_release);
    drop_root(old, true);
    return true;
}

/// A form that cannot be built for want of memory is tried again when the VRF has doubled.
void FibWriter::Impl::choose_form() {
    if (rib.size() == 0) {
        const Ref<FibRoot> old = root();
        published.store(0, std::memory_order_release);
        drop_root(old, true);
        return;
    }
    const bool is_small = root_record().form == FibForm::trie;
    if (is_small && rib.size() >= make_large_at) {
        const FibForm large = family == net::IpFamily::ipv4 ? FibForm::table : FibForm::pages;
        make_large_at = change_form(large) ? kMakeLargeAt : rib.size() * 2;
    } else if (!is_small && rib.size() <= kMakeSmallAt && rib.size() % 256 == 0) {
        change_form(FibForm::trie);
    }
}

FibWriter::FibWriter(ArenaWriter& arena, net::IpFamily family, std::atomic<std::uint32_t>& root)
    : impl_(std::make_unique<Impl>(arena, family, root)) {}
FibWriter::FibWriter(FibWriter&&) noexcept = default;
FibWriter::~FibWriter() = default;

bool FibWriter::insert(const net::IpPrefix& prefix, Leaf leaf) {
    WYE_CHECK(prefix.address.family == impl_->family && !leaf.is_none() && fib_holds(leaf) &&
                  fib6_holds(leaf),
              "a route of this family with a leaf");
    const auto key = FibRib::prefix_of(prefix);
    const bool is_first = impl_->rib.size() == 0;
    if (is_first) {
        const Ref<FibRoot> made = impl_->make_root(FibForm::trie);
        if (!made) return false;
        impl_->published.store(made.unit, std::memory_order_release);
    }
    impl_->prefetch(key, FibStage::node);
    const Leaf before = impl_->rib.exchange(key, leaf);
    if (before == leaf) return true;
    if (!impl_->publish_change(key, false)) {
        impl_->rib.exchange(key, before);
        if (is_first) impl_->choose_form();
        return false;
    }
    impl_->choose_form();
    return true;
}

bool FibWriter::erase(const net::IpPrefix& prefix) {
    if (prefix.address.family != impl_->family) return false;
    const auto key = FibRib::prefix_of(prefix);
    impl_->prefetch(key, FibStage::node);
    const Leaf before = impl_->rib.exchange(key, Leaf::none());
    if (before.is_none()) return false;
    if (!impl_->publish_change(key, true)) {
        impl_->rib.exchange(key, before);
        return false;
    }
    impl_->choose_form();
    return true;
}

void FibWriter::prefetch(const net::IpPrefix& prefix, FibStage stage) const noexcept {
    if (prefix.address.family != impl_->family) return;
    if (prefix.length > net::address_bits(impl_->family)) return;
    // Of the RIB an IPv4 table reads the lowest node alone, mostly.
    const bool is_ipv4 = impl_->family == net::IpFamily::ipv4;
    if (is_ipv4 && stage == FibStage::leaves) return;  // they came with the routes
    const auto key = FibRib::prefix_of(prefix);
    if (stage == FibStage::node) impl_->rib.prefetch_nodes(key, is_ipv4 ? 1 : 3);
    if (stage == FibStage::routes) impl_->rib.prefetch_routes(key);
    impl_->prefetch(key, stage);
}

std::optional<Leaf> FibWriter::find(const net::IpPrefix& prefix) const {
    if (prefix.address.family != impl_->family) return std::nullopt;
    const Leaf leaf = impl_->rib.find(FibRib::prefix_of(prefix));
    return leaf.is_none() ? std::nullopt : std::optional(leaf);
}

std::size_t FibWriter::size() const noexcept {
    return impl_->rib.size();
}

void FibWriter::clear() {
    const Ref<FibRoot> old = impl_->root();
    impl_->rib.clear();
    impl_->make_large_at = kMakeLargeAt;
    if (!old) return;
    impl_->published.store(0, std::memory_order_release);
    impl_->drop_root(old, true);
}

}  // namespace wye::table
