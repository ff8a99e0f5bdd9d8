// FibTableWriter: changes the table and the blocks of a large IPv4 FIB (fib_block.hh).
//
// As FibTrieWriter does, every change is tried first: what is to be stored is allocated and filled,
// and only when nothing is missing is it published and what it replaces retired. Owner: FibWriter.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/fib_block.hh"
#include "dataplane/table/fib_rib.hh"
#include "dataplane/table/fib_trie_writer.hh"

namespace wye::table {

class FibTableWriter {
  public:
    FibTableWriter(ArenaWriter& arena, FibTrieWriter& tries) : arena_(arena), tries_(tries) {}

    static constexpr std::size_t root_bytes() noexcept {
        return sizeof(FibRoot) + kFibTableEntries * sizeof(FibTableWord);
    }
    /// The RIB has changed at `prefix` (1 bit or longer): the same below `root`. False: the arena
    /// is full and nothing has changed. `published`: readers may see it.
    [[nodiscard]] bool change(FibRoot& root, const FibRib& rib, const FibRib::Prefix& prefix,
                              bool erased, bool published);
    /// All routes of the RIB into a table that nobody sees yet.
    [[nodiscard]] bool fill(FibRoot& root, const FibRib& rib);
    /// Retires (or frees) all below the table's words; the words stay.
    void drop(FibRoot& root, bool published);

  private:
    using Word = std::uint32_t;
    /// What lies below one word of the table, slot by slot.
    struct Image {
        FibLeaves leaves;
        std::array<Word, kFibSlots> branches{};  // units; 0: none
        Word cover = 0;
    };

    [[nodiscard]] FibBlock& block_at(Word word) {
        return *arena_.writable(Ref<FibBlock>{word & kFibUnitMask});
    }
    [[nodiscard]] FibBranch& branch_at(Word unit) { return *arena_.writable(Ref<FibBranch>{unit}); }
    template <class T>
    void release(Ref<T> ref, std::size_t bytes, bool published);
    void release_block(Word word, bool published);
    void cover_range(FibRoot& root, const FibRib& rib, FibBits bits, unsigned length);
    void load(Word word, Image& image);
    [[nodiscard]] Word store(const Image& image);
    [[nodiscard]] bool replace(FibTableWord& word, const Image& image, bool published);
    [[nodiscard]] bool change_below(FibTableWord& word, const FibRib& rib,
                                    const FibRib::Prefix& prefix, bool erased, bool published);
    [[nodiscard]] bool add_branch(FibTableWord& word, Image& image, const FibRib& rib,
                                  const FibRib::Prefix& prefix, bool published);

    ArenaWriter& arena_;
    FibTrieWriter& tries_;
};

}  // namespace wye::table
