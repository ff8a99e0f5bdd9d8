#include "dataplane/table/bfd_file.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/base/descriptor.hh"

namespace wye::table {
namespace {

constexpr std::uint64_t kMagic = 0x3130'6466'6265'7977;  // "wyebfd01", and with it the layout
constexpr std::size_t kHeader = 64;
constexpr std::size_t kRecords = kHeader + sizeof(BfdTotals);
constexpr std::size_t kBytes = kRecords + kMaxBfdSessions * sizeof(BfdRecord);

struct Text {
    std::string_view name, words;
};
constexpr std::array<Text, kBfdDrops> kTexts{{
#define WYE_BFD_DROP_TEXT(name, words) {#name, words},
    WYE_BFD_DROPS(WYE_BFD_DROP_TEXT)
#undef WYE_BFD_DROP_TEXT
}};

std::string words_of(int error) {
    return std::strerror(error);
}

}  // namespace

std::string_view bfd_drop_name(BfdDrop drop) noexcept {
    const auto i = static_cast<std::size_t>(drop);
    return i < kBfdDrops ? kTexts[i].name : std::string_view("unknown");
}

std::string_view bfd_drop_words(BfdDrop drop) noexcept {
    const auto i = static_cast<std::size_t>(drop);
    return i < kBfdDrops ? kTexts[i].words : std::string_view("unknown reason");
}

Result<BfdFile> BfdFile::create(const std::string& path) {
    // A reader may still have the one before.
    (void)unlink(path.c_str());
    const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
    return fill(file.get(), path);
}

Result<BfdFile> BfdFile::create_anonymous() {
    const Descriptor file(memfd_create("wye-bfd", MFD_CLOEXEC));
    return fill(file.get(), "the file of BFD sessions");
}

Result<BfdFile> BfdFile::fill(int file, const std::string& path) {
    if (file < 0 || ftruncate(file, kBytes) != 0) {
        return fail(path + " cannot be made: " + words_of(errno));
    }
    void* const memory =
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    if (memory == MAP_FAILED) return fail(path + " cannot be mapped: " + words_of(errno));
    auto* const base = static_cast<std::byte*>(memory);
    std::memcpy(base, &kMagic, sizeof kMagic);
    return BfdFile(base);
}

Result<BfdFile> BfdFile::open_read_only(const std::string& path) {
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (!file.valid() || fstat(file.get(), &status) != 0) {
        return fail(path + " cannot be opened: " + words_of(errno));
    }
    if (static_cast<std::size_t>(status.st_size) != kBytes) {
        return fail(path + " is of another version");
    }
    void* const memory = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, file.get(), 0);
    if (memory == MAP_FAILED) return fail(path + " cannot be mapped: " + words_of(errno));
    BfdFile made(static_cast<std::byte*>(memory));
    if (std::memcmp(made.base_, &kMagic, sizeof kMagic) != 0) {
        return fail(path + " is of another version");
    }
    return made;
}

BfdFile::~BfdFile() {
    if (base_ != nullptr) (void)munmap(base_, kBytes);
}

BfdFile::BfdFile(BfdFile&& other) noexcept : base_(std::exchange(other.base_, nullptr)) {}

BfdFile& BfdFile::operator=(BfdFile&& other) noexcept {
    std::swap(base_, other.base_);
    return *this;
}

BfdRecord& BfdFile::record(std::uint32_t slot) const noexcept {
    return *reinterpret_cast<BfdRecord*>(base_ + kRecords + slot * sizeof(BfdRecord));
}

BfdTotals& BfdFile::totals() const noexcept {
    return *reinterpret_cast<BfdTotals*>(base_ + kHeader);
}

}  // namespace wye::table
