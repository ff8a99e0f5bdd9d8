// Fib6Writer: changes the pages and blocks of a large IPv6 FIB (fib6_page.hh).
//
// Two kinds of change. What stays in its place is stored there, word by word: the leaf of a prefix
// *flows* to all slots under it that no longer prefix covers. What needs another shape is made anew
// from the RIB, aside, and published by one store; only then is what it replaces retired. What may
// fail for want of memory comes before what cannot. Owner: FibWriter.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/fib.hh"
#include "dataplane/table/fib6_page.hh"
#include "dataplane/table/fib_rib.hh"
#include "dataplane/table/fib_trie_writer.hh"

namespace wye::table {

class Fib6Writer {
  public:
    Fib6Writer(ArenaWriter& arena, FibTrieWriter& tries, const FibRib& rib)
        : arena_(arena), tries_(tries), rib_(rib) {}

    static constexpr std::size_t root_bytes() noexcept {
        return sizeof(FibRoot) + kFib6RootWords * sizeof(Fib6Word);
    }
    /// Soon there will be a change at `prefix`.
    void prefetch(const FibRoot& root, const FibRib::Prefix& prefix, FibStage stage) const noexcept;
    /// The RIB has changed at `prefix` (1 bit or longer): the same below `root`. False: the arena
    /// is full and nothing has changed. `published`: readers may see it.
    [[nodiscard]] bool change(FibRoot& root, const FibRib::Prefix& prefix, bool erased,
                              bool published);
    /// All routes of the RIB into pages that nobody sees yet.
    [[nodiscard]] bool fill(FibRoot& root);
    /// Retires (or frees) all below the table's words; the words stay.
    void drop(FibRoot& root, bool published);

  private:
    using Word = std::uint32_t;
    /// A branch that the structure being replaced leads to, or that was made for the new one.
    struct HeldBranch {
        FibBits bits;
        Word unit;
        bool is_used, is_fresh;
    };
    /// The routes within a block's place, told apart at their boundaries.
    struct Sketch;

    template <class T>
    [[nodiscard]] T* at_unit(Word unit) {
        return arena_.writable(Ref<T>{unit});
    }
    [[nodiscard]] Fib6Word* page_of(Word word) { return at_unit<Fib6Word>(fib6_unit(word)); }
    [[nodiscard]] Fib6Narrow* narrow_of(Word word) { return at_unit<Fib6Narrow>(fib6_unit(word)); }
    [[nodiscard]] Fib6WideBlock* block_of(Word word) {
        return at_unit<Fib6WideBlock>(fib6_unit(word));
    }
    [[nodiscard]] bool is_words(Word word) {
        return fib6_kind(word) == Fib6Kind::block && block_of(word)->form == Fib6Form::words;
    }
    void free_units(Word unit, std::size_t bytes);
    void release(Word word, unsigned at);
    void release_branch(Word unit);
    template <class Visit>
    void each_branch(Word word, FibBits bits, unsigned at, Visit visit);
    [[nodiscard]] Word find_branch(Word word, FibBits bits, unsigned at);

    [[nodiscard]] std::vector<Leaf> paint(FibBits bits, unsigned from, unsigned to,
                                          Leaf base) const;
    [[nodiscard]] Word make(FibBits bits, unsigned at, Leaf cover);
    [[nodiscard]] Word make_page(FibBits bits, unsigned at, Leaf cover);
    [[nodiscard]] Word make_last(FibBits bits, Leaf cover);
    [[nodiscard]] Word make_block(const Sketch& sketch, FibBits bits, unsigned at, Leaf cover);
    [[nodiscard]] Word take_branch(FibBits bits);
    [[nodiscard]] bool replace(Fib6Word& word, FibBits bits, unsigned at, Leaf cover);
    [[nodiscard]] bool rebuild(Fib6Word& word, FibBits bits, unsigned at);

    template <class Visit>
    bool each_open(FibBits bits, unsigned length, unsigned to, Visit visit) const;
    void flow(Fib6Word* words, unsigned from, unsigned to, const FibRib::Prefix& prefix, Leaf leaf);
    void flow_into(Fib6Word& word, FibBits bits, unsigned at, Leaf leaf);
    void flow_narrow(Fib6Narrow* page, const FibRib::Prefix& prefix, Leaf leaf);
    [[nodiscard]] bool widen(Fib6Word* words, unsigned from, unsigned to,
                             const FibRib::Prefix& prefix);
    [[nodiscard]] bool widen_page(Fib6Word& word);

    [[nodiscard]] bool change_in(FibRoot& root, const FibRib::Prefix& prefix, bool erased);
    [[nodiscard]] bool change_branch(Fib6Word& word, unsigned at, Word unit,
                                     const FibRib::Prefix& prefix, bool erased);
    [[nodiscard]] bool change_last(Fib6Word& word, const FibRib::Prefix& prefix, bool erased);
    [[nodiscard]] bool is_bare(FibBits bits, unsigned at) const;
    [[nodiscard]] bool is_full(Word word, unsigned at);
    void tidy(FibRoot& root, FibBits bits);

    ArenaWriter& arena_;
    FibTrieWriter& tries_;
    const FibRib& rib_;
    bool is_published_ = false;     // what is being changed
    std::vector<HeldBranch> held_;  // by the change that is being tried
};

}  // namespace wye::table
