#include "dataplane/table/heap_map.hh"

#include <bit>

#include "dataplane/base/check.hh"

namespace wye::table {

std::uint32_t HeapMap::bin_of(std::uint32_t units) noexcept {
    if (units <= kExact) return units;
    const auto power = static_cast<std::uint32_t>(std::bit_width(units)) - 1;  // >= 5
    const std::uint32_t eighth = (units >> (power - 3)) & 7;
    return kExact + 1 + (power - 5) * 8 + eighth;
}

void HeapMap::mark(std::uint32_t unit, std::uint32_t units, bool is_free) noexcept {
    const std::uint32_t word = units << 1 | (is_free ? 1u : 0u);
    tags_[unit].length_and_free = word;
    tags_[unit + units - 1].length_and_free = word;
}

void HeapMap::link(std::uint32_t unit, std::uint32_t units) noexcept {
    const std::uint32_t bin = bin_of(units);
    const std::uint32_t head = heads_[bin];
    mark(unit, units, true);
    tags_[unit].next = head;
    tags_[unit].previous = kNone;
    if (head != kNone) tags_[head].previous = unit;
    heads_[bin] = unit;
    occupied_[bin / 64] |= std::uint64_t{1} << (bin % 64);
}

void HeapMap::unlink(std::uint32_t unit, std::uint32_t units) noexcept {
    const std::uint32_t bin = bin_of(units);
    const Tag& tag = tags_[unit];
    if (tag.next != kNone) tags_[tag.next].previous = tag.previous;
    if (tag.previous != kNone) {
        tags_[tag.previous].next = tag.next;
    } else {
        heads_[bin] = tag.next;
        if (tag.next == kNone) occupied_[bin / 64] &= ~(std::uint64_t{1} << (bin % 64));
    }
}

std::uint32_t HeapMap::find_run(std::uint32_t units) const noexcept {
    const std::uint32_t own = bin_of(units);
    // Within its own bin a run may be too short, unless the bin is exact.
    for (std::uint32_t run = heads_[own]; run != kNone; run = tags_[run].next) {
        if (tags_[run].length_and_free >> 1 >= units) return run;
    }
    for (std::uint32_t word = (own + 1) / 64; word < occupied_.size(); ++word) {
        std::uint64_t bits = occupied_[word];
        if (word == (own + 1) / 64) bits &= ~std::uint64_t{0} << ((own + 1) % 64);
        if (bits == 0) continue;
        return heads_[word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits))];
    }
    return kNone;
}

std::uint32_t HeapMap::allocate(std::uint32_t units) {
    const std::uint32_t run = find_run(units);
    if (run == kNone) return kNone;
    const std::uint32_t length = tags_[run].length_and_free >> 1;
    unlink(run, length);
    if (length > units) link(run + units, length - units);
    mark(run, units, false);
    used_ += units;
    return run;
}

void HeapMap::free(std::uint32_t unit, std::uint32_t units) {
    WYE_CHECK(
        std::uint64_t{unit} + units <= tags_.size() && tags_[unit].length_and_free == units << 1,
        "an extent is freed with another length than it was allocated with");
    used_ -= units;
    if (unit > 0 && (tags_[unit - 1].length_and_free & 1) != 0) {
        const std::uint32_t before = tags_[unit - 1].length_and_free >> 1;
        unit -= before;
        unlink(unit, before);
        units += before;
    }
    const std::uint32_t end = unit + units;
    if (end < tags_.size() && (tags_[end].length_and_free & 1) != 0) {
        const std::uint32_t behind = tags_[end].length_and_free >> 1;
        unlink(end, behind);
        units += behind;
    }
    link(unit, units);
}

void HeapMap::grow(std::uint32_t units) {
    const std::uint32_t unit = size();
    tags_.resize(tags_.size() + units, Tag{0, kNone, kNone});
    mark(unit, units, false);
    used_ += units;
    free(unit, units);
}

std::uint32_t HeapMap::free_at_end() const noexcept {
    if (tags_.empty() || (tags_.back().length_and_free & 1) == 0) return 0;
    return tags_.back().length_and_free >> 1;
}

}  // namespace wye::table
