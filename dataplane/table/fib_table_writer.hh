// FibTableWriter: changes the table and the pages of a large IPv4 FIB (fib_table.hh).
//
// Words and items are changed in place. What takes memory (a page that comes or gets another width,
// a branch) is tried first: allocated and filled, and only when nothing is missing is it published
// and what it replaces retired. Owner: FibWriter.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/base/huge_pages.hh"
#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/fib_rib.hh"
#include "dataplane/table/fib_table.hh"
#include "dataplane/table/fib_trie_writer.hh"

namespace wye::table {

class FibTableWriter {
  public:
    FibTableWriter(ArenaWriter& arena, FibTrieWriter& tries) : arena_(arena), tries_(tries) {}

    static constexpr std::size_t root_bytes() noexcept {
        return sizeof(FibRoot) + kFibTableEntries * sizeof(FibTableWord);
    }
    /// Soon there will be a change at `prefix`.
    void prefetch(const FibRoot& root, const FibRib::Prefix& prefix, FibStage stage) const noexcept;
    /// The RIB has changed at `prefix` (1 bit or longer): the same below `root`. False: the arena
    /// is full and nothing has changed. `published`: readers may see it.
    [[nodiscard]] bool change(FibRoot& root, const FibRib& rib, const FibRib::Prefix& prefix,
                              bool erased, bool published);
    /// All routes of the RIB into a table that nobody sees yet. From then on until drop() it is the
    /// one that changes.
    [[nodiscard]] bool fill(FibRoot& root, const FibRib& rib);
    /// Retires (or frees) all below the table's words; the words stay.
    void drop(FibRoot& root, bool published);

  private:
    using Word = std::uint32_t;
    /// What a page says, slot by slot, as a wide one has it.
    using Items = std::array<Word, kFibSlots>;

    [[nodiscard]] FibTableWord* page_at(Word word) {
        return arena_.writable(FibPageWord{word}.page());
    }
    [[nodiscard]] FibBranch& branch_at(Word item) {
        return *arena_.writable(Ref<FibBranch>{item & kFibUnitMask});
    }
    template <class T>
    void release(Ref<T> ref, std::size_t bytes, bool published);
    [[nodiscard]] Word item_at(Word word, unsigned slot);
    [[nodiscard]] Word leaf_at(Word word, unsigned slot);
    void load(Word word, Items& items);
    [[nodiscard]] Word make_page(const Items& items, bool is_wide);
    void publish(FibTableWord& word, Word made, bool published);
    [[nodiscard]] bool replace_page(FibTableWord& word, const Items& items, bool published);
    void set_leaves(Word word, const Items& leaves, std::uint64_t slots);
    void settle(FibTableWord& word, std::uint64_t owned, bool published);

    [[nodiscard]] bool widen_range(FibTableWord* table, const FibRib& rib,
                                   const FibRib::Prefix& prefix, bool published);
    [[nodiscard]] bool cover_range(FibRoot& root, const FibRib& rib, const FibRib::Prefix& prefix,
                                   bool published);
    [[nodiscard]] bool change_page(FibTableWord& word, std::uint64_t& owned, const FibRib& rib,
                                   const FibRib::Prefix& prefix, bool erased, bool published);
    [[nodiscard]] bool change_branch(FibTableWord& word, std::uint64_t owned, const FibRib& rib,
                                     const FibRib::Prefix& prefix, bool erased, bool published);
    [[nodiscard]] bool add_branch(FibTableWord& word, const FibRib& rib,
                                  const FibRib::Prefix& prefix, bool published);

    ArenaWriter& arena_;
    FibTrieWriter& tries_;
    /// For each word of the table, slots that a prefix longer than /18 and up to /24 answers for: a
    /// shorter one that comes or goes changes the others.
    std::vector<std::uint64_t, HugePages<std::uint64_t>> owned_;
};

}  // namespace wye::table
