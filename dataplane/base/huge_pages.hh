// HugePages: an allocator for large arrays that are read at random, so that address translation does
// not cost more than the memory itself. Asks the kernel for huge pages (madvise(2), MADV_HUGEPAGE) and
// does without where it has none. For arrays of 2 MiB and more; smaller ones come as from new.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace wye {

template <class T>
struct HugePages {
    using value_type = T;
    static constexpr std::size_t kPage = std::size_t{2} << 20;

    HugePages() = default;
    template <class U>
    explicit(false) HugePages(const HugePages<U>&) noexcept {}

    [[nodiscard]] static constexpr std::align_val_t alignment(std::size_t count) noexcept {
        return std::align_val_t{count * sizeof(T) >= kPage ? kPage : alignof(T)};
    }
    [[nodiscard]] T* allocate(std::size_t count) {
        void* const memory = ::operator new(count * sizeof(T), alignment(count));
        if (count * sizeof(T) >= kPage) (void)madvise(memory, count * sizeof(T), MADV_HUGEPAGE);
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t count) noexcept {
        ::operator delete(memory, alignment(count));
    }
    friend bool operator==(HugePages, HugePages) noexcept { return true; }
};

}  // namespace wye
