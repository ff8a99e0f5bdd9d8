#include "dataplane/table/acl_cut.hh"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "dataplane/table/acl_tree.hh"

namespace wye::table {
namespace {

/// More rules than this are judged by a sample.
constexpr std::size_t kSample = 512;
constexpr std::size_t kSampleWords = kSample / 64;
constexpr unsigned kMaxCutBits = 8;

struct Sample {
    std::array<std::uint64_t, kSampleWords> words{};
    void add(std::size_t i) noexcept { words[i / 64] |= std::uint64_t{1} << i % 64; }
};

unsigned common(const Sample& a, const Sample& b, std::size_t words) noexcept {
    unsigned count = 0;
    for (std::size_t i = 0; i < words; ++i) {
        count += static_cast<unsigned>(std::popcount(a.words[i] & b.words[i]));
    }
    return count;
}

Sample both(const Sample& a, const Sample& b) noexcept {
    Sample result;
    for (std::size_t i = 0; i < kSampleWords; ++i) result.words[i] = a.words[i] & b.words[i];
    return result;
}

/// For a bit of the key: which rules of the sample may have it clear, and which set.
struct Split {
    unsigned bit;
    Sample clear, set;
};

double square(double x) noexcept {
    return x * x;
}

class WordCut {
  public:
    WordCut(std::vector<Split> splits, std::size_t count)
        : splits_(std::move(splits)), words_((count + 63) / 64) {
        Sample all;
        for (std::size_t i = 0; i < count; ++i) all.add(i);
        parts_.push_back(all);
        cost_ = square(static_cast<double>(count));
    }
    /// Bit by bit, the best next one each time.
    void grow(unsigned most_bits, double scale, double patience) {
        scale_ = scale;
        while (bits_ < most_bits && !splits_.empty()) {
            const std::size_t best = cheapest();
            if (best_cost_ > cost_ * patience) return;
            cut_by(splits_[best]);
            splits_.erase(splits_.begin() + static_cast<std::ptrdiff_t>(best));
        }
    }
    [[nodiscard]] std::uint64_t mask() const noexcept { return mask_; }
    [[nodiscard]] double cost() const noexcept { return cost_ + settled_; }

  private:
    std::size_t cheapest() {
        std::size_t best = 0;
        best_cost_ = HUGE_VAL;
        for (std::size_t i = 0; i < splits_.size(); ++i) {
            double cost = 0;
            for (const Sample& part : parts_) {
                cost += square(common(part, splits_[i].clear, words_)) +
                        square(common(part, splits_[i].set, words_));
                if (cost >= best_cost_) break;
            }
            if (cost >= best_cost_) continue;
            best_cost_ = cost;
            best = i;
        }
        return best;
    }
    void cut_by(const Split& split) {
        std::vector<Sample> parts;
        cost_ = 0;
        for (const Sample& part : parts_) {
            for (const Sample* side : {&split.clear, &split.set}) {
                const unsigned count = common(part, *side, words_);
                const double cost = square(count);
                // What fits into a block needs no further cut.
                if (count * scale_ <= kAclBlockRules) {
                    settled_ += cost;
                } else {
                    cost_ += cost;
                    parts.push_back(both(part, *side));
                }
            }
        }
        parts_ = std::move(parts);
        mask_ |= std::uint64_t{1} << split.bit;
        ++bits_;
    }
    std::vector<Split> splits_;
    std::size_t words_;
    std::vector<Sample> parts_;  // that still need a cut
    std::uint64_t mask_ = 0;
    unsigned bits_ = 0;
    double scale_ = 1, cost_ = 0, settled_ = 0, best_cost_ = 0;
};

std::vector<Split> splits_of(std::span<const AclBits> rules,
                             const std::vector<std::uint32_t>& sample, std::size_t word,
                             std::uint64_t known) {
    std::uint64_t cared = 0, ones = 0, zeros = 0;
    for (const std::uint32_t member : sample) {
        cared |= rules[member].care[word];
        ones |= rules[member].value[word];
        zeros |= rules[member].care[word] & ~rules[member].value[word];
    }
    std::vector<Split> splits;
    for (std::uint64_t left = cared & ~known; left != 0; left &= left - 1) {
        const auto bit = static_cast<unsigned>(std::countr_zero(left));
        Split split{bit, {}, {}};
        for (std::size_t i = 0; i < sample.size(); ++i) {
            const AclBits& rule = rules[sample[i]];
            const bool cares = (rule.care[word] >> bit & 1) != 0;
            const bool value = (rule.value[word] >> bit & 1) != 0;
            if (!cares || !value) split.clear.add(i);
            if (!cares || value) split.set.add(i);
        }
        splits.push_back(split);
    }
    return splits;
}

}  // namespace

AclCut choose_acl_cut(std::span<const AclBits> rules, std::span<const std::uint32_t> members,
                      std::size_t words, const AclRegion& region, double patience) {
    const std::size_t stride = (members.size() + kSample - 1) / kSample;
    std::vector<std::uint32_t> sample;
    for (std::size_t i = 0; i < members.size(); i += stride) sample.push_back(members[i]);
    const double scale = static_cast<double>(members.size()) / static_cast<double>(sample.size());
    const unsigned most_bits =
        std::min<unsigned>(kMaxCutBits, static_cast<unsigned>(std::bit_width(members.size())));
    AclCut best{0, 0, square(static_cast<double>(sample.size()))};
    for (std::uint32_t word = 0; word < words; ++word) {
        WordCut cut(splits_of(rules, sample, word, region.known[word]), sample.size());
        cut.grow(most_bits, scale, patience);
        if (cut.mask() == 0 || (best.mask != 0 && cut.cost() >= best.cost)) continue;
        best = {word, cut.mask(), cut.cost()};
    }
    return best;
}

}  // namespace wye::table
