#include "dataplane/worker/symbols.hh"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace wye::worker {
namespace {

/// Of a function, as the program's file has them, before it is moved to where it was loaded.
struct Symbol {
    std::uint64_t begin, end;
    std::string name;
};

template <class T>
bool read_at(std::ifstream& file, std::uint64_t offset, T* out, std::uint64_t count) {
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(out), static_cast<std::streamsize>(count * sizeof(T)));
    return file.good();
}

/// Of the symbol table (ELF, gABI chapter 4); empty for a program that was stripped of it.
std::vector<Symbol> read_symbols(std::ifstream& file) {
    Elf64_Ehdr header{};
    if (!read_at(file, 0, &header, 1) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_shentsize != sizeof(Elf64_Shdr)) {
        return {};
    }
    std::vector<Elf64_Shdr> sections(header.e_shnum);
    if (!read_at(file, header.e_shoff, sections.data(), sections.size())) return {};
    const auto table = std::find_if(sections.begin(), sections.end(), [](const Elf64_Shdr& one) {
        return one.sh_type == SHT_SYMTAB;
    });
    if (table == sections.end() || table->sh_link >= sections.size()) return {};
    const Elf64_Shdr& strings = sections[table->sh_link];
    std::vector<Elf64_Sym> entries(table->sh_size / sizeof(Elf64_Sym));
    std::vector<char> names(strings.sh_size + 1, '\0');
    if (!read_at(file, table->sh_offset, entries.data(), entries.size()) ||
        !read_at(file, strings.sh_offset, names.data(), strings.sh_size)) {
        return {};
    }
    std::vector<Symbol> symbols;
    for (const Elf64_Sym& entry : entries) {
        if (ELF64_ST_TYPE(entry.st_info) != STT_FUNC || entry.st_name >= strings.sh_size) continue;
        symbols.push_back(
            {entry.st_value, entry.st_value + entry.st_size, names.data() + entry.st_name});
    }
    return symbols;
}

std::string readable(const char* name) {
    int status = 0;
    char* demangled = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string text = status == 0 ? demangled : name;
    std::free(demangled);
    return text.substr(0, text.find(" [clone "));
}

std::string name_of(std::uint64_t address, const std::vector<Symbol>& own) {
    Dl_info info{};
    void* map = nullptr;
    if (dladdr1(reinterpret_cast<void*>(address), &info, &map, RTLD_DL_LINKMAP) == 0) {
        return fmt::format("{:#x}", address);
    }
    const auto* loaded = static_cast<const link_map*>(map);
    const std::uint64_t in_file = address - loaded->l_addr;
    if (*loaded->l_name == '\0') {  // the program itself
        const auto found = std::find_if(own.begin(), own.end(), [&](const Symbol& symbol) {
            return symbol.begin <= in_file && in_file < symbol.end;
        });
        if (found != own.end()) return readable(found->name.c_str());
    }
    if (info.dli_sname != nullptr) return readable(info.dli_sname);
    return fmt::format("{}+{:#x}", std::filesystem::path(info.dli_fname).filename().string(),
                       in_file);
}

}  // namespace

std::vector<std::string> function_names(std::span<void* const> addresses) {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    const std::vector<Symbol> own = read_symbols(file);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const auto address = reinterpret_cast<std::uint64_t>(addresses[i]);
        names.push_back(name_of(i == 0 ? address : address - 1, own));
    }
    return names;
}

}  // namespace wye::worker
