#include "controlplane-shim/manifest/nearest.hh"

#include <algorithm>
#include <numeric>
#include <vector>

namespace wye::manifest {
namespace {

/// Levenshtein distance, one row at a time.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, replaced});
        }
    }
    return row.back();
}

constexpr std::size_t kLongestWord = 64;

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
    std::string_view best;
    if (word.size() > kLongestWord) return best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string_view candidate : known) {
        const std::size_t d = distance(word, candidate);
        if (d < best_distance && d < candidate.size()) {
            best = candidate;
            best_distance = d;
        }
    }
    return best;
}

std::string suggest(std::string_view word, std::span<const std::string_view> known) {
    if (const auto meant = nearest(word, known); !meant.empty()) {
        return "did you mean " + std::string(meant) + "?";
    }
    std::string all = "the keys here are:";
    for (const std::string_view candidate : known) {
        all += (all.back() == ':' ? " " : ", ") + std::string(candidate);
    }
    return all;
}

}  // namespace wye::manifest
