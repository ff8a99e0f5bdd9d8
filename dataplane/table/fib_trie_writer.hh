// FibTrieWriter: changes one node of a FIB's trie at a time, by new blocks and one store.
//
// Every change is tried first: blocks are allocated and filled, and only when none is missing is
// the word above stored and what it replaced retired. Owner: FibWriter.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "dataplane/table/arena_writer.hh"
#include "dataplane/table/fib_rib.hh"
#include "dataplane/table/fib_trie.hh"

namespace wye::table {

class FibTrieWriter {
  public:
    explicit FibTrieWriter(ArenaWriter& arena) : arena_(arena) {}

    /// A trie below `word`, whose nodes look at the address from bit `start` on. `published`:
    /// readers may see it, so that old blocks are retired rather than free at once.
    struct Trie {
        std::atomic<std::uint32_t>& word;
        unsigned start;
        bool published;
    };
    using Word = std::uint32_t;

    /// The RIB has changed at `prefix`: the node that holds it gets the leaves that the RIB has for it
    /// now. Unless `erased`, it has routes. False: the arena is full, nothing changed.
    [[nodiscard]] bool change(Trie trie, const FibRib& rib, const FibRib::Prefix& prefix,
                              bool erased);
    /// The same for all of a node's routes, which the trie has none of yet.
    [[nodiscard]] bool add_node(Trie trie, const FibRib& rib, FibBits bits, unsigned position) {
        return change(trie, rib, {bits, position + 1}, false);  // any prefix in it will do
    }
    /// Retires (or frees) all blocks below `word`; the word itself stays.
    void drop(const std::atomic<std::uint32_t>& word, bool published);

  private:
    /// Gives the node at `position` of the address `bits` these leaves; makes it if need be. At
    /// least one leaf is not none.
    [[nodiscard]] bool put(Trie trie, FibBits bits, unsigned position, const FibLeaves& leaves);
    /// The same for a node that is there and may lose its last leaf: what becomes empty goes away,
    /// what has a single child and no leaf is joined with it.
    [[nodiscard]] bool shrink(Trie trie, FibBits bits, unsigned position, const FibLeaves& leaves);

    /// A node taken apart in private memory.
    struct Image {
        std::uint64_t children = 0, covered = 0, runs = 0, skip = 0;
        std::array<Word, kFibSlots> child_refs;  // compact
        std::array<Word, kFibSlots> leaves;      // compact
    };
    struct Step {
        std::atomic<Word>* word;
        unsigned position;  // of the node that it points to
    };

    [[nodiscard]] static std::size_t bytes_of(const FibNode& node) noexcept;
    [[nodiscard]] FibNode& node(Word ref) { return *arena_.writable(Ref<FibNode>{ref}); }
    [[nodiscard]] std::atomic<Word>& child_word(Word ref, unsigned slot);
    void load(Word ref, Image& image);
    [[nodiscard]] Word store(const Image& image);
    [[nodiscard]] Word make_chain(FibBits bits, unsigned from, unsigned position,
                                  const FibLeaves& leaves);
    [[nodiscard]] Word split(Word ref, unsigned at, unsigned groups, FibBits bits,
                             unsigned position, const FibLeaves& leaves);
    bool replace(const Trie& trie, std::atomic<Word>& word, Word made);
    void swap_in(const Trie& trie, std::atomic<Word>& word, Word made);
    void release(Word ref, bool published);
    void forget_tried();
    bool join_with_only_child(Image& image);
    void find_path(Trie trie, FibBits bits, unsigned position);

    static void set_leaves(Image& image, const FibLeaves& leaves) noexcept;
    static void add_child(Image& image, unsigned slot, Word ref) noexcept;
    static void remove_child(Image& image, unsigned slot) noexcept;

    ArenaWriter& arena_;
    std::vector<Word> fresh_;     // of the change that is being tried
    std::vector<Word> replaced_;  // goes when it succeeds
    std::vector<Step> path_;
};

}  // namespace wye::table
